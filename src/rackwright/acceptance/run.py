"""An acceptance on the server itself, from the first look to the certificate; everything that programs say is kept."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rackwright.acceptance import hardware, judge, perf
from rackwright.acceptance.certificate import Certificate, ModelReport, page, to_dict
from rackwright.acceptance.judge import Outcome, outcome
from rackwright.acceptance.promise import Design, Promise, designs
from rackwright.acceptance.serve import Installation, Sampler, Settings, raw_loop, triton
from rackwright.acceptance.smi import Inventory, parse_query, parse_topology, parse_xids
from rackwright.acceptance.sweep import Point, Tokens, best, measure, model_analyzer, prompts
from rackwright.errors import RunFailure

BATCH = 16
"""The batch at which Triton is held against the loop without it: the design's concurrency for its 20B model."""
CROWD = 2 * BATCH
"""Clients that keep that batch full: while some read their answers, others wait for a place."""


TOKENS = Tokens()


@dataclass(frozen=True)
class Plan:
    """What an acceptance does.

    ``models``: sizes of the synthetic GPT, none for the hardware alone; ``grid``: settings beside 1 x 16;
    ``seconds`` of each measurement. ``target_ms``: the latency for the best setting, else the design's p95.
    """

    output: Path
    installed: Installation | None
    models: tuple[str, ...]
    tokens: Tokens = TOKENS
    grid: tuple[Settings, ...] = ()
    concurrencies: tuple[int, ...] = (1, 4, 8, 16, 32)
    seconds: float = 5.0
    target_ms: float | None = None


Say = Callable[[str], None]


def accept(promise: Promise, plan: Plan, host: str, say: Say = print) -> Certificate:
    """Run it all; writes ``certificate.json``, ``certificate.html``, the sweep's CSV files and ``raw/``.

    Raises RunFailure where nvidia-smi doesn't answer, or a server doesn't start.
    """
    began, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    raw = plan.output / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    say("looking at the GPUs")
    before = query(raw / "nvidia-smi-before.xml")
    outcomes = judge.inventory(promise, before) + topology(promise, raw)
    say("measuring memory, matrix products and links")
    found, measured = rates(promise, before, raw, plan.seconds)
    outcomes += measured
    reports: list[ModelReport] = []
    if plan.installed is not None:
        for size in plan.models:
            say(f"GPT {size}")
            design = designs(promise.catalogue)[size]
            try:
                reports.append(model(promise, plan, plan.installed, size, design, raw, say))
            except (RunFailure, ValueError, OSError, subprocess.TimeoutExpired) as error:
                said = " ".join(str(error).split())[:400]
                hint = f"see raw/triton-{size}.log and raw/loop-{size}.json"
                outcomes.append(outcome("gpt.served", f"GPT {size}", False, said, hint))
                say(f"  failed: {said}")
    after = query(raw / "nvidia-smi-after.xml")
    outcomes += [kernel(raw), *after_load(before, after)]
    certificate = Certificate(
        promise, host, started, time.monotonic() - began, before.driver, str(found.get("torch", "unknown")),
        triton_version(raw), plan.tokens, tuple(outcomes), tuple(reports), notes(promise, plan, reports),
        tuple(sorted(path.name for path in raw.iterdir() if path.is_file())),
    )  # fmt: skip
    write(certificate, plan.output, before)
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


def notes(promise: Promise, plan: Plan, reports: Sequence[ModelReport]) -> tuple[str, ...]:
    """What a reader must know to judge the figures."""
    said = []
    if plan.models:
        said.append(
            "The models are synthetic GPTs: the shapes of the design's, random weights, real arithmetic; an "
            "acceptance workload, not an engine for production. Static batch: the same code without a server, "
            f"{BATCH} prompts at once, then all tokens, over and over."
        )
        said.append(
            "Load: our own closed-loop HTTP clients on the same host; perf_analyzer beside it where it ran."
        )
    if promise.count > 1 and plan.models:
        said.append("The models ran on the first GPU; the hardware checks on all.")
    if any(report.size == "345m" for report in reports):
        said.append(
            "GPT 345m: the design's 3.1 GB are mostly what CUDA and FasterTransformer take; ours is weights (0.7 "
            "GB), KV cache (0.2 GB), CUDA's context and the libraries' work space."
        )
    return tuple(said)


