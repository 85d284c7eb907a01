"""However a measurement ends, its Triton ends with it: else it would keep the GPU's memory from the next one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rackwright.cli import accept as command
from rackwright.paths import checkout

SERVER = f"""#!{sys.executable}
import http.server, os, pathlib, sys
port = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--http-port="))
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
http.server.HTTPServer(("127.0.0.1", port), Ready).serve_forever()
"""
MEASURE = """
import pathlib, sys, time
from rackwright.acceptance.serve import Installation, Settings, triton
from rackwright.processes import terminable
root, model = map(pathlib.Path, sys.argv[1:])
with terminable(), triton(Installation(root, model), "345m", Settings(1, 4), root):
    print("ready", flush=True)
    time.sleep(60)
"""


def gone(pid: int) -> bool:
    """Whether the process has ended, also where nobody is there to reap it."""
    with contextlib.suppress(OSError):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    return True


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_triton_ends_with_who_started_it(how: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "bin/tritonserver"
    program.parent.mkdir()
    program.write_text(SERVER)
    program.chmod(0o755)
    model = checkout() / "packaging/models/synthetic-gpt"
    line = [sys.executable, "-c", MEASURE, tmp_path, model]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as measuring:
        assert measuring.stdout is not None
        assert measuring.stdout.readline() == "ready\n"
        server = int((program.parent / "pid").read_text())
        assert not gone(server)
        measuring.send_signal(how)
    deadline = time.monotonic() + 10
    while not gone(server):
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.05)


def test_a_terminated_command_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(command, "accept", ended)
    words = ["accept", "--profile", "xe8640", "--count", "1", "--models", "none", "--output", str(tmp_path)]
    from rackwright.cli.main import main

    assert main(words) == 1
