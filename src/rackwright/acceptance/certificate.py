"""The certificate: what was sized, promised, measured and possible, side by side; as data and as one page."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rackwright import __version__
from rackwright.acceptance.judge import Outcome, outcome, share
from rackwright.acceptance.perf import Second
from rackwright.acceptance.plots import chart, lines_of
from rackwright.acceptance.promise import Design, Promise
from rackwright.acceptance.sweep import Choice, Point, Tokens

PAGE = Path(__file__).with_name("certificate.html.j2")
GB_PER_BILLION = 2.1
"""The design's rule for sizing (chapter 6): GB of GPU memory for each billion parameters at 16 bits."""
SLOWEST: Mapping[str, float] = {"5b": 1.5, "20b": 1.3}
"""Most times the memory's limit that a token may take. Smaller GPTs are bound by the number of their kernels."""
SLOWEST_AT_GBS = 3350
"""The memory's bandwidth for which these marks are, an H100 SXM's: with faster memory the kernels' own time weighs more."""
TRITON_SHARE = 0.95
"""Least share of the static batch without a server that Triton must reach at the same batch."""
MEMORY_SHARE = 0.10


@dataclass(frozen=True)
class ModelReport:
    """All that is known of one size: the design's promise, the loop without Triton, and the sweep's points.

    ``alike`` has as many clients as the loop has sequences, ``full`` twice as many, so that its batch stays full.
    ``raw`` is what the model's ``raw.py`` printed; ``second`` what perf_analyzer says of ``at_design``, or why
    it says nothing.
    """

    size: str
    design: Design
    raw: Mapping[str, Any]
    points: tuple[Point, ...]
    at_design: Point
    alike: Point
    full: Point
    choice: Choice
    second: Second | str

    def limit_ms(self, promise: Promise) -> float | None:
        """The least time of a token with one sequence: its weights over the memory's bandwidth."""
        bandwidth = promise.gpu.memory_bandwidth_gbs
        return self.raw["bytes_a_step"] / (bandwidth * 1e9) * 1e3 if bandwidth else None

    def places(self) -> int:
        """Places for sequences of the smallest setting that has the design's concurrency."""
        enough = [
            one.settings.places for one in self.points if one.settings.places >= self.design.load.concurrency
        ]
        return min(enough, default=self.at_design.settings.places)

    def memory_gb(self) -> float | None:
        """GPU memory with so many places, whatever the load: it is all taken at the start."""
        alike = [one.gpu_memory_gb for one in self.points if one.settings.places == self.places()]
        return max((used for used in alike if used is not None), default=None)

    def wave(self) -> float:
        """Inferences a second of the loop without Triton, at the batch of ``alike``."""
        return float(self.raw["waves"][str(self.alike.concurrency)])


@dataclass(frozen=True)
class Certificate:
    """Everything that is written down of one server."""

    promise: Promise
    host: str
    started: datetime.datetime
    seconds: float
    driver: str
    torch: str
    triton: str
    tokens: Tokens
    outcomes: tuple[Outcome, ...]
    models: tuple[ModelReport, ...]
    notes: tuple[str, ...] = ()
    raw_files: tuple[str, ...] = field(default=())

    @property
    def all_outcomes(self) -> tuple[Outcome, ...]:
        """The server's, and each model's."""
        return (*self.outcomes, *(one for report in self.models for one in judge(self.promise, report)))

    @property
    def result(self) -> str:
        """``passed`` where nothing failed and the speed was measured; ``incomplete`` where only that is missing."""
        outcomes = self.all_outcomes
        if any(one.result == "failed" for one in outcomes):
            return "failed"
        fast = any(one.id.startswith("speed.") and one.result == "passed" for one in outcomes)
        return "passed" if fast else "incomplete"


