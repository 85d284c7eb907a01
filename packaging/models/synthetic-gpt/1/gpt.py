"""A GPT with random weights whose every step is one CUDA graph: the arithmetic of the real thing, nothing to say.

It is a workload for acceptance: it reads the weights, fills the KV cache and multiplies as a served GPT of its
size does, so that its speed can be held against the memory's bandwidth. It isn't an engine for production: it
samples greedily, knows one GPU, and its KV cache is a fixed piece of memory for each sequence.

A step takes rows of tokens of several sequences at once: one row for each sequence that is decoding, and a
chunk each of a few prompts. Every combination of counts has a graph, recorded at start. What a step works on is
one small array of integers that is copied into place before the graph is replayed; the tokens that it decides
stay on the GPU for the next step, and follow to the host by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from kernels import Kernels
from rows import Row

VOCABULARY = 50304
"""GPT-2's 50,257 tokens, padded to a multiple of 128 as Megatron does."""


@dataclass(frozen=True)
class Shape:
    """A GPT's size; `width` is a multiple of `heads`."""

    layers: int
    width: int
    heads: int
    vocabulary: int = VOCABULARY

    def parameters(self, context: int) -> int:
        """How many numbers the weights are, for positions up to `context`."""
        layer = 12 * self.width**2 + 8 * self.width
        return self.layers * layer + (self.vocabulary + context + 2) * self.width

    def token_bytes(self) -> int:
        """Bytes of keys and values of one token, 16 bits a number."""
        return 4 * self.layers * self.width


SIZES = {
    "345m": Shape(24, 1024, 16),
    "1.3b": Shape(24, 2048, 16),
    "5b": Shape(24, 4096, 32),
    "20b": Shape(44, 6144, 48),
}
"""The GPTs of NeMo that the design measures (tables 13 and 14): layers, width and heads of their configurations."""


