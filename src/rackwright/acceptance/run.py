"""An acceptance: what was measured, held against what was ordered, and the certificate's files."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rackwright.acceptance import judge, perf
from rackwright.acceptance.certificate import Certificate, ModelReport, page, to_dict
from rackwright.acceptance.judge import Outcome, outcome
from rackwright.acceptance.measure import BATCH, CROWD, Model, Say, Task, measured
from rackwright.acceptance.promise import Promise, designs
from rackwright.acceptance.serve import Installation, Settings
from rackwright.acceptance.smi import Inventory, parse_query, parse_samples, parse_topology, parse_xids
from rackwright.acceptance.sweep import Point, Tokens, best, model_analyzer

TOKENS = Tokens()


@dataclass(frozen=True)
class Plan:
    """What an acceptance does.

    ``models``: sizes of the synthetic GPT, none for the hardware alone; ``grid``: settings beside 1 x 16;
    ``seconds`` of each measurement. ``target_ms``: the latency for the best setting, else the design's p95.
    """

    models: tuple[str, ...]
    tokens: Tokens = TOKENS
    grid: tuple[Settings, ...] = ()
    concurrencies: tuple[int, ...] = (1, 4, 8, 16, 32)
    seconds: float = 5.0
    target_ms: float | None = None

    def task(self, promise: Promise) -> Task:
        """What of it is to be measured."""
        known = designs(promise.catalogue)
        models = tuple(
            Model(size, known[size].memory_gb, known[size].load.concurrency) for size in self.models
        )
        return Task(promise.gpu.memory_gb, models, self.tokens, self.grid, self.concurrencies, self.seconds)


def accept(
    promise: Promise, plan: Plan, installed: Installation | None, output: Path, host: str, say: Say = print
) -> Certificate:
    """Measure on this server and judge; writes ``certificate.json``, ``certificate.html``, CSV files and ``raw/``.

    Raises RunFailure where nvidia-smi doesn't answer.
    """
    return certify(promise, plan, measured(plan.task(promise), installed, output, say), output, host)


def certify(
    promise: Promise, plan: Plan, seen: Mapping[str, Any], output: Path, host: str, without_speed: str = ""
) -> Certificate:
    """Judge what ``measured`` gave and write the certificate's files beside its ``raw/``.

    ``without_speed``: why the speed could not be measured here, where that is no fault of the server's. Raises
    ValueError for raw files that are none.
    """
    raw = output / "raw"
    before = parse_query((raw / "nvidia-smi-before.xml").read_text(encoding="utf-8"))
    later = raw / "nvidia-smi-after.xml"
    after = parse_query(later.read_text(encoding="utf-8")) if later.exists() else None
    outcomes = [*judge.inventory(promise, before), *links(promise, raw)]
    outcomes += speeds(promise, before, seen, raw, without_speed)
    reports: list[ModelReport] = []
    for size, found in seen["models"].items():
        if "failed" in found:
            hint = f"see raw/triton-{size}.log and raw/loop-{size}.json"
            outcomes.append(outcome("gpt.served", f"GPT {size}", False, found["failed"], hint))
        else:
            reports.append(report(promise, plan, size, found))
    xids = seen["xids"]
    outcomes += [judge.kernel_log(None if xids is None else parse_xids(xids)), *after_load(before, after)]
    certificate = Certificate(
        promise, host, datetime.datetime.fromisoformat(seen["started"]), seen["seconds"], before.driver,
        str((seen["hardware"] or {}).get("torch", "unknown")), seen["triton"], plan.tokens, tuple(outcomes),
        tuple(reports), notes(promise, plan, reports, without_speed),
        tuple(sorted(path.name for path in raw.iterdir() if path.is_file())),
    )  # fmt: skip
    write(certificate, output, before)
    return certificate


def write(certificate: Certificate, output: Path, seen: Inventory) -> None:
    """The certificate's files."""
    (output / "certificate.json").write_text(
        json.dumps(to_dict(certificate), indent=1) + "\n", encoding="utf-8"
    )
    (output / "certificate.html").write_text(page(certificate), encoding="utf-8")
    points = [point for report in certificate.models for point in report.points]
    for name, text in model_analyzer(points, seen.gpus[0].uuid if seen.gpus else "").items():
        if text:
            (output / name).write_text(text, encoding="utf-8")


