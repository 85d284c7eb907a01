"""How long the steps of a site took before, to tell how much is left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rackwright.paths import cache_dir
from rackwright.rollout.timeline import Timeline

SHIPPED: dict[str, float] = {
    "bundle": 1500.0,
    "lab": 30.0,
    "head": 45.0,
    "provision": 600.0,
    "nodes": 40.0,
    "kubernetes": 150.0,
    "gpu": 45.0,
    "serving": 45.0,
    "verify": 30.0,
    "report": 10.0,
}
"""Seconds for a first rollout of eleven nodes on two cores: used until this machine has its own figures."""


class History:
    """Earlier durations of one site on this machine. ``kind`` keeps first rollouts and repetitions apart."""

    def __init__(self, site: str, kind: str = "first", path: Path | None = None) -> None:
        self._path = path or cache_dir() / "durations" / f"{site}.json"
        self._kind = kind
        self._assumed: dict[str, float] = {}
        try:
            self._all: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._all = {}

    def seconds(self, step: str) -> float:
        """How long the step will probably take, in seconds."""
        if step in self._assumed:
            return self._assumed[step]
        known = self._all.get(self._kind, {}).get(step)
        return float(known["seconds"]) if known else SHIPPED.get(step, 30.0)

    def assume(self, step: str, seconds: float) -> None:
        """Take this for the step, whatever is remembered: the caller knows better."""
        self._assumed[step] = seconds

    def offset(self, step: str, task: str) -> float | None:
        """How far into the step the task began last time, in seconds; None for a task not seen before."""
        known = self._all.get(self._kind, {}).get(step, {}).get("tasks", {}).get(task)
        return float(known) if known is not None else None

    def left(self, step: str, elapsed: float, task: str = "", in_task: float = 0.0) -> float:
        """Seconds left of a step that is under way, by where its present task stood last time."""
        total = self.seconds(step)
        begun = self.offset(step, task) if task else None
        return max(total - (begun + in_task if begun is not None else elapsed), 0.0)

    def record(self, step: str, seconds: float, tasks: dict[str, float] | None = None) -> None:
        """Remember a step that went well; ``tasks`` is title → seconds into the step at its start."""
        self._all.setdefault(self._kind, {})[step] = {"seconds": round(seconds, 1), "tasks": tasks or {}}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps(self._all))
        scratch.replace(self._path)

    def record_timeline(self, timeline: Timeline) -> None:
        """Remember every phase of a rollout that passed."""
        for phase in timeline.phases:
            if phase.result == "passed":
                tasks = {
                    t.title: round(t.start - phase.start, 1) for t in timeline.tasks if t.phase == phase.name
                }
                self.record(phase.name, phase.seconds, tasks)


class Estimate:
    """Time left over a row of steps of which some are done."""

    def __init__(self, history: History, steps: Sequence[str]) -> None:
        self.history = history
        self.steps = tuple(steps)

    def left(self, step: str, elapsed: float, task: str = "", in_task: float = 0.0) -> float:
        """Seconds left until the last step ends, while ``step`` is under way."""
        later = self.steps[self.steps.index(step) + 1 :] if step in self.steps else ()
        now = self.history.left(step, elapsed, task, in_task)
        return now + sum(self.history.seconds(name) for name in later)


def clock(seconds: float) -> str:
    """``75`` → ``1:15``; hours where needed."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