@dataclass(frozen=True)
class Layout:
    """The integers of one kind of step, by their places in one array: `decoding` sequences with a row each, then
    `prompts` with up to `chunk` rows.
    """

    decoding: int
    prompts: int
    chunk: int

    @property
    def sequences(self) -> int:
        """Sequences in the step."""
        return self.decoding + self.prompts

    @property
    def rows(self) -> int:
        """Rows of tokens in the step."""
        return self.decoding + self.prompts * self.chunk

    @property
    def longest(self) -> int:
        """Most rows of one sequence."""
        return self.chunk if self.prompts else 1

    @property
    def size(self) -> int:
        """Length of the array: three numbers a row, five a sequence, and two ends."""
        return 3 * self.rows + 5 * self.sequences + 2

    def split(self, flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Views: token, slot and position of each row; first row, first key and keys of each sequence; its last
        row and the slot that its next token is for.
        """
        rows, sequences = self.rows, self.sequences
        sizes = (rows, rows, rows, sequences + 1, sequences + 1, sequences, sequences, sequences)
        return torch.split(flat[: self.size], sizes)

    def integers(self, work: Sequence[Row], scratch: int, context: int) -> list[int]:
        """The array for `work`, its single rows before its prompts; padding works on the slot `scratch`."""
        token, slot, position = [], [], []
        first, key, used, last, target = [0], [], [], [], []

        def sequence(row: Row, tokens: Sequence[int]) -> None:
            token.extend(tokens)
            slot.extend([row.slot] * len(tokens))
            position.extend(range(row.position, row.position + len(tokens)))
            first.append(len(token))
            key.append(row.slot * context)
            used.append(row.position + len(tokens))
            last.append(len(token) - 1)
            target.append(row.slot if row.decides else scratch)

        padding = Row(scratch, 0, (0,))
        single = sum(len(row.tokens) <= 1 for row in work)
        for row in [*work[:single], *[padding] * (self.decoding - single)]:
            sequence(row, row.tokens or (-1,))
        for row in work[single:]:
            sequence(row, row.tokens)
        empty = self.sequences - len(key)
        rest = self.rows - len(token)
        return [
            *token, *[0] * rest, *slot, *[scratch] * rest, *position, *[0] * rest,
            *first, *[first[-1]] * empty, *key, *[scratch * context] * (empty + 1), *used, *[1] * empty,
            *last, *[0] * empty, *target, *[scratch] * empty,
        ]  # fmt: skip


class Engine:
    """Weights, KV cache and graphs of one GPT on one GPU; `step` starts a step, `result` waits for its tokens."""

    PROMPTS = (1, 4, 8)
    """How many prompts a step may take along: there are graphs for these, and for as many as there are places."""
    AHEAD = 3
    """Steps whose integers and tokens have a place of their own on the host."""

    def __init__(
        self,
        shape: Shape,
        slots: int = 16,
        context: int = 128,
        chunk: int = 32,
        own_kernels: bool = True,
        seed: int = 1,
    ) -> None:
        self.shape, self.slots, self.context, self.chunk = shape, slots, context, chunk
        self.device = torch.device("cuda")
        self.kernels = Kernels(own_kernels)
        self._weights(torch.Generator(device=self.device).manual_seed(seed))
        cache = (shape.layers, (slots + 1) * context, 2, shape.heads, shape.width // shape.heads)
        self.cache = torch.zeros(cache, device=self.device, dtype=torch.bfloat16)
        self.last = torch.zeros(slots + 1, device=self.device, dtype=torch.int64)
        self.stream = torch.cuda.Stream()
        self._graphs: dict[tuple[int, int], tuple[Layout, torch.cuda.CUDAGraph, torch.Tensor]] = {}
        largest = Layout(slots, slots, chunk).size
        self.integers = torch.zeros(largest, device=self.device, dtype=torch.int32)
        self._given = [torch.zeros(largest, dtype=torch.int32).pin_memory() for _ in range(self.AHEAD)]
        self._taken = [torch.zeros(2 * slots, dtype=torch.int64).pin_memory() for _ in range(self.AHEAD)]
        self._begins = [torch.cuda.Event(enable_timing=True) for _ in range(self.AHEAD)]
        self._ends = [torch.cuda.Event(enable_timing=True) for _ in range(self.AHEAD)]
        self._steps = 0

    def _weights(self, generator: torch.Generator) -> None:
        shape, width = self.shape, self.shape.width

        def random(rows: int, columns: int, scale: float) -> torch.Tensor:
            matrix = torch.empty((rows, columns), device=self.device, dtype=torch.bfloat16)
            return matrix.normal_(0.0, scale, generator=generator)

        def flat(value: float, length: int = width) -> torch.Tensor:
            return torch.full((length,), value, device=self.device, dtype=torch.bfloat16)

        deep = 0.02 / (2 * shape.layers) ** 0.5
        self.token = random(shape.vocabulary, width, 0.02)
        self.position = random(self.context, width, 0.02)
        self.norm = (flat(1.0), flat(0.0))
        self.layers = [
            {
                "norm1": (flat(1.0), flat(0.0)),
                "qkv": random(3 * width, width, 0.02),
                "out": random(width, width, deep),
                "norm2": (flat(1.0), flat(0.0)),
                "up": random(4 * width, width, 0.02),
                "bias": flat(0.0, 4 * width),
                "down": random(width, 4 * width, deep),
            }
            for _ in range(shape.layers)
        ]

    def buckets(self) -> list[int]:
        """How many decoding sequences there are graphs for: powers of two, and all slots."""
        found = [1]
        while found[-1] * 2 < self.slots:
            found.append(found[-1] * 2)
        return found if found[-1] == self.slots else [*found, self.slots]

    def groups(self) -> list[int]:
        """How many prompts there are graphs for: all places at most."""
        return [*(count for count in self.PROMPTS if count < self.slots), self.slots]

    @property
    def prompts(self) -> int:
        """Most prompts that a step takes along."""
        return self.slots

    def record(self) -> None:
        """Record the graph of every kind of step that so many places allow."""
        groups, buckets = [0, *self.groups()], [0, *self.buckets()]
        for index, prompts in enumerate(groups):
            for number, decoding in enumerate(buckets):
                # The fewest sequences that need this graph: one more than the next smaller one holds.
                fewest = (groups[index - 1] + 1) * bool(index) + (buckets[number - 1] + 1) * bool(number)
                if 0 < fewest <= self.slots:
                    self.graph(decoding, prompts)

    def graph(self, decoding: int, prompts: int) -> tuple[Layout, torch.cuda.CUDAGraph, torch.Tensor]:
        """The graph of a step with so many sequences that decode, and so many prompts."""
        found = self._graphs.get((decoding, prompts))
        if found is None:
            layout = Layout(decoding, prompts, self.chunk)
            padding = layout.integers([], self.slots, self.context)
            self.integers[: layout.size].copy_(torch.tensor(padding, dtype=torch.int32))
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self._forward(layout)
            self.stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            pool = next(iter(self._graphs.values()))[1].pool() if self._graphs else None
            with torch.cuda.graph(graph, pool=pool, stream=self.stream):
                tokens = self._forward(layout)
            found = self._graphs[decoding, prompts] = (layout, graph, tokens)
        return found

    def _forward(self, layout: Layout) -> torch.Tensor:
        shape, width, kernels = self.shape, self.shape.width, self.kernels
        depth = width // shape.heads
        given, slot, position, first, key, used, last, target = layout.split(self.integers)
        slot, position = slot.long(), position.long()
        token = torch.where(given < 0, self.last.index_select(0, slot), given.long())
        x = self.token.index_select(0, token) + self.position.index_select(0, position)
        place = slot * self.context + position
        for number, layer in enumerate(self.layers):
            mixed = kernels.product(kernels.norm(x, *layer["norm1"]), layer["qkv"])
            cache = self.cache[number]
            cache.view(-1, 2 * width).index_copy_(0, place, mixed[:, width:])
            heard = torch.ops.aten._flash_attention_forward(
                mixed[:, :width].view(-1, shape.heads, depth), cache[:, 0], cache[:, 1], first, key,
                layout.longest, self.context, 0.0, True, False, seqused_k=used,
            )[0]  # fmt: skip
            kernels.add(x, heard.view(-1, width), layer["out"])
            wide = kernels.gelu(kernels.norm(x, *layer["norm2"]), layer["up"], layer["bias"])
            kernels.add(x, wide, layer["down"])
        final = kernels.norm(x.index_select(0, last.long()), *self.norm)
        tokens = kernels.product(final, self.token).argmax(-1)
        self.last.index_copy_(0, target.long(), tokens)
        return tokens

    def step(self, work: Sequence[Row]) -> tuple[int, list[int]]:
        """Start a step; give what `result` wants. Rows of one token come before those of prompts.

        At most `AHEAD` - 1 steps may be without a `result` before another is started.
        """
        prompts = sum(len(row.tokens) > 1 for row in work)
        single = len(work) - prompts
        layout, graph, tokens = self.graph(fitting(single, self.buckets()), fitting(prompts, self.groups()))
        number = self._steps % self.AHEAD
        self._steps += 1
        given = self._given[number]
        given.numpy()[: layout.size] = layout.integers(work, self.slots, self.context)
        with torch.cuda.stream(self.stream):
            self._begins[number].record()
            self.integers[: layout.size].copy_(given[: layout.size], non_blocking=True)
            graph.replay()
            self._taken[number][: layout.sequences].copy_(tokens, non_blocking=True)
            self._ends[number].record()
        return number, [*range(single), *range(layout.decoding, layout.decoding + prompts)]

    def result(self, ticket: tuple[int, list[int]]) -> tuple[list[int], float]:
        """The next token of each row that the step was started with, and the seconds that it took; waits for it."""
        number, places = ticket
        self._ends[number].synchronize()
        tokens = self._taken[number].tolist()
        seconds = self._begins[number].elapsed_time(self._ends[number]) / 1e3
        return [tokens[place] for place in places], seconds


def fitting(count: int, sizes: Sequence[int]) -> int:
    """The first of `sizes` that holds `count`; 0 for none."""
    return next(size for size in sizes if size >= count) if count else 0
