"""The drawing of when what ran: a bar for each step and phase, below it the tasks that took time."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.report import svg
from rackwright.report.data import Report
from rackwright.rollout.history import clock

WIDTH = 1240.0
GUTTER = 360.0
ROW = 17.0
SHARE = 0.008
"""A task gets a row of its own when it took this share of the whole, and at least a second."""
TINTS = ("#2f6fde", "#2a9d8f", "#7b57c9", "#57ab77", "#d9822b", "#5d6b79")


@dataclass(frozen=True)
class Bar:
    """One row; times in seconds since the begin. ``tall`` marks a phase or step."""

    label: str
    start: float
    seconds: float
    tint: str
    tall: bool = False
    failed: bool = False
    note: str = ""


def bars(report: Report) -> list[Bar]:
    """All rows in the order of time."""
    shift = report.timeline.began - report.began
    whole = max(report.seconds, 1.0)
    steps = report.rehearsal.steps if report.rehearsal else []
    rows = [
        Bar(step.name, step.start, step.seconds, "#9aa7b4", tall=True)
        for step in steps
        if step.seconds >= 0.5
    ]
    for index, phase in enumerate(report.timeline.phases):
        tint = TINTS[index % len(TINTS)]
        changes = f"{phase.tasks} tasks, {phase.changed} changes"
        failed = phase.result == "failed"
        rows.append(Bar(phase.name, phase.start + shift, phase.seconds, tint, True, failed, changes))
        tasks = [task for task in report.timeline.tasks if task.phase == phase.name]
        long = [t for t in tasks if t.seconds >= max(1.0, whole * SHARE) or t.failed]
        rows += [Bar(t.title, t.start + shift, t.seconds, tint, failed=bool(t.failed)) for t in long]
        others = len(tasks) - len(long)
        if others:
            spent = sum(t.seconds for t in tasks) - sum(t.seconds for t in long)
            label = f"{others} shorter tasks, {spent:.0f} s together"
            rows.append(Bar(label, phase.start + shift, 0.0, tint))
    first = {bar.label: bar.start for bar in rows if bar.tall}
    order = sorted(first, key=lambda name: first[name])
    groups: dict[str, list[Bar]] = {name: [] for name in order}
    current = ""
    for bar in rows:
        current = bar.label if bar.tall else current
        groups[current].append(bar)
    return [bar for name in order for bar in groups[name]]


def spacing(whole: float) -> float:
    """Seconds between two marks of the axis: about ten of them."""
    for step in (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0):
        if whole / step <= 12:
            return step
    return 3600.0


def timeline(report: Report) -> str:
    """The whole drawing."""
    rows = bars(report)
    whole = max([report.seconds, 1.0, *(bar.start + bar.seconds for bar in rows)])
    scale = (WIDTH - GUTTER - 64) / whole
    height = 26 + sum(ROW + (5 if bar.tall else 0) for bar in rows) + 6
    parts = []
    mark = 0.0
    while mark <= whole:
        x = GUTTER + mark * scale
        parts.append(svg.line(x, 20, x, height, svg.HAIR, 0.8))
        parts.append(svg.text(x, 13, clock(mark), 10, svg.MUTED, text_anchor="middle"))
        mark += spacing(whole)
    y = 26.0
    for bar in rows:
        y += 5 if bar.tall else 0
        parts.append(_row(bar, y, scale))
        y += ROW
    return svg.drawing(WIDTH, height, "".join(parts), "Timeline of phases and tasks")


def _row(bar: Bar, y: float, scale: float) -> str:
    x = GUTTER + bar.start * scale
    width = max(bar.seconds * scale, 1.5)
    colour = svg.BAD if bar.failed else bar.tint
    if bar.tall:
        label = svg.text(0, y + 12, bar.label, 12, font_weight="600")
        label += svg.text(110, y + 12, bar.note, 10.5, svg.MUTED) if bar.note else ""
        rectangle = svg.box(x, y + 1, width, 14, colour, radius=3)
    else:
        words = svg.fitted(bar.label, GUTTER - 30, 10.5)
        label = svg.text(14, y + 12, words, 10.5, svg.BAD if bar.failed else svg.MUTED)
        rectangle = svg.element("g", svg.box(x, y + 4, width, 8, colour, radius=2), opacity=0.55)
        if bar.seconds == 0:
            return label
    long = bar.seconds >= 100
    after = svg.text(
        x + width + 5, y + 12, clock(bar.seconds) if long else f"{bar.seconds:.1f} s", 10, svg.MUTED
    )
    return svg.titled(label + rectangle + after, f"{bar.label}: {bar.seconds:.1f} s from {clock(bar.start)}")