def notes(
    promise: Promise, plan: Plan, reports: Sequence[ModelReport], without_speed: str
) -> tuple[str, ...]:
    """What a reader must know to judge the figures."""
    said = [f"Speed was not exercised: {without_speed}."] if without_speed else []
    if reports:
        said.append(
            "The models are synthetic GPTs: the shapes of the design's, random weights, real arithmetic; an "
            "acceptance workload, not an engine for production. Static batch: the same code without a server, "
            f"{BATCH} prompts at once, then all tokens, over and over."
        )
        said.append(
            "Load: our own closed-loop HTTP clients on the same host; perf_analyzer beside it where it ran."
        )
    if promise.count > 1 and reports:
        said.append("The models ran on the first GPU; the hardware checks on all.")
    if any(report.size == "345m" for report in reports):
        said.append(
            "GPT 345m: the design's 3.1 GB are mostly what CUDA and FasterTransformer take; ours is weights (0.7 "
            "GB), KV cache (0.2 GB), CUDA's context and the libraries' work space."
        )
    return tuple(said)


def links(promise: Promise, raw: Path) -> list[Outcome]:
    """The matrix of links, judged."""
    try:
        return judge.links(promise, parse_topology((raw / "topology.txt").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        return [Outcome("fabric.links", "server", "not measured", f"no topology matrix: {error}")]


def speeds(
    promise: Promise, before: Inventory, seen: Mapping[str, Any], raw: Path, without_speed: str
) -> list[Outcome]:
    """What ``hardware`` measured, judged; without PyTorch its absence."""
    found = seen["hardware"]
    if found is None:
        if without_speed:
            return [Outcome("speed", "server", "not measured", without_speed)]
        return [
            outcome("inventory.usable", "server", False, f"PyTorch can't use the GPUs: {seen['no_hardware']}",
                    "is CUDA_VISIBLE_DEVICES set, or Fabric Manager not running? Does PyTorch fit the driver?")
        ]  # fmt: skip
    usable = len(found["gpus"])
    samples = parse_samples((raw / "samples-hardware.csv").read_text(encoding="utf-8").splitlines())
    return [
        outcome("inventory.usable", "server", usable == promise.count,
                f"PyTorch uses {usable} of {promise.count} GPUs ordered",
                "is CUDA_VISIBLE_DEVICES or a container's device list in the way, or a GPU lost?"),
        *judge.hardware(promise, found),
        *judge.under_load(promise, before, samples),
    ]  # fmt: skip


def after_load(before: Inventory, after: Inventory | None) -> list[Outcome]:
    """Whether the load brought up errors that weren't there before, or lost a GPU; None where there was none."""
    if after is None:
        return [Outcome("health.after-load", "server", "not measured", "there was no load")]
    lost = {gpu.uuid for gpu in before.gpus} - {gpu.uuid for gpu in after.gpus}
    worse = [
        f"GPU {gpu.index}"
        for gpu, then in zip(after.gpus, before.gpus, strict=False)
        if (gpu.uncorrected or 0) > (then.uncorrected or 0)
        or (gpu.remapped or 0) > (then.remapped or 0)
        or (gpu.remap_pending and not then.remap_pending)
    ]
    said = [f"{len(lost)} GPUs lost"] * bool(lost) + [f"new memory errors on {', '.join(worse)}"] * bool(
        worse
    )
    return [
        outcome("health.after-load", "server", not said, "; ".join(said) or "no new errors, no GPU lost",
                "errors that appear under load: have the GPU replaced")
    ]  # fmt: skip


def report(promise: Promise, plan: Plan, size: str, found: Mapping[str, Any]) -> ModelReport:
    """One size, from what ``measure.one_model`` gave."""
    base, design = Settings(), designs(promise.catalogue)[size]
    points = tuple(
        Point(**{**one, "settings": Settings(**one["settings"]), "tokens": Tokens(**one["tokens"]),
                 "failures": tuple(one["failures"])})
        for one in found["points"]
    )  # fmt: skip
    own = {point.concurrency: point for point in points if point.settings == base}
    choice = best(points, plan.target_ms or design.load.p95_ms)
    second = found["second"] if isinstance(found["second"], str) else perf.Second(**found["second"])
    return ModelReport(
        size, design, found["loop"], points, own[design.load.concurrency], own[BATCH], own[CROWD], choice, second
    )  # fmt: skip
