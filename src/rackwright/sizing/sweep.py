"""Model Analyzer's ``metrics-model-inference.csv``, and ``metrics-model-gpu.csv`` beside it: a site's own sweep."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import Finding, SiteError, UsageError
from rackwright.intent.load import shown

# Its columns' headers, from Model Analyzer's own sources. p99 is there by default, p95 where
# `inference_output_fields` has perf_latency_p95. GPU memory stands in the second file, a row for each GPU.
MODEL, BATCH, CONCURRENCY = "Model", "Batch", "Concurrency"
CONFIG, INSTANCES = "Model Config Path", "Instance Group"
THROUGHPUT, P95, P99 = "Throughput (infer/sec)", "p95 Latency (ms)", "p99 Latency (ms)"
MEMORY = "GPU Memory Usage (MB)"
NEEDED = (MODEL, CONCURRENCY, THROUGHPUT)
GPU_FILE = "metrics-model-gpu.csv"
MB_PER_GB = 1000


@dataclass(frozen=True)
class Measurement:
    """One row: latency in ms at the percentile that ``latency_name`` says, inferences per second.

    ``instances``: copies of the model that shared the GPU; ``gpus_gb``: memory used of each GPU, in GB, where
    it is known; ``place`` is file:line.
    """

    model: str
    config: str
    concurrency: int
    latency_ms: float
    latency_name: str
    throughput: float
    instances: int
    gpus_gb: tuple[float, ...]
    place: str

    def memory_gb(self, least: float | None) -> float | None:
        """What the model used: of the fullest GPU, or of all where that has less than the ``least`` it takes."""
        if not self.gpus_gb:
            return None
        fullest = max(self.gpus_gb)
        return fullest if least is not None and fullest >= least else sum(self.gpus_gb)


def read_sweep(path: Path) -> tuple[Measurement, ...]:
    """The rows with one inference a request, of models that ran alone.

    Raises UsageError where there is no such file, SiteError with every fault.
    """
    if not path.is_file():
        raise UsageError(f"no sweep at '{path}'", "Model Analyzer writes results/metrics-model-inference.csv")
    name, header, rows = _rows(path)
    missing = [column for column in NEEDED if column not in header]
    if P95 not in header and P99 not in header:
        missing.append(P95)
    if missing:
        raise SiteError(
            [_fault(name, 1, f"no column '{column}'", _hint(column, header)) for column in missing]
        )
    memory, findings = _gpu_memory(path.with_name(GPU_FILE))
    found: list[Measurement] = []
    for line, row in rows:
        try:
            found.append(_measurement(row, header, memory.get(_key(row), ()), f"{name}:{line}"))
        except (ValueError, TypeError) as error:
            findings.append(_no_number(name, line, error))
    if not found and not findings:
        hint = "sweep with --batch-sizes 1, each model by itself: a user is one request"
        findings.append(_fault(name, 1, "no row of a single model with batch size 1", hint))
    if findings:
        raise SiteError(findings)
    return tuple(found)


Row = Mapping[str, str | None]


def _rows(path: Path) -> tuple[str, set[str], list[tuple[int, Row]]]:
    """The file's name as messages show it, its header, and line and row of single models with batch size 1."""
    name = shown(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SiteError(
            [_fault(name, 1, "the file is not UTF-8 text", "give Model Analyzer's CSV")]
        ) from None
    reader = csv.DictReader(text.splitlines())
    try:
        header = set(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        line = max(reader.line_num, 1)
        raise SiteError(
            [_fault(name, line, f"this is not CSV: {error}", "give Model Analyzer's CSV")]
        ) from None
    single = [(line, row) for line, row in rows if "," not in (row.get(MODEL) or "")]
    return name, header, [(line, row) for line, row in single if (row.get(BATCH) or "1") == "1"]


def _key(row: Row) -> tuple[str | None, ...]:
    """What a measurement has in common in both files."""
    return row.get(MODEL), row.get(CONCURRENCY), row.get(CONFIG)


def _gpu_memory(path: Path) -> tuple[dict[tuple[str | None, ...], tuple[float, ...]], list[Finding]]:
    """GB used of each GPU by measurement, and the faults; nothing where there is no such file."""
    found: dict[tuple[str | None, ...], tuple[float, ...]] = {}
    findings: list[Finding] = []
    if not path.is_file():
        return found, findings
    name, header, rows = _rows(path)
    for line, row in rows if MEMORY in header else ():
        try:
            used = _positive(row[MEMORY]) / MB_PER_GB
        except (ValueError, TypeError) as error:
            findings.append(_no_number(name, line, error))
        else:
            found[_key(row)] = (*found.get(_key(row), ()), used)
    return found, findings


def _measurement(row: Row, header: set[str], gpus_gb: tuple[float, ...], place: str) -> Measurement:
    latency = P95 if P95 in header else P99
    return Measurement(
        model=(row[MODEL] or "").strip(),
        config=(row.get(CONFIG) or "").strip(),
        concurrency=_count(row[CONCURRENCY]),
        latency_ms=_positive(row[latency]),
        latency_name=latency.partition(" ")[0],
        throughput=_positive(row[THROUGHPUT]),
        instances=_count((row.get(INSTANCES) or "1").partition(":")[0]),
        gpus_gb=gpus_gb,
        place=place,
    )


def _count(text: str | None) -> int:
    number = int(text or "")
    if number < 1:
        raise ValueError(f"'{text}'")
    return number


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


def _no_number(name: str, line: int, error: Exception) -> Finding:
    message = f"this row has no number where one belongs: {error}"
    return _fault(name, line, message, "give the file as Model Analyzer wrote it")


def _fault(name: str, line: int, message: str, hint: str) -> Finding:
    return Finding("sweep", "error", name, line, 1, "", message, hint)
