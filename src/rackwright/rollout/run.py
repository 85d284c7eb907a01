"""One rollout: ansible-playbook over the phases' playbooks, followed by its events, interruptible and
resumable.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import RunFailure, UsageError
from rackwright.paths import checkout
from rackwright.processes import tied
from rackwright.rollout.diagnosis import diagnose, diagnose_servers
from rackwright.rollout.timeline import ALL_PHASES, PHASES, PROVISION, Timeline, merge, read_timeline

Watch = Callable[[Timeline], None]
Wrap = Callable[[list[str]], list[str]]
POLL_SECONDS = 0.25
GRACE_SECONDS = 10.0
FORKS = 16
"""As in ansible.cfg."""
MOST_FORKS = 64
SERVER = "rackwright_server"
"""The action whose failure is one server's alone: the others go on without it."""


@dataclass(frozen=True)
class Options:
    """What a rollout is to do. ``phases`` in order; ``metal``: the servers that the phase provision is for; the rest
    goes to ansible-playbook under the same names.
    """

    site: Path
    output: Path
    phases: tuple[str, ...] = PHASES
    limit: str = ""
    tags: str = ""
    check: bool = False
    diff: bool = False
    extra: tuple[str, ...] = ()
    again: str = ""
    metal: tuple[str, ...] = ()
    playbooks: Path = field(default_factory=lambda: checkout() / "playbooks")

    @property
    def partial(self) -> bool:
        """Whether it does less than the whole of its phases, so that they may not be noted as done."""
        return bool(self.limit or self.tags or self.check)


def until(phase: str | None, metal: bool = False) -> tuple[str, ...]:
    """The phases up to and with ``phase``; all of them without one. UsageError for an unknown one.

    ``metal``: servers are to be given their operating systems, after the head that does it.
    """
    phases = ALL_PHASES if metal else PHASES
    if phase is None:
        return phases
    if phase == PROVISION and not metal:
        raise UsageError("provision needs servers to provision", "name them: --metal NODE…")
    if phase not in phases:
        raise UsageError(f"no phase is called {phase!r}", f"the phases are: {', '.join(ALL_PHASES)}")
    return phases[: phases.index(phase) + 1]


class Record:
    """Which phases of a site are done, in ``state.json`` beside the logs; forgotten when the site file
    changed.
    """

    def __init__(self, output: Path, site: Path) -> None:
        self._path = output / "state.json"
        self._site = hashlib.sha256(site.read_bytes()).hexdigest()
        self.note = ""
        try:
            data = json.loads(self._path.read_text())
            self._done = [str(phase) for phase in data["done"]]
            if data["site"] != self._site:
                self._done, self.note = [], "the site file has changed since, so every phase runs again"
        except (OSError, ValueError, KeyError, TypeError):
            self._done = []

    @property
    def done(self) -> tuple[str, ...]:
        """Phases that are done, in their order."""
        return tuple(phase for phase in ALL_PHASES if phase in self._done)

    def rest(self, phases: Sequence[str]) -> tuple[str, ...]:
        """From the first phase that is not done on; the last one alone when all are."""
        for index, phase in enumerate(phases):
            if phase not in self._done:
                return tuple(phases[index:])
        return tuple(phases[-1:])

    def mark(self, phase: str) -> None:
        """Note a phase as done."""
        if phase not in self._done:
            self._done.append(phase)
        self._write()

    def forget(self) -> None:
        """Note that nothing is done: the machines are new."""
        self._done = []
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"site": self._site, "done": self._done}) + "\n")


def command_line(options: Options) -> list[str]:
    """The ansible-playbook command of a rollout: what a person would type. Inventory and plugins load once
    for all phases.
    """
    program = Path(sys.executable).parent / "ansible-playbook"
    line = [str(program) if program.exists() else "ansible-playbook", "-i", str(options.site)]
    for name, value in (("--limit", options.limit), ("--tags", options.tags)):
        line += [name, value] if value else []
    line += ["--check"] if options.check else []
    line += ["--diff"] if options.diff else []
    extra = {"verify_output": str(options.output / "checks.json")}
    if options.metal:
        extra["provision_servers"] = ",".join(options.metal)
        # A server's stage holds a worker for minutes, most of them waiting.
        line += ["--forks", str(min(max(FORKS, len(options.metal)), MOST_FORKS))]
    line += ["--extra-vars", json.dumps(extra)]
    return [*line, *options.extra, *(str(options.playbooks / f"{phase}.yml") for phase in options.phases)]


