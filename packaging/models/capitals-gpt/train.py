"""Train the capitals model from nothing: numpy, hand-written gradients, Adam, one core, one seed.

    OPENBLAS_NUM_THREADS=1 python train.py [--output 1] [--steps N]

Writes tokenizer.json and weights.npz (float16) and prints the accuracy of the written weights as a line of
JSON. The same machine and numpy give the same bits; another CPU may round differently while it learns, so the
committed weights are pinned by their checksum (weights.sha256) and a retrained model is judged by its
accuracy.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import io
import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "1"))

from corpus import Corpus, Example, build, facts  # noqa: E402
from gpt import BOS, EOS, PAD, SEP, Floats, Gpt, Shape, Tokenizer, normalise  # noqa: E402

SEED = 20261123
VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS = 768, 64, 128, 4, 3
BATCH, STEPS, PEAK_RATE, WARMUP = 64, 900, 3e-3, 60
LOWER_CASE, GREETED = 0.15, 0.15
GREETINGS = ("Hello. ", "Hi, ", "Please: ", "Question: ", "A quick question. ")


def initial(draw: np.random.Generator, shape: Shape) -> dict[str, Floats]:
    """Random weights, the residual projections smaller the deeper the model is."""

    def normal(*size: int, scale: float) -> Floats:
        return draw.normal(0.0, scale, size).astype(np.float32)

    width, residual = shape.width, 0.02 / np.sqrt(2 * shape.layers)
    weights = {
        "token": normal(shape.vocabulary, width, scale=0.04),
        "position": normal(shape.context, width, scale=0.02),
        "norm": np.ones(width, np.float32),
    }
    for layer in range(shape.layers):
        weights |= {
            f"norm1.{layer}": np.ones(width, np.float32),
            f"qkv.{layer}": normal(width, 3 * width, scale=0.06),
            f"out.{layer}": normal(width, width, scale=residual),
            f"norm2.{layer}": np.ones(width, np.float32),
            f"up.{layer}": normal(width, 4 * width, scale=0.06),
            f"down.{layer}": normal(4 * width, width, scale=residual),
        }
    return weights


def normalise_back(back: Floats, hidden: Floats, gain: Floats) -> tuple[Floats, Floats]:
    """Gradients of normalise() by its input (…, C) and its gain (C)."""
    scale = np.sqrt(np.mean(hidden * hidden, -1, keepdims=True) + np.float32(1e-5))
    unit = hidden / scale
    by_unit = back * gain
    by_hidden = (by_unit - unit * np.mean(by_unit * unit, -1, keepdims=True)) / scale
    return by_hidden, (back * unit).reshape(-1, gain.size).sum(0)


def loss_and_gradients(
    weights: dict[str, Floats], heads: int, tokens: np.ndarray, scored: np.ndarray
) -> tuple[float, dict[str, Floats]]:
    """Cross-entropy of the next token where `scored` (B, T-1) is true, and its gradient for every weight.

    `tokens` is (B, T) token ids, padded with PAD at the right, where nothing is scored.
    """
    seen, following = tokens[:, :-1], tokens[:, 1:]
    batch, length = seen.shape
    width = weights["token"].shape[1]
    depth = width // heads
    scale = np.float32(1 / np.sqrt(depth))
    layers = sum(name.startswith("qkv.") for name in weights)
    future = np.triu(np.ones((length, length), bool), 1)

    hidden = weights["token"][seen] + weights["position"][:length]
    kept = []
    for layer in range(layers):
        before = hidden
        first = normalise(before, weights[f"norm1.{layer}"])
        mixed = (first.reshape(-1, width) @ weights[f"qkv.{layer}"]).reshape(batch, length, 3, heads, depth)
        query, key, value = np.ascontiguousarray(mixed.transpose(2, 0, 3, 1, 4))
        scores = query @ key.transpose(0, 1, 3, 2) * scale
        scores[:, :, future] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        heard = (scores @ value).transpose(0, 2, 1, 3).reshape(-1, width)
        middle = before + (heard @ weights[f"out.{layer}"]).reshape(before.shape)
        second = normalise(middle, weights[f"norm2.{layer}"])
        wide = np.maximum(second.reshape(-1, width) @ weights[f"up.{layer}"], 0)
        hidden = middle + (wide @ weights[f"down.{layer}"]).reshape(before.shape)
        kept.append((before, first, query, key, value, scores, heard, middle, second, wide))

    rows = np.flatnonzero(scored)
    final = normalise(hidden, weights["norm"]).reshape(-1, width)[rows]
    logits = final @ weights["token"].T
    logits -= logits.max(-1, keepdims=True)
    odds = np.exp(logits)
    odds /= odds.sum(-1, keepdims=True)
    target = following.reshape(-1)[rows]
    loss = float(-np.log(odds[np.arange(len(rows)), target] + 1e-12).mean())

    odds[np.arange(len(rows)), target] -= 1
    odds /= len(rows)
    gradients = {"token": odds.T @ final}
    by_final = np.zeros((batch * length, width), np.float32)
    by_final[rows] = odds @ weights["token"]
    back, gradients["norm"] = normalise_back(by_final.reshape(hidden.shape), hidden, weights["norm"])
    for layer in reversed(range(layers)):
        before, first, query, key, value, scores, heard, middle, second, wide = kept[layer]
        flat = back.reshape(-1, width)
        gradients[f"down.{layer}"] = wide.T @ flat
        by_wide = (flat @ weights[f"down.{layer}"].T) * (wide > 0)
        gradients[f"up.{layer}"] = second.reshape(-1, width).T @ by_wide
        by_second = (by_wide @ weights[f"up.{layer}"].T).reshape(back.shape)
        by_middle, gradients[f"norm2.{layer}"] = normalise_back(by_second, middle, weights[f"norm2.{layer}"])
        back = back + by_middle
        flat = back.reshape(-1, width)
        gradients[f"out.{layer}"] = heard.T @ flat
        by_heard = (
            (flat @ weights[f"out.{layer}"].T).reshape(batch, length, heads, depth).transpose(0, 2, 1, 3)
        )
        by_scores = by_heard @ value.transpose(0, 1, 3, 2)
        by_value = scores.transpose(0, 1, 3, 2) @ by_heard
        by_scores = scores * (by_scores - (by_scores * scores).sum(-1, keepdims=True)) * scale
        by_query, by_key = by_scores @ key, by_scores.transpose(0, 1, 3, 2) @ query
        by_mixed = np.stack([by_query, by_key, by_value]).transpose(1, 3, 0, 2, 4).reshape(-1, 3 * width)
        gradients[f"qkv.{layer}"] = first.reshape(-1, width).T @ by_mixed
        by_first = (by_mixed @ weights[f"qkv.{layer}"].T).reshape(back.shape)
        by_before, gradients[f"norm1.{layer}"] = normalise_back(by_first, before, weights[f"norm1.{layer}"])
        back = back + by_before
    np.add.at(gradients["token"], seen.reshape(-1), back.reshape(-1, width))
    gradients["position"] = np.zeros_like(weights["position"])
    gradients["position"][:length] = back.sum(0)
    return loss, gradients


class Adam:
    """Adam with decoupled decay of the matrices and a bound on the gradient's norm."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self.mean = {name: np.zeros_like(value) for name, value in weights.items()}
        self.square = {name: np.zeros_like(value) for name, value in weights.items()}
        self.steps = 0

    def step(self, weights: dict[str, Floats], gradients: dict[str, Floats], rate: float) -> None:
        """Change the weights in place."""
        self.steps += 1
        size = float(np.sqrt(sum(float((value * value).sum()) for value in gradients.values())))
        clip = np.float32(min(1.0, 1.0 / (size + 1e-6)))
        for name, value in weights.items():
            gradient = gradients[name] * clip
            self.mean[name] += np.float32(0.1) * (gradient - self.mean[name])
            self.square[name] += np.float32(0.02) * (gradient * gradient - self.square[name])
            mean = self.mean[name] / np.float32(1 - 0.9**self.steps)
            square = self.square[name] / np.float32(1 - 0.98**self.steps)
            if value.ndim == 2:
                value *= np.float32(1 - rate * 0.05)
            value -= np.float32(rate) * mean / (np.sqrt(square) + np.float32(1e-8))


