"""What the person in front sees: one moving line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from typing import TextIO

from rackwright.rollout.history import Estimate, clock
from rackwright.rollout.timeline import PhaseRun, Timeline

QUIET_SECONDS = 15.0
"""Without a terminal a line about the present state is written no more often than this."""


class Progress:
    """Shows steps, the present task, hosts done, time gone and time left."""

    def __init__(
        self, estimate: Estimate, out: TextIO | None = None, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        self.estimate = estimate
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._quiet = quiet_seconds
        self._began = time.monotonic()
        self._shown_at = time.monotonic()
        self._shown_phases = 0
        self._ended_phases = 0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        self._out.write(text + "\n")
        self._out.flush()

    def _clear(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")

    def _stamp(self) -> str:
        return f"[{clock(time.monotonic() - self._began):>6}]"

    def left(self, step: str, elapsed: float, task: str = "", in_task: float = 0.0) -> str:
        """The time left in words; a step that takes longer than it ever did says so."""
        seconds = self.estimate.left(step, elapsed, task, in_task)
        if elapsed > 1 and self.estimate.history.left(step, elapsed, task, in_task) == 0:
            return f"longer than expected, over {clock(seconds)} left" if seconds else "longer than expected"
        return f"about {clock(seconds)} left"

    def step(self, step: str, text: str) -> None:
        """A step outside the playbooks begins."""
        self.say(f"{self._stamp()} {step}: {text}  ({self.left(step, 0.0)})")

    def tick(self, step: str, elapsed: float, text: str, task: str = "", in_task: float = 0.0) -> None:
        """The present state, if it is time to show it again; ``elapsed`` seconds since the step began."""
        now = time.monotonic()
        left = self.left(step, elapsed, task, in_task)
        line = f"{self._stamp()} {step}: {text}  {clock(elapsed)} gone, {left}"
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._clear()
            self._out.write(line[:width])
            self._out.flush()
        elif now - self._shown_at >= self._quiet:
            self._shown_at = now
            self.say(line)

    def show(self, timeline: Timeline) -> None:
        """Show where a rollout stands."""
        while self._shown_phases < len(timeline.phases):
            self._end_phases(timeline, self._shown_phases)
            phase = timeline.phases[self._shown_phases]
            self._shown_phases += 1
            self.say(f"{self._stamp()} {phase.name}: begins  ({self.left(phase.name, 0.0)})")
            self._shown_at = time.monotonic()
        phase_now, task = timeline.phase, timeline.task
        if phase_now is not None and task is not None and phase_now.result == "running":
            gone = time.time() - timeline.began
            hosts = f" ({task.done}/{task.started})" if task.started > 1 else ""
            if timeline.said:
                states = Counter(timeline.said.values())
                hosts += " " + ", ".join(f"{text} {count}" for text, count in sorted(states.items())[:3])
            self.tick(
                phase_now.name, gone - phase_now.start, f"{task.title}{hosts}", task.title, gone - task.start
            )

    def finish(self, timeline: Timeline) -> None:
        """Say how the last phases ended."""
        self.show(timeline)
        self._end_phases(timeline, len(timeline.phases))

    def _end_phases(self, timeline: Timeline, count: int) -> None:
        while self._ended_phases < count:
            self.say(f"{self._stamp()} {summary(timeline.phases[self._ended_phases])}")
            self._ended_phases += 1


def summary(phase: PhaseRun) -> str:
    """One line, such as ``kubernetes: passed in 1:12, 48 tasks, 96 changes``."""
    counts = f"{phase.tasks} tasks, {phase.changed} changes"
    return f"{phase.name}: {phase.result} in {clock(phase.seconds)}, {counts}"