def environment(events: Path) -> dict[str, str]:
    """What ansible-playbook needs beside the caller's own environment."""
    enabled = [name for name in os.environ.get("ANSIBLE_CALLBACKS_ENABLED", "").split(",") if name]
    return {
        "ANSIBLE_CONFIG": str(checkout() / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": ",".join([*enabled, "rackwright_events"]),
        "ANSIBLE_STDOUT_CALLBACK": "rackwright_plain",
        "RACKWRIGHT_EVENTS": str(events),
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _events(path: Path, offset: int) -> tuple[list[dict[str, object]], int]:
    """The whole lines of the events' file from ``offset`` bytes on, and the next offset."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    return [json.loads(line) for line in data[:end].splitlines() if line.strip()], offset + end


def _end(process: subprocess.Popen[bytes]) -> None:
    """End ansible-playbook with all its children, kindly first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)


def roll_out(
    options: Options, watch: Watch, wrap: Wrap = list, env: dict[str, str] | None = None
) -> Timeline:
    """Run the phases and follow them; the timeline with everything that was done, resumed parts included.

    ``wrap`` may put the command into another place (a lab's namespace), ``env`` is added to the environment.
    Writes ``timeline.json``, ``state.json``, ``logs/rollout.log`` under ``options.output``.

    Raises: RunFailure: a task failed; the timeline is written before. UsageError: a phase has no playbook.
    """
    missing = [phase for phase in options.phases if not (options.playbooks / f"{phase}.yml").exists()]
    if missing:
        raise UsageError(
            f"no playbook for {', '.join(missing)} in {options.playbooks}", "is the checkout complete?"
        )
    logs = options.output / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    events_file, log = logs / "events.jsonl", logs / "rollout.log"
    events_file.unlink(missing_ok=True)
    record = Record(options.output, options.site)
    earlier = None if options.partial else read_timeline(options.output / "timeline.json")
    timeline = Timeline(time.time())
    env = {**os.environ, **environment(events_file), **(env or {})}
    ended = -1

    def passed(name: str) -> None:
        """A phase is done, and stays so for the next run, whatever ends this one."""
        if not options.partial:
            merge(earlier, timeline).write(options.output / "timeline.json")
            record.mark(name)

    with log.open("ab") as out:
        line = command_line(options)
        out.write(f"\n# {time.strftime('%F %T')} {' '.join(line)}\n".encode())
        out.flush()
        # Two playbooks at the same nodes would undo each other: it ends with us.
        process = subprocess.Popen(
            wrap(line), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            cwd=checkout(), env=env, start_new_session=True, preexec_fn=tied,
        )  # fmt: skip
        try:
            _follow(process, events_file, timeline, watch, passed)
            ended = process.returncode
        finally:
            _end(process)
            timeline.finish(time.time(), ok=ended == 0)
            if not options.partial:
                merge(earlier, timeline).write(options.output / "timeline.json")
    if ended == 0 and timeline.phase is not None:
        passed(timeline.phase.name)
    watch(timeline)
    if ended != 0:
        raise failure(options, timeline, ended, log)
    return timeline if options.partial else merge(earlier, timeline)


def _follow(
    process: subprocess.Popen[bytes],
    events_file: Path,
    timeline: Timeline,
    watch: Watch,
    passed: Callable[[str], None],
) -> None:
    """Feed events into the timeline until the process has ended and everything was read; name each phase that passed."""
    offset, seen = 0, 0
    while True:
        over = process.poll() is not None
        events, offset = _events(events_file, offset)
        for event in events:
            timeline.add(event)
        while seen < len(timeline.phases) - 1:  # a next phase begins only when the one before passed
            name = timeline.phases[seen].name
            if not any(f.phase == name and f.action.endswith(SERVER) for f in timeline.failures):
                passed(name)
            seen += 1
        watch(timeline)
        if over:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)


def failure(options: Options, timeline: Timeline, code: int, log: Path) -> RunFailure:
    """Why the rollout failed; without a failed task, the log's own last words."""
    again = options.again or f"rackwright rollout {options.site} --resume"
    failures = [f for f in timeline.failures if timeline.phase is None or f.phase == timeline.phase.name]
    servers = [f for f in timeline.failures if f.action.endswith(SERVER)]
    if servers and not [f for f in failures if f not in servers]:
        return diagnose_servers(servers, again, str(log))
    if failures and failures[-1].action.endswith("rackwright_verify") and failures[-1].status == "failed":
        return RunFailure(
            what="verify the site",
            where=str(options.site),
            evidence=f"checks failed: the table says which ({options.output / 'checks.json'})",
            cause="named beside each failed check",
            next_command=f"the command beside the check; then {again}",
        )
    if failures:
        return diagnose(failures, str(options.site), again, str(log))
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    marked = [line for line in lines[-60:] if line.startswith(("ERROR", "[ERROR]", "fatal:"))]
    return RunFailure(
        what=f"run ansible-playbook ({', '.join(options.phases)})",
        where=str(options.site),
        evidence="\n            ".join(marked[-3:] or lines[-5:]) or f"exit status {code}, no output",
        cause="the inventory, a playbook or a plugin could not be loaded"
        if not timeline.phases
        else "it was ended from outside, or failed before any task",
        next_command=f"less {log}; then {again}",
    )