def batch_of(
    tokenizer: Tokenizer, draw: np.random.Generator, examples: list[Example]
) -> tuple[np.ndarray, np.ndarray]:
    """Padded tokens (B, T) and what is scored of them (B, T-1): the answer and its end."""
    sequences = []
    for example in examples:
        prompt = example.prompt
        if draw.random() < LOWER_CASE:
            prompt = prompt.lower()
        if draw.random() < GREETED:
            prompt = GREETINGS[draw.integers(len(GREETINGS))] + prompt
        sequences.append((tokenizer.encode(prompt), tokenizer.encode(example.answer)))
    length = max(len(prompt) + len(answer) + 3 for prompt, answer in sequences)
    tokens = np.full((len(sequences), length), PAD)
    scored = np.zeros((len(sequences), length - 1), bool)
    for row, (prompt, answer) in enumerate(sequences):
        line = [BOS, *prompt, SEP, *answer, EOS]
        tokens[row, : len(line)] = line
        scored[row, len(prompt) + 1 : len(line) - 1] = True
    return tokens, scored


def train(corpus: Corpus, tokenizer: Tokenizer, steps: int, draw: np.random.Generator) -> dict[str, Floats]:
    """Weights after `steps` batches, with progress on standard error."""
    weights = initial(draw, Shape(tokenizer.size, CONTEXT, WIDTH, HEADS, LAYERS))
    adam, started, order = Adam(weights), time.monotonic(), np.array([], int)
    for step in range(steps):
        if len(order) < BATCH:
            order = draw.permutation(len(corpus.train))
        chosen, order = order[:BATCH], order[BATCH:]
        tokens, scored = batch_of(tokenizer, draw, [corpus.train[index] for index in chosen])
        loss, gradients = loss_and_gradients(weights, HEADS, tokens, scored)
        rate = PEAK_RATE * min((step + 1) / WARMUP, 0.02 + 0.49 * (1 + np.cos(np.pi * step / steps)))
        adam.step(weights, gradients, rate)
        if (step + 1) % 100 == 0:
            spent = time.monotonic() - started
            left = spent / (step + 1) * (steps - step - 1)
            print(
                f"step {step + 1}/{steps}  loss {loss:.4f}  {spent:.0f} s, {left:.0f} s left", file=sys.stderr
            )
    return weights


