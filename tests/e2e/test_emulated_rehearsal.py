"""Two servers from power-off, side by side, to Ready nodes that serve a model; the rehearsal is killed while they are written.

The command chooses them: an emulated control plane needs more than two processors give it. ``pytest -m emulated
tests/e2e/test_emulated_rehearsal.py`` takes three quarters of an hour, so ``scripts/test`` leaves it out.
RACKWRIGHT_E2E_KEEP leaves the lab standing.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from rackwright.lab.state import State

from .conftest import CHECKOUT, RACKWRIGHT, Lab

pytestmark = pytest.mark.emulated
SITE, NAME, HEAD = "inventories/minimal", "minimal", "r660-1"
BARE = ("r760xa-1", "r760xa-2")  # what the command chooses on two processors
REHEARSE = [*RACKWRIGHT, "rehearse", SITE, "--keep", "--metal"]
LOGS = CHECKOUT / "build/e2e"
STATES = (
    "import sqlite3; base = sqlite3.connect('file:/var/lib/ironic/rackwright/ironic.sqlite?mode=ro', uri=True); "
    "print(base.execute('select name, provision_state from nodes').fetchall())"
)


@pytest.fixture(scope="module")
def site() -> Iterator[Lab]:
    """The site, of which nothing stands yet."""
    LOGS.mkdir(parents=True, exist_ok=True)
    lab = Lab(SITE, NAME)
    lab.down()
    yield lab
    if "RACKWRIGHT_E2E_KEEP" not in os.environ:
        lab.down()


def states(lab: Lab) -> dict[str, str]:
    """What Ironic has the servers in; empty while there is no Ironic."""
    done = lab.rackwright(
        "lab", "shell", SITE, HEAD, "--name", NAME, "--", "python3", "-c", f'"{STATES}"', check=False
    )
    return dict(ast.literal_eval(done.stdout)) if done.returncode == 0 else {}


def starts(node: str) -> int:
    """How often a server was started or reset, by its BMC's own log."""
    log = State(NAME).node(node) / "bmc" / "events.jsonl"
    return sum(json.loads(line)["event"] in ("start", "reset") for line in log.read_text().splitlines())


def test_killed_while_the_servers_are_written(site: Lab) -> None:
    log = LOGS / "killed.log"
    with log.open("w") as output:
        running = subprocess.Popen(
            REHEARSE, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + 1800
    written = {"deploying", "wait call-back"}
    while not (len(now := states(site)) == len(BARE) and set(now.values()) <= written):
        assert running.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, now
        time.sleep(5)
    os.killpg(running.pid, signal.SIGKILL)  # Ansible, in a session of its own, ends with it
    running.wait()


def test_the_same_command_goes_on_to_the_last_check(site: Lab) -> None:
    done = subprocess.run(REHEARSE, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    (LOGS / "rehearsed.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    report = json.loads((CHECKOUT / "build/rehearsals" / NAME / "report.json").read_text())
    assert report["result"] == "passed"
    answered = {check["id"] for check in report["checks"] if check["result"] == "passed"}
    assert {"serving.http", "serving.grpc", "serving.stream"} <= answered


def test_the_second_run_changes_nothing_and_restarts_nobody(site: Lab) -> None:
    before = {node: starts(node) for node in BARE}
    play = site.playbook(
        "--extra-vars", json.dumps({"provision_servers": ",".join(BARE)}), playbook="playbooks/provision.yml"
    )
    assert play.rc == 0, play.output[-3000:]
    assert set(play.changed.values()) == {0}
    assert {node: starts(node) for node in BARE} == before