def query(keep: Path) -> Inventory:
    """nvidia-smi's XML, kept without serial numbers. Raises RunFailure where there is none."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-q", "-x"], capture_output=True, text=True, timeout=120, check=False
        )
        text, said = done.stdout, done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        text, said = "", str(error)
    keep.write_text(anonymous(text), encoding="utf-8")
    try:
        return parse_query(text)
    except ValueError as error:
        raise RunFailure(
            "asking nvidia-smi for the GPUs", "this server", said.strip() or text.strip()[:200] or str(error),
            "no driver is loaded, or it lost a GPU", "dmesg | grep -i nvrm; lspci -d 10de:",
        ) from None  # fmt: skip


def anonymous(text: str) -> str:
    """The XML without serial numbers and the long list of supported clocks; unique ids stay for the inventory."""
    text = re.sub(r"(?s)\s*<supported_clocks>.*?</supported_clocks>", "", text)
    return re.sub(r"<(serial|pdi|board_serial)>[^<]*</", r"<\1>removed</", text)


def topology(promise: Promise, raw: Path) -> list[Outcome]:
    """The matrix of links, judged."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "topo", "-m"], capture_output=True, text=True, timeout=60, check=False
        )
        (raw / "topology.txt").write_text(done.stdout, encoding="utf-8")
        return judge.links(promise, parse_topology(done.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return [Outcome("fabric.links", "server", "not measured", f"no topology matrix: {error}")]


def kernel(raw: Path) -> Outcome:
    """NVIDIA's messages in the kernel's log, judged."""
    try:
        done = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return judge.kernel_log(None)
    if done.returncode:
        return judge.kernel_log(None)
    lines = [line for line in done.stdout.splitlines() if "NVRM" in line]
    (raw / "kernel.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return judge.kernel_log(parse_xids(lines))


def rates(
    promise: Promise, seen: Inventory, raw: Path, seconds: float
) -> tuple[dict[str, Any], list[Outcome]]:
    """What ``hardware`` measures, in a process of its own, and its judgement."""
    command = [sys.executable, str(Path(hardware.__file__)), "--seconds", str(min(seconds, 3.0))]
    with Sampler(raw / "samples-hardware.csv") as sampler:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    (raw / "hardware.json").write_text(done.stdout or done.stderr, encoding="utf-8")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {}, [
            outcome("inventory.usable", "server", False, f"PyTorch can't use the GPUs: {last}",
                    "is CUDA_VISIBLE_DEVICES set, or Fabric Manager not running? Does PyTorch fit the driver?")
        ]  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    usable = len(found["gpus"])
    outcomes = [
        outcome("inventory.usable", "server", usable == promise.count,
                f"PyTorch uses {usable} of {promise.count} GPUs ordered",
                "is CUDA_VISIBLE_DEVICES or a container's device list in the way, or a GPU lost?")
    ]  # fmt: skip
    outcomes += judge.hardware(promise, found)
    return found, outcomes + judge.under_load(promise, seen, sampler.since())


def after_load(before: Inventory, after: Inventory) -> list[Outcome]:
    """Whether the load brought up errors that weren't there before, or lost a GPU."""
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


def triton_version(raw: Path) -> str:
    """What the servers' logs say of themselves."""
    for log in sorted(raw.glob("triton-*.log")):
        found = re.search(r"server_version\s*\|\s*(\S+)", log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
    return "not started"


def model(
    promise: Promise, plan: Plan, installed: Installation, size: str, design: Design, raw: Path, say: Say
) -> ModelReport:
    """One size: the loop without Triton, then the sweep with it."""
    base = Settings()
    done = raw_loop(installed, size, plan.tokens.prompt, plan.tokens.new, base, 0, plan.seconds)
    (raw / f"loop-{size}.json").write_text(done.stdout or done.stderr, encoding="utf-8")
    if done.returncode:
        raise RunFailure(
            f"running the synthetic GPT {size} without a server", "this server",
            (done.stderr.strip().splitlines() or ["no output"])[-1],
            "PyTorch doesn't fit the GPU, or its memory is full", f"read raw/loop-{size}.json",
        )  # fmt: skip
    loop = json.loads(done.stdout.splitlines()[-1])
    points: list[Point] = []
    second: perf.Second | str = "not asked"
    at = design.load.concurrency
    counts = sorted({*plan.concurrencies, at, BATCH, CROWD})
    for settings in (base, *(one for one in plan.grid if one != base)):
        if settings.instances * 1.1 * design.memory_gb > promise.gpu.memory_gb:
            say(f"  {settings.label} doesn't fit {promise.gpu.memory_gb} GB")
            continue
        with (
            triton(installed, size, settings, raw, 0) as address,
            Sampler(raw / f"samples-{size}.csv") as sampler,
        ):
            for count in counts:
                points.append(measure(address, size, settings, count, plan.tokens, plan.seconds, sampler, 0))
                say(f"  {settings.label} at {count}: {points[-1].inferences_per_second:.2f} inferences/s, "
                    f"p95 {points[-1].p95_ms:.1f} ms")  # fmt: skip
            if settings == base:
                asked = prompts(at, plan.tokens)
                second = perf.measure(installed, address, asked, plan.tokens.new, plan.seconds, raw)
    own = {point.concurrency: point for point in points if point.settings == base}
    choice = best(points, plan.target_ms or design.load.p95_ms)
    return ModelReport(size, design, loop, tuple(points), own[at], own[BATCH], own[CROWD], choice, second)