def judge(promise: Promise, report: ModelReport) -> list[Outcome]:
    """A model's figures against the design, against the loop without Triton, and against the memory's limit."""
    target, design, point = f"GPT {report.size}", report.design, report.at_design
    outcomes = [_memory(report), _arithmetic(report)]
    slower = "the GPU or its host is slower than the design's: see the speed.* checks, then the sweep"
    outcomes += [
        outcome("gpt.p95", target, point.p95_ms <= design.load.p95_ms,
                f"{point.p95_ms:.1f} ms at concurrency {point.concurrency}; the design: {design.load.p95_ms:.1f} ms",
                slower),
        outcome("gpt.throughput", target, point.inferences_per_second >= design.load.throughput,
                f"{point.inferences_per_second:.2f} inferences a second; the design: {design.load.throughput:.2f}",
                slower),
        share("gpt.triton", target, report.full.inferences_per_second, report.wave(), "inferences/s", TRITON_SHARE,
              "the server loses time between steps: is the host's CPU busy, or its clock low?"),
        Outcome("gpt.triton-alike", target, "not measured",
                f"with {report.alike.concurrency} clients on as many places: {report.alike.inferences_per_second:.1f} "
                f"of {report.wave():.1f} inferences/s; not judged: a place is empty while its client reads and asks",
                measured=report.alike.inferences_per_second, limit=report.wave(), unit="inferences/s"),
    ]  # fmt: skip
    limit = report.limit_ms(promise)
    if limit is not None:
        took = report.raw["step_seconds"] * 1e3
        said = f"{took:.3f} ms a token, {took / limit:.3f} times the weights over the memory's bandwidth ({limit:.3f})"
        most = SLOWEST.get(report.size)
        faster = (promise.gpu.memory_bandwidth_gbs or 0) > SLOWEST_AT_GBS
        if most is None or faster:
            why = (
                "the mark is for an H100's memory"
                if most
                else "bound by the number of kernels, not by memory"
            )
            outcomes.append(Outcome("gpt.token-time", target, "not measured", f"{said}; not judged: {why}",
                                    measured=took, limit=limit, unit="ms"))  # fmt: skip
        else:
            good = took <= most * limit
            outcomes.append(Outcome("gpt.token-time", target, "passed" if good else "failed",
                                    f"{said}; at most {most}", "" if good else slower, took, limit, "ms"))  # fmt: skip
    bad = [one for one in report.points if one.failures]
    outcomes.append(
        outcome("gpt.failures", target, not bad, f"{len(bad)} of {len(report.points)} points with failed requests"
                + (f": {bad[0].failures[0]}" if bad else ""), "see Triton's log among the raw files")
    )  # fmt: skip
    return outcomes


def _memory(report: ModelReport) -> Outcome:
    target, promised, used = f"GPT {report.size}", report.design.memory_gb, report.memory_gb()
    if used is None:
        return Outcome("gpt.memory", target, "not measured", "nvidia-smi gave no samples")
    said = f"{used:.2f} GB with {report.places()} places; the design: {promised} GB ({used / promised:.3f})"
    if report.raw["parameters"] < 1e9:
        return Outcome("gpt.memory", target, "not measured",
                       said + "; not judged: the design names it an exception to its own rule, most of it is what "
                       "CUDA and the libraries of each framework take", measured=used, limit=promised, unit="GB")  # fmt: skip
    good = abs(used - promised) <= MEMORY_SHARE * promised
    hint = "more or less memory than the size takes: other weights, context or slots than the design's?"
    return Outcome("gpt.memory", target, "passed" if good else "failed", said, "" if good else hint,
                   used, promised, "GB")  # fmt: skip


def _arithmetic(report: ModelReport) -> Outcome:
    found = report.raw["arithmetic"]
    return outcome(
        "gpt.arithmetic", f"GPT {report.size}", found["right"] == found["tokens"],
        f"{found['right']} of {found['tokens']} tokens as float32 arithmetic gives them (a small GPT, same code)",
        "wrong results: have the GPU replaced",
    )  # fmt: skip


