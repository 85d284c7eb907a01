"""The sweep: how each size of GPT answers at each setting and concurrency, and which setting is best."""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rackwright.acceptance.load import Load, closed_loop
from rackwright.acceptance.serve import NAME, Installation, Sampler, Settings, triton
from rackwright.acceptance.smi import Sample

WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Tokens:
    """What each request is: tokens of its prompt, and new tokens that it asks for."""

    prompt: int = 32
    new: int = 20


@dataclass(frozen=True)
class Point:
    """One measurement. Times in ms, memory in GB (10^9 bytes), power in W, energy in J for each new token."""

    size: str
    settings: Settings
    concurrency: int
    tokens: Tokens
    seconds: float
    answers: int
    inferences_per_second: float
    tokens_per_second: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    gpu_memory_gb: float | None
    gpu_utilization: float | None
    power_w: float | None
    failures: tuple[str, ...]

    @property
    def energy_j(self) -> float | None:
        """Of the GPU alone."""
        return self.power_w / self.tokens_per_second if self.power_w and self.tokens_per_second else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "energy_j_per_token": self.energy_j}


def prompts(concurrency: int, tokens: Tokens) -> list[str]:
    """A prompt for each client, all different: the synthetic GPT takes a character for a token."""
    return [f"{number:04d} ".ljust(tokens.prompt, "abcdefghij"[number % 10]) for number in range(concurrency)]


def point(
    size: str, settings: Settings, tokens: Tokens, seconds: float, load: Load, samples: Sequence[Sample]
) -> Point:
    """The figures of one load and the samples taken meanwhile; the samples are of one GPU.

    Raises ValueError when nothing was answered.
    """
    if not load.latencies_ms:
        raise ValueError(
            "no answer: " + ("; ".join(load.failures[:2]) or "within the time of the measurement")
        )

    def mean(values: Iterable[float | None]) -> float | None:
        there = [value for value in values if value is not None]
        return statistics.fmean(there) if there else None

    used = [sample.used_mib for sample in samples if sample.used_mib is not None]
    return Point(
        size, settings, load.concurrency, tokens, seconds, len(load.latencies_ms),
        load.inferences_per_second, load.tokens_per_second, statistics.fmean(load.latencies_ms),
        load.percentile(0.5), load.percentile(0.95), load.percentile(0.99),
        max(used) * 2**20 / 1e9 if used else None,
        mean(sample.utilization for sample in samples), mean(sample.power_w for sample in samples), load.failures,
    )  # fmt: skip


def measure(
    address: str, size: str, settings: Settings, concurrency: int, tokens: Tokens, seconds: float,
    sampler: Sampler, gpu: int,
) -> Point:  # fmt: skip
    """Load the server at ``address`` for ``seconds``; the warm-up's samples don't count."""
    began = time.monotonic()
    mark = sampler.mark()
    load = closed_loop(address, NAME, prompts(concurrency, tokens), tokens.new, seconds, WARM_SECONDS)
    samples = [sample for sample in sampler.since(mark) if sample.index == gpu]
    warm = int(len(samples) * WARM_SECONDS / (time.monotonic() - began)) + 1
    return point(size, settings, tokens, seconds, load, samples[warm:])


def sweep(
    installed: Installation, size: str, grid: Sequence[Settings], concurrencies: Sequence[int], tokens: Tokens,
    seconds: float, work: Path, gpu: int = 0,
) -> list[Point]:  # fmt: skip
    """Every setting in its own server, at every concurrency."""
    found = []
    for settings in grid:
        with (
            triton(installed, size, settings, work, gpu) as address,
            Sampler(work / f"samples-{size}.csv") as said,
        ):
            found += [
                measure(address, size, settings, concurrency, tokens, seconds, said, gpu)
                for concurrency in concurrencies
            ]
    return found


@dataclass(frozen=True)
class Choice:
    """The best point under a latency target, and why it."""

    point: Point | None
    target_ms: float
    why: str


def best(points: Sequence[Point], target_ms: float) -> Choice:
    """The most inferences a second with p95 within the target; of nearly equal ones (2 %), the less loaded one."""
    sound = [one for one in points if not one.failures]
    within = [one for one in sound if one.p95_ms <= target_ms]
    if not within:
        if not sound:
            return Choice(None, target_ms, "no point of the sweep was without failures")
        lowest = min(sound, key=lambda one: one.p95_ms)
        why = f"no point keeps p95 within {target_ms:.0f} ms; the lowest has {lowest.p95_ms:.0f} ms"
        return Choice(None, target_ms, f"{why}, {lowest.settings.label} at concurrency {lowest.concurrency}")
    most = max(one.inferences_per_second for one in within)
    near = [one for one in within if one.inferences_per_second >= 0.98 * most]
    chosen = min(near, key=lambda one: (one.concurrency, one.settings.instances, one.settings.slots))
    beyond = [one for one in sound if one.p95_ms > target_ms and one.inferences_per_second > most]
    why = (
        f"{len(within)} of {len(points)} points keep p95 within {target_ms:.0f} ms; of these "
        f"{chosen.settings.instances} x {chosen.settings.slots} (instances x sequences at once) at concurrency "
        f"{chosen.concurrency} answers {chosen.inferences_per_second:.1f} a second with p95 {chosen.p95_ms:.0f} ms"
    )
    why += f"; {len(near) - 1} others come within 2 % of it with more load or memory" if len(near) > 1 else ""
    if beyond:
        more = max(beyond, key=lambda one: one.inferences_per_second)
        why += (
            f"; more would be had at concurrency {more.concurrency} ({more.inferences_per_second:.1f} a second), "
            f"but with p95 {more.p95_ms:.0f} ms"
        )
    return Choice(chosen, target_ms, why)


def model_analyzer(points: Sequence[Point], uuid: str) -> dict[str, str]:
    """The sweep as Model Analyzer's two CSV files, by name, for ``rackwright size --sweep``.

    A size goes by the name of the catalogue's model that it stands for (``nemo-gpt-20b``).
    """
    inference, gpus = [], []
    for one in points:
        if one.failures:
            continue
        same: dict[str, object] = {
            "Model": f"nemo-gpt-{one.size}",
            "Batch": 1,
            "Concurrency": one.concurrency,
            "Model Config Path": f"synthetic-gpt-{one.size}-{one.settings.instances}x{one.settings.slots}",
            "Instance Group": f"{one.settings.instances}:GPU",
            "Satisfies Constraints": "Yes",
        }
        inference.append(
            {
                **same,
                "Max Batch Size": 0,
                "Throughput (infer/sec)": round(one.inferences_per_second, 3),
                "p50 Latency (ms)": round(one.p50_ms, 3),
                "p95 Latency (ms)": round(one.p95_ms, 3),
                "p99 Latency (ms)": round(one.p99_ms, 3),
            }
        )
        if one.gpu_memory_gb is not None:
            gpus.append(
                {
                    **same,
                    "GPU UUID": uuid,
                    "GPU Memory Usage (MB)": round(one.gpu_memory_gb * 1000, 1),
                    "GPU Utilization (%)": round(one.gpu_utilization or 0, 1),
                    "GPU Power Usage (W)": round(one.power_w or 0, 1),
                }
            )
    return {"metrics-model-inference.csv": _csv(inference), "metrics-model-gpu.csv": _csv(gpus)}


def _csv(rows: Sequence[dict[str, object]]) -> str:
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
