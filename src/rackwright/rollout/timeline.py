"""What happened and when: built from the events of plugins/callback/rackwright_events.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

PHASES = ("head", "nodes", "kubernetes", "gpu", "serving", "verify")
"""The phases in their order; each is ``playbooks/<phase>.yml``."""
PROVISION = "provision"
"""The phase that gives servers their operating systems: part of a rollout only where servers are named for it."""
ALL_PHASES = (PHASES[0], PROVISION, *PHASES[1:])

PhaseResult = Literal["running", "passed", "failed"]


@dataclass
class TaskRun:
    """One task of a phase: ``start`` in seconds since the timeline's begin, ``seconds`` until the last
    host's result.
    """

    phase: str
    name: str
    role: str
    start: float
    seconds: float = 0.0
    started: int = 0
    done: int = 0
    changed: int = 0
    failed: int = 0

    @property
    def title(self) -> str:
        """The task's name with its role."""
        return f"{self.role}: {self.name}" if self.role else self.name


@dataclass
class PhaseRun:
    """One phase: ``tasks`` and ``changed`` count tasks and hosts' changed results."""

    name: str
    start: float
    seconds: float = 0.0
    tasks: int = 0
    changed: int = 0
    result: PhaseResult = "running"


@dataclass(frozen=True)
class Failure:
    """A host's failed task; ``reason`` as the callback wrote it."""

    phase: str
    task: str
    action: str
    host: str
    status: Literal["failed", "unreachable"]
    reason: Mapping[str, Any]


@dataclass
class Timeline:
    """Phases and tasks of one rollout; times in seconds since ``began`` (Unix time).

    ``said``: host → what its long task is at, while one runs.
    """

    began: float
    phases: list[PhaseRun] = field(default_factory=list)
    tasks: list[TaskRun] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    _by_uuid: dict[str, TaskRun] = field(default_factory=dict, repr=False)

    @property
    def phase(self) -> PhaseRun | None:
        """The phase that is under way or was the last."""
        return self.phases[-1] if self.phases else None

    @property
    def task(self) -> TaskRun | None:
        """The task that was begun last."""
        return self.tasks[-1] if self.tasks else None

    def add(self, event: Mapping[str, Any]) -> None:
        """Take one event in; unknown ones are passed over."""
        now = float(event["time"]) - self.began
        match event["event"]:
            case "playbook":
                self.end_phase(now, "passed")
                self.phases.append(PhaseRun(str(event["name"]), now))
            case "task" if self.phase is not None:
                run = TaskRun(self.phase.name, str(event["name"]), str(event["role"]), now)
                self.phase.tasks += 1
                self.tasks.append(run)
                self._by_uuid[event["task"]] = run
            case "start" if event["task"] in self._by_uuid:
                self._by_uuid[event["task"]].started += 1
            case "result" if event["task"] in self._by_uuid:
                self._add_result(self._by_uuid[event["task"]], now, event)
            case "said":
                self.said[str(event["host"])] = str(event["text"])
            case "stats":
                self.hosts = {host: dict(counts) for host, counts in event["hosts"].items()}
        if self.phase is not None and self.phase.result == "running":
            self.phase.seconds = round(now - self.phase.start, 2)

    def _add_result(self, run: TaskRun, now: float, event: Mapping[str, Any]) -> None:
        run.done += 1
        self.said.pop(str(event["host"]), None)
        run.seconds = round(now - run.start, 2)
        if event["changed"]:
            run.changed += 1
            if self.phase is not None:
                self.phase.changed += 1
        if event["status"] in ("failed", "unreachable"):
            run.failed += 1
            reason = event.get("reason", {})
            self.failures.append(
                Failure(
                    run.phase, run.title, str(event.get("action", "")), event["host"], event["status"], reason
                )
            )

    def end_phase(self, now: float, result: PhaseResult) -> None:
        """Close the phase under way; a phase with failures that nothing rescued is ended by ``finish``."""
        if self.phase is not None and self.phase.result == "running":
            self.phase.seconds = round(now - self.phase.start, 2)
            self.phase.result = result

    def finish(self, now: float, ok: bool) -> None:
        """Close the timeline at ``now`` (Unix time)."""
        self.end_phase(now - self.began, "passed" if ok else "failed")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: ``{"began", "phases": […], "tasks": […], "hosts": {…}}``."""
        return {
            "began": round(self.began, 3),
            "phases": [asdict(phase) for phase in self.phases],
            "tasks": [asdict(task) for task in self.tasks],
            "hosts": self.hosts,
        }

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(self.to_dict(), indent=1) + "\n")
        scratch.replace(path)


def read_timeline(path: Path) -> Timeline | None:
    """A written timeline, or None where there is none or it can't be read."""
    try:
        data = json.loads(path.read_text())
        return Timeline(
            data["began"],
            [PhaseRun(**phase) for phase in data["phases"]],
            [TaskRun(**task) for task in data["tasks"]],
            hosts=data["hosts"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def merge(earlier: Timeline | None, later: Timeline) -> Timeline:
    """One timeline of a rollout that was resumed: phases done earlier, then the later run's; gaps are
    closed up.
    """
    if earlier is None:
        return later
    first = min((ALL_PHASES.index(p.name) for p in later.phases if p.name in ALL_PHASES), default=0)
    kept = [p for p in earlier.phases if p.name in ALL_PHASES[:first] and p.result == "passed"]
    if not kept:
        return later
    names = {phase.name for phase in kept}
    shift = max(phase.start + phase.seconds for phase in kept)
    moved = Timeline(later.began - shift, hosts=later.hosts, failures=later.failures)
    moved.phases = kept + [PhaseRun(**{**asdict(p), "start": p.start + shift}) for p in later.phases]
    moved.tasks = [task for task in earlier.tasks if task.phase in names]
    moved.tasks += [TaskRun(**{**asdict(t), "start": t.start + shift}) for t in later.tasks]
    return moved
