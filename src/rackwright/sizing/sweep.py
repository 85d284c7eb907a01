"""Model Analyzer's ``metrics-model-inference.csv``: what a site measured itself."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import Finding, SiteError, UsageError
from rackwright.intent.load import shown

# Its columns' headers, from Model Analyzer's own sources. p99 is there by default, p95 where
# `inference_output_fields` has perf_latency_p95; GPU columns likewise, with the aggregation before the name.
MODEL, BATCH, CONCURRENCY = "Model", "Batch", "Concurrency"
CONFIG, INSTANCES = "Model Config Path", "Instance Group"
THROUGHPUT, P95, P99 = "Throughput (infer/sec)", "p95 Latency (ms)", "p99 Latency (ms)"
MEMORY = ("Max GPU Memory Usage (MB)", "GPU Memory Usage (MB)")
NEEDED = (MODEL, CONCURRENCY, THROUGHPUT)
MB_PER_GB = 1000


@dataclass(frozen=True)
class Measurement:
    """One row: latency in ms at the percentile that ``latency_name`` says, inferences per second, memory in GB.

    ``instances``: copies of the model that shared the GPU; ``place`` is file:line.
    """

    model: str
    config: str
    concurrency: int
    latency_ms: float
    latency_name: str
    throughput: float
    instances: int
    gpu_memory_gb: float | None
    place: str


def read_sweep(path: Path) -> tuple[Measurement, ...]:
    """The rows with one inference a request, of models that ran alone.

    Raises UsageError where there is no such file, SiteError with every fault.
    """
    if not path.is_file():
        raise UsageError(f"no sweep at '{path}'", "Model Analyzer writes results/metrics-model-inference.csv")
    name = shown(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SiteError(
            [_fault(name, 1, "the file is not UTF-8 text", "give Model Analyzer's CSV")]
        ) from None
    reader = csv.DictReader(text.splitlines())
    header = set(reader.fieldnames or ())
    missing = [column for column in NEEDED if column not in header]
    if P95 not in header and P99 not in header:
        missing.append(P95)
    if missing:
        raise SiteError(
            [_fault(name, 1, f"no column '{column}'", _hint(column, header)) for column in missing]
        )
    findings: list[Finding] = []
    rows: list[Measurement] = []
    for row in reader:
        line = reader.line_num
        alone = "," not in (row[MODEL] or "")
        if not alone or (row.get(BATCH) or "1") != "1":
            continue
        try:
            rows.append(_measurement(row, header, f"{name}:{line}"))
        except (ValueError, TypeError) as error:
            findings.append(_fault(name, line, f"this row has no number where one belongs: {error}", ""))
    if not rows and not findings:
        hint = "sweep with --batch-sizes 1, each model by itself: a user is one request"
        findings.append(_fault(name, 1, "no row of a single model with batch size 1", hint))
    if findings:
        raise SiteError(findings)
    return tuple(rows)


def _measurement(row: Mapping[str, str | None], header: set[str], place: str) -> Measurement:
    latency = P95 if P95 in header else P99
    memory = next((row[column] for column in MEMORY if row.get(column)), None)
    return Measurement(
        model=(row[MODEL] or "").strip(),
        config=(row.get(CONFIG) or "").strip(),
        concurrency=int(row[CONCURRENCY] or ""),
        latency_ms=_positive(row[latency]),
        latency_name=latency.partition(" ")[0],
        throughput=_positive(row[THROUGHPUT]),
        instances=int((row.get(INSTANCES) or "1").partition(":")[0]),
        gpu_memory_gb=_positive(memory) / MB_PER_GB if memory else None,
        place=place,
    )


def _positive(text: str | None) -> float:
    number = float(text or "")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"'{text}'")
    return number


def _hint(column: str, header: set[str]) -> str:
    if column == CONCURRENCY and "Request Rate" in header:
        return "a sweep by request rate doesn't say how many users: run it with --concurrency"
    if column == P95:
        return "let Model Analyzer write it: inference_output_fields with perf_latency_p95"
    return "give results/metrics-model-inference.csv as Model Analyzer wrote it"


def _fault(name: str, line: int, message: str, hint: str) -> Finding:
    return Finding("sweep", "error", name, line, 1, "", message, hint)
