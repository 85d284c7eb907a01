"""Rollouts of tiny playbooks on this machine: order, record, resume, failure, interruption, secrets."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rackwright.errors import RunFailure, UsageError
from rackwright.processes import terminable
from rackwright.rollout.history import Estimate, History
from rackwright.rollout.progress import Progress
from rackwright.rollout.run import Options, Record, command_line, roll_out, until
from rackwright.rollout.timeline import PHASES, Timeline, read_timeline

PLAY = """---
- name: Tiny
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
"""
GOOD = PLAY + "    - {name: Say, ansible.builtin.debug: {msg: hello}}\n"
BAD = PLAY + "    - {name: Break, ansible.builtin.command: /bin/false, changed_when: false}\n"
SLOW = PLAY + "    - {name: Sleep, ansible.builtin.command: sleep 60, changed_when: false}\n"
SECRET = PLAY + (
    "    - {name: Hide, ansible.builtin.command: 'echo hunter22-is-the-word', changed_when: false, no_log: true}\n"
    "    - {name: Fail, ansible.builtin.fail: {msg: hunter22-is-the-word}, no_log: true}\n"
)


@pytest.fixture(autouse=True)
def no_site_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", "linear")
    monkeypatch.setenv("ANSIBLE_INVENTORY_ENABLED", "ini")
    monkeypatch.setenv("ANSIBLE_LOCALHOST_WARNING", "False")


def options(tmp_path: Path, **playbooks: str) -> Options:
    """A rollout of the given playbooks, in the order of the phases."""
    folder = tmp_path / "playbooks"
    folder.mkdir(exist_ok=True)
    for name, text in playbooks.items():
        (folder / f"{name}.yml").write_text(text)
    site = tmp_path / "hosts.ini"
    site.write_text("localhost ansible_connection=local\n")
    phases = tuple(phase for phase in PHASES if phase in playbooks)
    return Options(site, tmp_path / "out", phases, playbooks=folder)


def silent(_: Timeline) -> None:
    """Nobody watches."""


def test_phases_run_in_order_and_are_recorded(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=GOOD, nodes=GOOD)
    timeline = roll_out(wanted, silent)
    assert [(p.name, p.result, p.tasks) for p in timeline.phases] == [
        ("head", "passed", 1),
        ("nodes", "passed", 1),
    ]
    assert Record(wanted.output, wanted.site).done == ("head", "nodes")
    assert timeline.hosts["localhost"]["failures"] == 0


def test_a_failure_is_explained_and_a_later_run_resumes_there(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=GOOD, nodes=BAD, kubernetes=GOOD)
    with pytest.raises(RunFailure) as caught:
        roll_out(wanted, silent)
    assert "nodes: Break" in str(caught.value)
    assert "localhost" in str(caught.value)
    assert "--resume" in str(caught.value)
    assert Record(wanted.output, wanted.site).done == ("head",)
    mended = options(tmp_path, head=BAD, nodes=GOOD, kubernetes=GOOD)
    rest = Record(mended.output, mended.site).rest(mended.phases)
    assert rest == ("nodes", "kubernetes")
    timeline = roll_out(Options(mended.site, mended.output, rest, playbooks=mended.playbooks), silent)
    assert [(p.name, p.result) for p in timeline.phases] == [(n, "passed") for n in mended.phases]


def test_another_site_file_makes_every_phase_run_again(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=GOOD)
    roll_out(wanted, silent)
    wanted.site.write_text("localhost ansible_connection=local other=1\n")
    record = Record(wanted.output, wanted.site)
    assert record.done == ()
    assert "changed" in record.note


def test_secrets_reach_neither_events_nor_log_nor_message(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=SECRET)
    with pytest.raises(RunFailure) as caught:
        roll_out(wanted, silent)
    assert "hunter22" not in str(caught.value)
    assert "secrets" in str(caught.value)
    for path in wanted.output.rglob("*"):
        if path.is_file():
            assert "hunter22" not in path.read_text()


def test_an_interrupted_rollout_ends_its_playbook_and_keeps_its_timeline(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=GOOD, nodes=SLOW)
    seen = threading.Event()

    def watch(timeline: Timeline) -> None:
        if timeline.task is not None and timeline.task.name == "Sleep" and not seen.is_set():
            seen.set()
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), terminable():
        roll_out(wanted, watch)
    written = read_timeline(wanted.output / "timeline.json")
    assert written is not None
    assert [(p.name, p.result) for p in written.phases] == [("head", "passed"), ("nodes", "failed")]
    assert Record(wanted.output, wanted.site).done == ("head",)


def test_what_was_done_before_a_kill_is_known_to_the_next_run(tmp_path: Path) -> None:
    """Its report would otherwise miss a phase, and call the whole failed."""
    wanted = options(tmp_path, head=GOOD, nodes=SLOW)

    def watch(timeline: Timeline) -> None:
        if timeline.task is not None and timeline.task.name == "Sleep":
            written = read_timeline(wanted.output / "timeline.json")
            assert written is not None  # by now: nothing is written any more when it is killed
            assert [(p.name, p.result) for p in written.phases][:1] == [("head", "passed")]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roll_out(wanted, watch)
    wanted = options(tmp_path, head=GOOD, nodes=GOOD)
    rest = Options(wanted.site, wanted.output, ("nodes",), playbooks=wanted.playbooks)
    assert [(p.name, p.result) for p in roll_out(rest, silent).phases] == [
        ("head", "passed"),
        ("nodes", "passed"),
    ]


def test_a_playbook_that_can_t_be_read_is_reported_with_ansible_s_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailure) as caught:
        roll_out(options(tmp_path, head="---\n- hosts: [\n"), silent)
    assert "rollout.log" in str(caught.value)


def test_a_missing_playbook_is_a_usage_error(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=GOOD)
    with pytest.raises(UsageError, match="no playbook for gpu"):
        roll_out(Options(wanted.site, wanted.output, ("gpu",), playbooks=wanted.playbooks), silent)


def test_the_command_is_what_a_person_would_type(tmp_path: Path) -> None:
    line = command_line(Options(Path("site.yml"), tmp_path, ("head", "nodes"), "r660-1", "head", True, True))
    assert Path(line[0]).name == "ansible-playbook"
    assert line[1:3] == ["-i", "site.yml"]
    assert line[3:9] == ["--limit", "r660-1", "--tags", "head", "--check", "--diff"]
    assert [Path(word).name for word in line[-2:]] == ["head.yml", "nodes.yml"]


def test_a_partial_run_is_not_recorded_as_done(tmp_path: Path) -> None:
    wanted = options(tmp_path, head=GOOD)
    roll_out(Options(wanted.site, wanted.output, ("head",), check=True, playbooks=wanted.playbooks), silent)
    assert Record(wanted.output, wanted.site).done == ()
    assert not (wanted.output / "timeline.json").exists()


def test_until_names_the_phases() -> None:
    assert until("kubernetes") == ("head", "nodes", "kubernetes")
    assert until(None) == PHASES
    with pytest.raises(UsageError, match="no phase is called"):
        until("later")


def test_without_a_terminal_progress_is_a_few_plain_lines(tmp_path: Path) -> None:
    out = io.StringIO()
    progress = Progress(Estimate(History("x", path=tmp_path / "h"), ("head", "nodes")), out)
    progress.finish(roll_out(options(tmp_path, head=GOOD, nodes=GOOD), progress.show))
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert len(lines) == 4
    assert "head: begins" in lines[0]
    assert "head: passed" in lines[1]


def test_the_playbook_ends_with_a_run_that_is_killed() -> None:
    """Else it would go on beside the next run, and both would change the same nodes."""
    script = (
        "import subprocess, time; from rackwright.processes import tied; "
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True, preexec_fn=tied); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = Path("/proc", run.stdout.readline().strip(), "stat")
        assert child.exists()
        run.kill()
    deadline = time.monotonic() + 10
    with contextlib.suppress(OSError):  # it has gone
        while ") Z " not in child.read_text():  # or nobody is there to reap it
            assert time.monotonic() < deadline, "it runs on"
            time.sleep(0.05)