def table(promise: Promise, reports: Sequence[ModelReport]) -> list[dict[str, Any]]:
    """One row a model: sized, promised, measured, limit; None where there is no figure."""
    rows = []
    for report in reports:
        load, point, raw = report.design.load, report.at_design, report.raw
        limit = report.limit_ms(promise)
        step = raw["step_seconds"] * 1e3
        rows.append(
            {
                "model": f"GPT {report.size}",
                "stands_for": report.design.model,
                "parameters": raw["parameters"],
                "sized": {"gpu_memory_gb": round(GB_PER_BILLION * raw["parameters"] / 1e9, 2)},
                "promised": {
                    "gpu_memory_gb": report.design.memory_gb,
                    "concurrency": load.concurrency,
                    "inferences_per_second": load.throughput,
                    "p95_ms": load.p95_ms,
                },
                "measured": {
                    "gpu_memory_gb": report.memory_gb(),
                    "places": report.places(),
                    "at_design_concurrency": point.to_dict(),
                    "clients_as_batch": report.alike.to_dict(),
                    "batch_kept_full": report.full.to_dict(),
                    "ms_per_token_alone": step,
                    "without_triton": {"waves": raw["waves"], "in_flight": raw["in_flight"]},
                    "perf_analyzer": asdict(report.second)
                    if isinstance(report.second, Second)
                    else report.second,
                },
                "limit": {"ms_per_token_alone": limit},
                "ratios": {
                    "memory_to_promised": _ratio(report.memory_gb(), report.design.memory_gb),
                    "throughput_to_promised": _ratio(point.inferences_per_second, load.throughput),
                    "p95_to_promised": _ratio(point.p95_ms, load.p95_ms),
                    "triton_to_static_batch": _ratio(report.full.inferences_per_second, report.wave()),
                    "triton_to_static_batch_clients_as_batch": _ratio(
                        report.alike.inferences_per_second, report.wave()
                    ),
                    "token_time_to_limit": _ratio(step, limit),
                },
                "best": {
                    "target_p95_ms": report.choice.target_ms,
                    "point": report.choice.point.to_dict() if report.choice.point else None,
                    "why": report.choice.why,
                },
            }
        )
    return rows


def _ratio(value: float | None, by: float | None) -> float | None:
    return round(value / by, 4) if value is not None and by else None


def to_dict(certificate: Certificate) -> dict[str, Any]:
    """The certificate as JSON-able data."""
    promise = certificate.promise
    return {
        "result": certificate.result,
        "server": {
            "host": certificate.host,
            "profile": promise.profile,
            "product": promise.server,
            "gpu": promise.gpu.product,
            "gpus": promise.count,
            "interconnect": promise.interconnect,
        },
        "started": certificate.started.isoformat(timespec="seconds"),
        "seconds": round(certificate.seconds, 1),
        "versions": {
            "rackwright": __version__,
            "driver": certificate.driver,
            "torch": certificate.torch,
            "triton": certificate.triton,
        },
        "tokens": asdict(certificate.tokens),
        "limits": {
            "memory_bandwidth_gbs": promise.gpu.memory_bandwidth_gbs,
            "bf16_tflops": promise.gpu.bf16_tflops,
            "pcie_gbs": promise.gpu.pcie_gbs,
            "nvlink_gbs": promise.gpu.nvlink_gbs,
        },
        "checks": [one.to_dict() for one in certificate.all_outcomes],
        "models": table(promise, certificate.models),
        "sweep": [point.to_dict() for report in certificate.models for point in report.points],
        "notes": list(certificate.notes),
        "raw_files": list(certificate.raw_files),
    }


def page(certificate: Certificate) -> str:
    """The certificate as one HTML page: everything in it, made to be printed."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    plots = [
        {
            "size": report.size,
            # The drawings are made of escaped parts (rackwright.report.svg).
            "throughput": Markup(  # noqa: S704
                chart(lines_of(report.points, lambda one: one.inferences_per_second), "inferences a second",
                      marks=[(report.design.load.concurrency, report.design.load.throughput, "design")])
            ),
            "latency": Markup(  # noqa: S704
                chart(lines_of(report.points, lambda one: one.p95_ms), "p95 in ms",
                      marks=[(report.design.load.concurrency, report.design.load.p95_ms, "design")])
            ),
        }
        for report in certificate.models
    ]  # fmt: skip
    outcomes = certificate.all_outcomes
    return environment.from_string(PAGE.read_text(encoding="utf-8")).render(
        data=to_dict(certificate),
        failed=[one for one in outcomes if one.result == "failed"],
        outcomes=outcomes,
        counts={
            kind: sum(one.result == kind for one in outcomes) for kind in ("passed", "failed", "not measured")
        },
        plots=plots,
    )
