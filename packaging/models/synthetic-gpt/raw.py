"""The GPT without Triton: what its steps take, whether its arithmetic is right, and what the server could reach.

    python raw.py SIZE [--slots N] [--prompt N] [--new N] [--seconds S]

Prints one JSON object. `wave`: all prompts at once, then all tokens, over and over: a static batch, the most
that a server which never waits could give. `in_flight`: the scheduler's own loop, with as many sequences.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent / "1"))

from gpt import SIZES, Engine, Shape
from rows import Row
from schedule import Generation, Scheduler


def reference(engine: Engine, tokens: list[int]) -> torch.Tensor:
    """The logits after each of `tokens` (T, V), from the same weights in float32, the whole text at once."""
    width, heads = engine.shape.width, engine.shape.heads
    length, depth = len(tokens), width // heads

    def norm(x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, (width,), gain.float(), bias.float())

    x = engine.token[tokens].float() + engine.position[:length].float()
    for layer in engine.layers:
        mixed = norm(x, *layer["norm1"]) @ layer["qkv"].float().t()
        query, key, value = mixed.view(length, 3, heads, depth).permute(1, 2, 0, 3)
        heard = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + heard.permute(1, 0, 2).reshape(length, width) @ layer["out"].float().t()
        wide = norm(x, *layer["norm2"]) @ layer["up"].float().t() + layer["bias"].float()
        x = x + torch.nn.functional.gelu(wide, approximate="tanh") @ layer["down"].float().t()
    return norm(x, *engine.norm) @ engine.token.float().t()


def arithmetic(own: bool) -> dict[str, Any]:
    """Whether sequences that join and leave get the tokens that float32 arithmetic gives each of them alone.

    In a small GPT with larger weights, so that one token clearly wins; a token counts as right where its logit
    is within rounding (2 % of the spread) of the best.
    """
    engine = Engine(Shape(3, 512, 4, 4096), slots=5, context=128, chunk=16, own_kernels=own, seed=7)
    for layer in engine.layers:
        for name in ("qkv", "out", "up", "down"):
            layer[name].mul_(3.0)
    engine.record()
    said: dict[int, list[int]] = {}
    scheduler = Scheduler(engine)
    prompts = [
        [(7 * n + 3 * k) % 251 for k in range(length)] for n, length in enumerate((1, 5, 16, 33, 40, 7, 17))
    ]
    for number, prompt in enumerate(prompts):
        said[number] = []
        scheduler.submit(
            Generation(tuple(prompt), 20 + number, lambda t, _, n=number: said[n].append(t), print)
        )
    scheduler.close()
    scheduler.run()
    right = total = 0
    worst = 0.0
    for number, prompt in enumerate(prompts):
        text = prompt + said[number]
        logits = reference(engine, text)[len(prompt) - 1 : -1]
        chosen = logits[torch.arange(len(said[number])), said[number]]
        short = ((logits.max(-1).values - chosen) / logits.std(-1)).tolist()
        worst = max(worst, *short)
        right += sum(gap <= 0.1 for gap in short)
        total += 20 + number
    return {"tokens": total, "right": right, "worst_gap_in_deviations": worst}


def alone(engine: Engine, prompt: int, new: int, repeats: int) -> float:
    """Seconds of a decoding step with one sequence, the median."""
    tokens = tuple(range(1, prompt + 1))
    took = []
    for _ in range(repeats):
        for begin in range(0, prompt, engine.chunk):
            row = Row(0, begin, tokens[begin : begin + engine.chunk])
            engine.result(engine.step([row]))
        torch.cuda.synchronize()
        began = time.perf_counter()
        rows = [Row(0, prompt + index) for index in range(new)]
        tickets: list[Any] = []
        for index, row in enumerate(rows):
            tickets.append(engine.step([row]))
            if index:
                engine.result(tickets[index - 1])
        engine.result(tickets[-1])
        took.append((time.perf_counter() - began) / new)
    return median(took)


def wave(engine: Engine, prompt: int, new: int, batch: int, seconds: float) -> float:
    """Inferences a second of whole batches, each after the one before; `prompt` is one chunk."""
    begin = [Row(slot, 0, tuple(range(1, prompt + 1))) for slot in range(batch)]
    engine.graph(0, batch)

    def once() -> None:
        before = engine.step(begin)
        for index in range(new - 1):
            now = engine.step([Row(slot, prompt + index) for slot in range(batch)])
            engine.result(before)
            before = now
        engine.result(before)

    once()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        once()
        done += batch
    return done / (time.perf_counter() - began)


def in_flight(engine: Engine, prompt: int, new: int, batch: int, seconds: float) -> float:
    """Inferences a second of the scheduler with `batch` sequences, each of which asks again at once."""
    scheduler = Scheduler(engine)
    tokens = tuple(range(1, prompt + 1))
    ends: list[list[float]] = [[] for _ in range(batch)]
    until = time.perf_counter() + seconds

    def ask(number: int) -> None:
        def hear(token: int, last: bool) -> None:
            if last:
                ends[number].append(time.perf_counter())
                if ends[number][-1] < until:
                    ask(number)

        scheduler.submit(Generation(tokens, new, hear, print))

    for number in range(batch):
        ask(number)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    time.sleep(max(until - time.perf_counter(), 0) + 0.1)
    scheduler.close()
    thread.join()
    # Each sequence's own rate, without its first answer, so that nothing is cut at the ends.
    return sum((len(one) - 2) / (one[-1] - one[1]) for one in ends)


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", choices=sorted(SIZES))
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--library-kernels", action="store_true", help="PyTorch's operators only")
    given = parser.parse_args()
    torch.cuda.init()
    free_before = torch.cuda.mem_get_info()[0]
    began = time.perf_counter()
    engine = Engine(SIZES[given.size], given.slots, given.context, own_kernels=not given.library_kernels)
    made = time.perf_counter()
    engine.record()
    recorded = time.perf_counter()
    shape = engine.shape
    step = alone(engine, given.prompt, 64, 3)
    result = {
        "size": given.size,
        "prompt_tokens": given.prompt,
        "new_tokens": given.new,
        "own_kernels": engine.kernels.own,
        "why_not": engine.kernels.why,
        "parameters": shape.parameters(given.context),
        # Each step reads every weight once, but of the embedding's two uses only the product with it.
        "bytes_a_step": 2 * (shape.parameters(0)),
        "weights_seconds": made - began,
        "record_seconds": recorded - made,
        "step_seconds": step,
        "waves": {},
        "in_flight": {},
        "arithmetic": arithmetic(not given.library_kernels),
    }
    for batch in (1, 4, given.slots):
        result["waves"][str(batch)] = wave(engine, given.prompt, given.new, batch, given.seconds)
        result["in_flight"][str(batch)] = in_flight(engine, given.prompt, given.new, batch, given.seconds)
    result["memory_bytes"] = free_before - torch.cuda.mem_get_info()[0]
    result["allocated_bytes"] = torch.cuda.memory_allocated()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