def accuracy(model: Gpt, tokenizer: Tokenizer, examples: list[Example]) -> float:
    """Share of the prompts whose greedy answer is the expected text, to the letter."""
    right = 0
    for example in examples:
        answer = tokenizer.decode(list(model.generate(tokenizer.encode(example.prompt), CONTEXT)))
        right += answer == example.answer
    return right / len(examples)


def save(weights: dict[str, Floats], path: Path) -> None:
    """Write float16 arrays as .npz with fixed dates and order, so that equal weights are equal files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in sorted({**weights, "heads": np.int64(HEADS)}.items()):
            content = io.BytesIO()
            np.save(content, value if name == "heads" else value.astype(np.float16))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())


def main() -> None:
    """Train, write, and measure what was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=HERE / "1", help="directory to write to")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to learn from")
    arguments = parser.parse_args()
    started = time.monotonic()
    corpus = build(SEED)
    names = [word for fact in facts() for word in (f" {fact.place}", f" {fact.capital}")]
    tokenizer = Tokenizer.learn(
        [example.prompt + example.answer for example in corpus.train] + names, VOCABULARY
    )
    weights = train(corpus, tokenizer, arguments.steps, np.random.default_rng(SEED))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "tokenizer.json").write_text(
        json.dumps(tokenizer.merges, separators=(",", ":")) + "\n", "ascii"
    )
    save(weights, arguments.output / "weights.npz")
    minutes = (time.monotonic() - started) / 60
    model = Gpt.load(arguments.output / "weights.npz")
    report = {
        "parameters": sum(value.size for value in weights.values()),
        "train": round(accuracy(model, tokenizer, corpus.train[::4]), 4),
        "held_out": round(accuracy(model, tokenizer, corpus.held_out), 4),
        "unseen_phrasing": round(accuracy(model, tokenizer, corpus.unseen), 4),
        "minutes": round(minutes, 1),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
