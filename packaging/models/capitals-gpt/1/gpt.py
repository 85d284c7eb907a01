"""A small decoder-only transformer in numpy: tokeniser, weights, and inference with a key/value cache.

Shapes use B (sequences), T (tokens), C (width), H (heads), D = C / H, V (vocabulary). Arithmetic is float32;
weights are stored as float16. Importing this file needs nothing but numpy, so that Triton's python backend,
the training script and the unit tests all run the same code.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BYTES = 256
BOS, SEP, EOS, PAD = BYTES, BYTES + 1, BYTES + 2, BYTES + 3
FIRST_MERGE = BYTES + 4
_PIECE = re.compile(rb" ?[A-Za-z]+| ?[0-9]+|[^A-Za-z0-9]")
_EPSILON = np.float32(1e-5)


class PromptError(ValueError):
    """The prompt cannot be answered as it stands; the text is meant for the person who sent it."""


class Tokenizer:
    """Byte-level byte-pair encoding: every text has an encoding, and decoding gives the same bytes back."""

    def __init__(self, merges: list[tuple[int, int]]) -> None:
        self.merges = merges
        self._rank = {pair: FIRST_MERGE + index for index, pair in enumerate(merges)}
        self._bytes = [bytes([value]) for value in range(BYTES)] + [b""] * (FIRST_MERGE - BYTES)
        for left, right in merges:
            self._bytes.append(self._bytes[left] + self._bytes[right])

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read the merges that training chose (a JSON list of pairs of token ids)."""
        return cls([(left, right) for left, right in json.loads(path.read_text("ascii"))])

    @property
    def size(self) -> int:
        """Number of token ids, V."""
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without the special ones."""
        ids: list[int] = []
        for piece in _PIECE.findall(text.encode()):
            tokens = list(piece)
            while len(tokens) > 1:
                ranked = [(self._rank.get(pair, self.size), at) for at, pair in enumerate(pairwise(tokens))]
                best, at = min(ranked)
                if best == self.size:
                    break
                tokens[at : at + 2] = [best]
            ids += tokens
        return ids

    def bytes_of(self, token: int) -> bytes:
        """The bytes a token stands for; none for a special token."""
        return self._bytes[token]

    def decode(self, tokens: list[int]) -> str:
        """The text of a list of token ids; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.bytes_of, tokens)).decode(errors="replace")

    @classmethod
    def learn(cls, texts: list[str], size: int) -> Tokenizer:
        """Choose merges, most frequent pair first (the lower ids win a tie), until there are `size` token
        ids.
        """
        counts: dict[tuple[int, ...], int] = {}
        for text in texts:
            for piece in _PIECE.findall(text.encode()):
                counts[tuple(piece)] = counts.get(tuple(piece), 0) + 1
        merges: list[tuple[int, int]] = []
        while FIRST_MERGE + len(merges) < size:
            pairs: dict[tuple[int, int], int] = {}
            for word, count in counts.items():
                for pair in pairwise(word):
                    pairs[pair] = pairs.get(pair, 0) + count
            if not pairs:
                break
            best = min(pairs, key=lambda pair: (-pairs[pair], pair))
            merged: dict[tuple[int, ...], int] = {}
            for word, count in counts.items():
                shorter = _merge(word, best, FIRST_MERGE + len(merges))
                merged[shorter] = merged.get(shorter, 0) + count
            counts = merged
            merges.append(best)
        return cls(merges)


def _merge(word: tuple[int, ...], pair: tuple[int, int], token: int) -> tuple[int, ...]:
    out: list[int] = []
    at = 0
    while at < len(word):
        if word[at : at + 2] == pair:
            out.append(token)
            at += 2
        else:
            out.append(word[at])
            at += 1
    return tuple(out)


@dataclass(frozen=True)
class Shape:
    """Sizes of a model: vocabulary V, longest sequence, width C, heads H, layers."""

    vocabulary: int
    context: int
    width: int
    heads: int
    layers: int


