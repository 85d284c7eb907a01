"""What is measured on a GPU server, without a word of judgement: files of raw output, and ``measured.json``.

Nothing but the standard library (and PyTorch, in processes of their own), so that it runs wherever Triton does:

    python -m rackwright.acceptance.measure TASK.json DIRECTORY

In a pod the result leaves by the log: its last lines are the directory as a tar file, in base64 (see ``pack``).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rackwright.acceptance import hardware, perf
from rackwright.acceptance.serve import Installation, Sampler, Settings, raw_loop, triton
from rackwright.acceptance.sweep import Point, Tokens, measure, prompts
from rackwright.errors import RunFailure

BATCH = 16
"""The batch at which Triton is held against the loop without it: the design's concurrency for its 20B model."""
CROWD = 2 * BATCH
"""Clients that keep that batch full: while some read their answers, others wait for a place."""
BEGIN, END = "-----BEGIN RACKWRIGHT MEASUREMENT", "-----END RACKWRIGHT MEASUREMENT"
LINE = 1000
"""Characters of base64 in a line of the log."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Model:
    """A size of the synthetic GPT, with the design's memory in GB and concurrency."""

    size: str
    memory_gb: float
    concurrency: int


@dataclass(frozen=True)
class Task:
    """What is to be measured, JSON-able. ``gpu_memory_gb`` keeps settings out that don't fit; ``grid``: settings
    beside 1 x 16; ``seconds`` of each measurement.
    """

    gpu_memory_gb: float
    models: tuple[Model, ...] = ()
    tokens: Tokens = Tokens()  # noqa: RUF009 - frozen
    grid: tuple[Settings, ...] = ()
    concurrencies: tuple[int, ...] = (1, 4, 8, 16, 32)
    seconds: float = 5.0

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Task:
        """From a file. Raises KeyError or TypeError for what isn't one."""
        return Task(
            data["gpu_memory_gb"], tuple(Model(**one) for one in data["models"]), Tokens(**data["tokens"]),
            tuple(Settings(**one) for one in data["grid"]), tuple(data["concurrencies"]), data["seconds"],
        )  # fmt: skip


def measured(task: Task, installed: Installation | None, output: Path, say: Say = print) -> dict[str, Any]:
    """Measure all; gives what ``measured.json`` holds. Raw output lies in ``output/raw``.

    ``hardware``: what ``hardware`` printed, or None and ``no_hardware`` says why; ``pytorch``: whether this python has
    it; ``models``: by size its loop,
    points and second opinion, or ``failed``; ``xids``: lines of the kernel's log, None where it can't be read.
    Raises RunFailure where nvidia-smi doesn't answer at all.
    """
    began, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    raw = output / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    say("looking at the GPUs")
    query(raw / "nvidia-smi-before.xml")
    topology(raw)
    result = nothing(started)
    say("measuring memory, matrix products and links")
    result["hardware"], result["no_hardware"] = rates(raw, task.seconds)
    if installed is not None and result["hardware"] is not None:
        for model in task.models:
            say(f"GPT {model.size}")
            try:
                result["models"][model.size] = one_model(task, model, installed, raw, say)
            except (RunFailure, ValueError, OSError, subprocess.TimeoutExpired) as error:
                said = " ".join(str(error).split())[:400]
                result["models"][model.size] = {"failed": said}
                say(f"  failed: {said}")
    query(raw / "nvidia-smi-after.xml")
    result["xids"] = kernel(raw)
    result["triton"] = triton_version(raw)
    result["seconds"] = time.monotonic() - began
    (output / "measured.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    return result


def nothing(started: datetime.datetime) -> dict[str, Any]:
    """What ``measured`` gives before anything is measured."""
    return {
        "started": started.isoformat(timespec="seconds"), "seconds": 0.0, "hardware": None, "no_hardware": "not tried",
        "pytorch": importlib.util.find_spec("torch") is not None, "models": {}, "xids": None, "triton": "not started",
    }  # fmt: skip


def query(keep: Path) -> None:
    """nvidia-smi's XML, kept without serial numbers. Raises RunFailure where there is none."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-q", "-x"], capture_output=True, text=True, timeout=120, check=False
        )
        text, said = done.stdout, done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        text, said = "", str(error)
    text = anonymous(text)
    keep.write_text(text, encoding="utf-8")
    if "<nvidia_smi_log" not in text:
        raise RunFailure(
            "asking nvidia-smi for the GPUs", "this server", said.strip() or text.strip()[:200] or "it said nothing",
            "no driver is loaded, or it lost a GPU", "dmesg | grep -i nvrm; lspci -d 10de:",
        )  # fmt: skip


def anonymous(text: str) -> str:
    """The XML without serial numbers and the long list of supported clocks; unique ids stay for the inventory."""
    text = re.sub(r"(?s)\s*<supported_clocks>.*?</supported_clocks>", "", text)
    return re.sub(r"<(serial|pdi|board_serial)>[^<]*</", r"<\1>removed</", text)


def topology(raw: Path) -> None:
    """Keep the matrix of links; an empty file where there is none."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "topo", "-m"], capture_output=True, text=True, timeout=60, check=False
        )
        text = done.stdout
    except (OSError, subprocess.TimeoutExpired):
        text = ""
    (raw / "topology.txt").write_text(text, encoding="utf-8")


def kernel(raw: Path) -> list[str] | None:
    """NVIDIA's messages in the kernel's log; None where it can't be read."""
    try:
        done = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    lines = [line for line in done.stdout.splitlines() if "NVRM" in line]
    (raw / "kernel.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines


def rates(raw: Path, seconds: float) -> tuple[dict[str, Any] | None, str]:
    """What ``hardware`` measures, in a process of its own; None and why where it didn't."""
    command = [sys.executable, str(Path(hardware.__file__)), "--seconds", str(min(seconds, 3.0))]
    with Sampler(raw / "samples-hardware.csv"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    (raw / "hardware.json").write_text(done.stdout or done.stderr, encoding="utf-8")
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, ""


def triton_version(raw: Path) -> str:
    """What the servers' logs say of themselves."""
    for log in sorted(raw.glob("triton-*.log")):
        found = re.search(r"server_version\s*\|\s*(\S+)", log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
    return "not started"


def one_model(task: Task, model: Model, installed: Installation, raw: Path, say: Say) -> dict[str, Any]:
    """One size: the loop without Triton, then the sweep with it. Raises RunFailure where one didn't run."""
    base, size = Settings(), model.size
    done = raw_loop(installed, size, task.tokens.prompt, task.tokens.new, base, 0, task.seconds)
    (raw / f"loop-{size}.json").write_text(done.stdout or done.stderr, encoding="utf-8")
    if done.returncode:
        raise RunFailure(
            f"running the synthetic GPT {size} without a server", "this server",
            (done.stderr.strip().splitlines() or ["no output"])[-1],
            "PyTorch doesn't fit the GPU, or its memory is full", f"read raw/loop-{size}.json",
        )  # fmt: skip
    points: list[Point] = []
    second: perf.Second | str = "not asked"
    counts = sorted({*task.concurrencies, model.concurrency, BATCH, CROWD})
    for settings in (base, *(one for one in task.grid if one != base)):
        if settings.instances * 1.1 * model.memory_gb > task.gpu_memory_gb:
            say(f"  {settings.label} doesn't fit {task.gpu_memory_gb} GB")
            continue
        with (
            triton(installed, size, settings, raw, 0) as address,
            Sampler(raw / f"samples-{size}.csv") as sampler,
        ):
            for count in counts:
                points.append(measure(address, size, settings, count, task.tokens, task.seconds, sampler, 0))
                say(f"  {settings.label} at {count}: {points[-1].inferences_per_second:.2f} inferences/s, "
                    f"p95 {points[-1].p95_ms:.1f} ms")  # fmt: skip
            if settings == base:
                asked = prompts(model.concurrency, task.tokens)
                second = perf.measure(installed, address, asked, task.tokens.new, task.seconds, raw)
    return {
        "loop": json.loads(done.stdout.splitlines()[-1]),
        "points": [asdict(point) for point in points],
        "second": second if isinstance(second, str) else asdict(second),
    }


def pack(directory: Path) -> str:
    """The files of ``directory`` for a log: a compressed tar in base64 between two marks, the last with its digest."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and not any(part.startswith("repository-") for part in path.parts):
                archive.add(path, arcname=str(path.relative_to(directory)))
    text = base64.b64encode(held.getvalue()).decode()
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    digest = hashlib.sha256(held.getvalue()).hexdigest()
    return "\n".join([f"{BEGIN}-----", *lines, f"{END} {digest}-----"])


def main(arguments: list[str]) -> int:
    """Measure what the file says; 0 also where something failed: that is for who judges."""
    given, output = json.loads(Path(arguments[0]).read_text(encoding="utf-8")), Path(arguments[1])
    installed = None
    root = Path(given["triton"])
    if (root / "bin" / "tritonserver").is_file():
        installed = Installation(root, Path(given["model"]), given["python_path"])
    output.mkdir(parents=True, exist_ok=True)
    try:
        if shutil.which("nvidia-smi"):
            measured(Task.from_dict(given["task"]), installed, output, lambda words: print(words, flush=True))
        else:
            result = nothing(datetime.datetime.now(datetime.UTC)) | {
                "no_hardware": "no nvidia-smi in this pod"
            }
            (output / "measured.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
            print("no nvidia-smi here: nothing can be measured", flush=True)
    except RunFailure as failure:
        (output / "failure.txt").write_text(failure.evidence + "\n", encoding="utf-8")
        print(failure, flush=True)
    print(pack(output), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
