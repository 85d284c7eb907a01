"""A Triton server with one synthetic GPT, as it is started for acceptance, and what the GPU does meanwhile."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rackwright.acceptance.smi import SAMPLED, Sample, parse_samples
from rackwright.errors import RunFailure
from rackwright.processes import tied

NAME = "synthetic-gpt"
SAMPLE_MS = 100
FRONTS = 8
"""Processes of Triton's python backend for each copy of the model: what one does for a request takes some 0.2 ms."""

CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: 0
input [
  {{ name: "text_input" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "max_tokens" data_type: TYPE_INT32 dims: [ 1 ] optional: true }},
  {{ name: "temperature" data_type: TYPE_FP32 dims: [ 1 ] optional: true }}
]
output [
  {{ name: "text_output" data_type: TYPE_STRING dims: [ 1 ] }}
]
instance_group [
  {{ count: {fronts} kind: KIND_CPU }}
]
model_transaction_policy {{ decoupled: false }}
parameters {{ key: "engines" value {{ string_value: "{instances}" }} }}
parameters {{ key: "size" value {{ string_value: "{size}" }} }}
parameters {{ key: "slots" value {{ string_value: "{slots}" }} }}
parameters {{ key: "context" value {{ string_value: "{context}" }} }}
"""
"""Inputs and output are those that every language model of a site has (templates/triton). The instances choose
their GPU themselves: the first that the server sees. The model batches itself, so Triton must not."""


@dataclass(frozen=True)
class Settings:
    """How the model is served: copies on the GPU, and sequences that one works on at once."""

    instances: int = 1
    slots: int = 16
    context: int = 128

    @property
    def places(self) -> int:
        """Sequences that all copies together work on at once."""
        return self.instances * self.slots

    @property
    def label(self) -> str:
        """For tables and plots."""
        return f"{self.instances} x {self.slots}"


@dataclass(frozen=True)
class Installation:
    """Where the programs lie.

    ``root`` holds ``bin/tritonserver``, ``lib`` and ``backends``, as in the server's images; ``python_path``
    is what the backend's python needs beside its own (a numpy below 2, PyTorch); ``model`` is the directory of
    the synthetic GPT.
    """

    root: Path
    model: Path
    python_path: str = ""

    def environment(self, gpu: int) -> dict[str, str]:
        """The environment of a server on one GPU."""
        libraries = [str(self.root / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        python = [self.python_path, os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
            "PYTHONPATH": ":".join(filter(None, python)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CUDA_VISIBLE_DEVICES": visible(gpu),
            # The step thread does everything; more threads only get into its way.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


def visible(gpu: int) -> str:
    """The name for CUDA_VISIBLE_DEVICES of the GPU that is the ``gpu``-th now."""
    names = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return names[gpu] if gpu < len(names) else str(gpu)


def write_repository(root: Path, model: Path, size: str, settings: Settings) -> Path:
    """A model repository below ``root`` with the synthetic GPT in it."""
    place = root / NAME
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(model / "1", place / "1", ignore=shutil.ignore_patterns("__pycache__"))
    values = {"name": NAME, "size": size, "fronts": FRONTS * settings.instances, **vars(settings)}
    (place / "config.pbtxt").write_text(CONFIG.format(**values), encoding="utf-8")
    return root


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def triton(
    installed: Installation, size: str, settings: Settings, work: Path, gpu: int = 0, patience: float = 180
) -> Iterator[str]:
    """A ready server; gives HOST:PORT of its HTTP. Its log is ``work/triton-<size>.log``.

    Raises RunFailure when it doesn't get ready within ``patience`` seconds.
    """
    program = installed.root / "bin" / "tritonserver"
    repository = write_repository(work / f"repository-{size}", installed.model, size, settings)
    http_port, grpc_port = free_port(), free_port()
    command = [
        str(program), f"--model-repository={repository}",
        f"--backend-directory={installed.root / 'backends'}", "--model-control-mode=explicit",
        f"--load-model={NAME}", "--disable-auto-complete-config", "--allow-metrics=false",
        # Its inputs never are on the GPU: without these pools the server itself takes none of the GPU's memory.
        "--pinned-memory-pool-byte-size=0", "--cuda-memory-pool-byte-size=0:0",
        f"--backend-config=python,stub-timeout-seconds={int(patience)}",
        f"--http-port={http_port}", f"--grpc-port={grpc_port}",
        "--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--exit-timeout-secs=10",
    ]  # fmt: skip
    log = work / f"triton-{size}.log"
    with log.open("ab") as said:
        process = subprocess.Popen(
            command, env=installed.environment(gpu), stdout=said, stderr=said, start_new_session=True,
            preexec_fn=tied,
        )  # fmt: skip
    address = f"127.0.0.1:{http_port}"
    try:
        until = time.monotonic() + patience
        while not _ready(address):
            if process.poll() is not None or time.monotonic() > until:
                last = log.read_text(errors="replace").strip().splitlines()[-3:]
                raise RunFailure(
                    f"starting Triton with the synthetic GPT {size}", "this server", " | ".join(last),
                    "PyTorch or a numpy below 2 is not found by the backend's python, or the GPU's memory is full",
                    f"read {log}; see --python-path",
                )  # fmt: skip
            time.sleep(0.2)
        yield address
    finally:
        _end(process)


def _ready(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", f"/v2/models/{NAME}/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Sampler:
    """nvidia-smi's samples while the ``with`` block runs; ``samples`` afterwards, or at any time so far."""

    def __init__(self, path: Path, milliseconds: int = SAMPLE_MS) -> None:
        self.path = path
        self.command = [
            "nvidia-smi", f"--query-gpu={','.join(SAMPLED)}", "--format=csv,noheader,nounits",
            f"--loop-ms={milliseconds}",
        ]  # fmt: skip

    def __enter__(self) -> Sampler:
        with self.path.open("ab") as said:
            self._begin = self.path.stat().st_size
            self._process = subprocess.Popen(self.command, stdout=said, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()

    def mark(self) -> int:
        """A place in the samples, for ``since``."""
        return self.path.stat().st_size

    def since(self, mark: int | None = None) -> tuple[Sample, ...]:
        """The samples after ``mark``, or all of this run's."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._begin if mark is None else mark)
            return parse_samples(file.read().splitlines())


def raw_loop(installed: Installation, size: str, prompt: int, new: int, settings: Settings, gpu: int,
             seconds: float) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run the model's ``raw.py`` in the backend's python; its last line is JSON."""
    return subprocess.run(
        [sys.executable, str(installed.model / "raw.py"), size, "--prompt", str(prompt), "--new", str(new),
         "--slots", str(settings.slots), "--context", str(settings.context), "--seconds", str(seconds)],
        env=installed.environment(gpu), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