class Cache:
    """Keys and values of the tokens seen so far, per layer (H, context, D); the context bounds them."""

    def __init__(self, shape: Shape) -> None:
        size = (shape.layers, shape.heads, shape.context, shape.width // shape.heads)
        self.keys: Floats = np.zeros(size, np.float32)
        self.values: Floats = np.zeros(size, np.float32)
        self.length = 0


class Gpt:
    """Inference: pre-norm blocks (RMS norm, causal attention, ReLU feed-forward), learned positions, tied
    output.
    """

    def __init__(self, weights: dict[str, Floats], heads: int) -> None:
        self.weights = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
        vocabulary, width = self.weights["token"].shape
        layers = sum(name.startswith("qkv.") for name in self.weights)
        self.shape = Shape(vocabulary, len(self.weights["position"]), width, heads, layers)

    @classmethod
    def load(cls, path: Path) -> Gpt:
        """Read weights (.npz, float16) written by the training script; `heads` is a scalar among them."""
        with np.load(path, allow_pickle=False) as stored:
            heads = int(stored["heads"])
            return cls({name: stored[name] for name in stored.files if name != "heads"}, heads)

    def extend(self, cache: Cache, tokens: list[int]) -> Floats:
        """Take `tokens` (T) in after what the cache holds; return the logits (V) of the token that comes
        next.

        Raises PromptError where the context has no room for them.
        """
        shape, weights = self.shape, self.weights
        start, stop = cache.length, cache.length + len(tokens)
        if stop > shape.context:
            raise PromptError(f"{stop} tokens do not fit the model's context of {shape.context}")
        depth = shape.width // shape.heads
        hidden = weights["token"][tokens] + weights["position"][start:stop]
        future = np.arange(stop)[None, :] > np.arange(start, stop)[:, None]
        for layer in range(shape.layers):
            mixed = normalise(hidden, weights[f"norm1.{layer}"]) @ weights[f"qkv.{layer}"]
            query, key, value = mixed.reshape(len(tokens), 3, shape.heads, depth).transpose(1, 2, 0, 3)
            cache.keys[layer, :, start:stop] = key
            cache.values[layer, :, start:stop] = value
            scores = query @ cache.keys[layer, :, :stop].transpose(0, 2, 1) / np.float32(np.sqrt(depth))
            scores = np.where(future, np.float32(-np.inf), scores)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            heard = (
                (scores @ cache.values[layer, :, :stop]).transpose(1, 0, 2).reshape(len(tokens), shape.width)
            )
            hidden = hidden + heard @ weights[f"out.{layer}"]
            wide = normalise(hidden, weights[f"norm2.{layer}"]) @ weights[f"up.{layer}"]
            hidden = hidden + np.maximum(wide, 0) @ weights[f"down.{layer}"]
        cache.length = stop
        last: Floats = normalise(hidden[-1], weights["norm"]) @ weights["token"].T
        return last

    def generate(
        self, prompt: list[int], max_tokens: int, temperature: float = 0.0, seed: int = 0, cached: bool = True
    ) -> Iterator[int]:
        """Yield up to `max_tokens` answer tokens, stopping at EOS; greedy at temperature 0, else sampled with
        `seed`.

        `prompt` holds the text's tokens only. `cached=False` computes every step from the start (for
        comparison).
        """
        draw = np.random.default_rng(seed)
        sequence = [BOS, *prompt, SEP]
        room = self.shape.context - len(sequence)
        if room < 1:
            raise PromptError(
                f"the prompt has {len(prompt)} tokens; the model takes {self.shape.context - 3} at most"
            )
        cache = Cache(self.shape)
        fresh = sequence
        for _ in range(min(max_tokens, room)):
            token = choose(self.extend(cache, fresh), temperature, draw)
            if token == EOS:
                return
            yield token
            sequence.append(token)
            fresh = [token]
            if not cached:
                cache, fresh = Cache(self.shape), sequence


def normalise(hidden: Floats, gain: Floats) -> Floats:
    """Root-mean-square norm over the last axis."""
    scale = np.sqrt(np.mean(hidden * hidden, -1, keepdims=True) + _EPSILON)
    result: Floats = hidden / scale * gain
    return result


def choose(logits: Floats, temperature: float, draw: np.random.Generator) -> int:
    """The likeliest token, or one drawn from the distribution at that temperature; never padding or a prompt
    mark.
    """
    logits = logits.copy()
    logits[[BOS, SEP, PAD]] = -np.inf
    if temperature <= 0:
        return int(np.argmax(logits))
    scaled = (logits - logits.max()) / np.float32(temperature)
    odds = np.exp(scaled.astype(np.float64))
    return int(draw.choice(len(odds), p=odds / odds.sum()))


def stream_text(tokenizer: Tokenizer, tokens: Iterator[int]) -> Iterator[str]:
    """Text as it becomes complete: a character split over tokens waits for its last byte."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        if piece := decoder.decode(tokenizer.bytes_of(token)):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest
