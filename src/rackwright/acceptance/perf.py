"""NVIDIA's own load generator, perf_analyzer, where it is installed: a second opinion on our own clients."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rackwright.acceptance.serve import NAME, Installation


@dataclass(frozen=True)
class Second:
    """What perf_analyzer measured at one concurrency; times in ms."""

    concurrency: int
    inferences_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def program(installed: Installation) -> str | None:
    """The path of perf_analyzer: beside Triton, or on PATH."""
    return shutil.which("perf_analyzer", path=str(installed.root / "bin")) or shutil.which("perf_analyzer")


def parse(text: str) -> list[Second]:
    """Its CSV (``-f``): latencies there are in microseconds. Raises ValueError for another file."""
    rows = list(csv.DictReader(text.splitlines()))
    try:
        return [
            Second(
                int(row["Concurrency"]), float(row["Inferences/Second"]), float(row["p50 latency"]) / 1e3,
                float(row["p95 latency"]) / 1e3, float(row["p99 latency"]) / 1e3,
            )
            for row in rows
        ]  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not perf_analyzer's CSV: {error}") from None


def measure(
    installed: Installation, address: str, prompts: list[str], new: int, seconds: float, work: Path
) -> Second | str:
    """One client per prompt over HTTP; a sentence instead where it didn't measure."""
    path = program(installed)
    if path is None:
        return "perf_analyzer is not installed here"
    data, out = work / "perf-input.json", work / "perf.csv"
    data.write_text(json.dumps({"data": [{"text_input": [text], "max_tokens": [new]} for text in prompts]}))
    out.unlink(missing_ok=True)
    many = len(prompts)
    command = [
        path, "-m", NAME, "-u", address, "-i", "http", "--input-data", str(data), "--shape", "text_input:1",
        "--shape", "max_tokens:1", "--concurrency-range", f"{many}:{many}", "--measurement-interval",
        str(int(seconds * 1000)), "--stability-percentage", "50", "--max-trials", "3", "-f", str(out),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=30 + 6 * seconds,
            env=installed.environment(0),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "perf_analyzer did not come to an end"
    (work / "perf.log").write_text(done.stdout + done.stderr)
    if not out.exists():
        return f"perf_analyzer failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
    found = parse(out.read_text())
    return found[-1] if found else "perf_analyzer wrote no figures"
