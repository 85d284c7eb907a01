"""What a rehearsal of a site leaves behind, made up: for tests of the report, and for looking at its page."""

from __future__ import annotations

import json
from pathlib import Path

from rackwright.checks import CheckResult, all_checks
from rackwright.checks.run import write_results
from rackwright.derive.model import SiteModel
from rackwright.report.data import Rehearsal, Step
from rackwright.rollout.timeline import PHASES, PhaseRun, TaskRun, Timeline

BEGAN = 1_793_600_000.0


def timeline(model: SiteModel, until: str = "verify", failing: str = "") -> Timeline:
    """A timeline whose phases get longer and shorter, with a long task here and there."""
    made = Timeline(BEGAN + 40)
    start = 2.0
    for number, name in enumerate(PHASES[: PHASES.index(until) + 1]):
        begin = start
        for task in range(4 + number % 3 * 5):
            seconds = 0.3 + (task * 7 + number * 3) % 11 * (1.7 if task % 4 == 0 else 0.25)
            run = TaskRun(
                name, f"Do thing {task} of {name}", "baseline", start, seconds, 11, 11, task % 3 * 4
            )
            made.tasks.append(run)
            start += seconds
        result = "failed" if name == failing else "passed"
        tasks = [task for task in made.tasks if task.phase == name]
        changed = sum(task.changed for task in tasks)
        made.phases.append(PhaseRun(name, begin, start - begin, len(tasks), changed, result))
        if name == failing:
            break
    counts = {
        "ok": 40,
        "failures": 0,
        "unreachable": 0,
        "changed": 12,
        "skipped": 3,
        "rescued": 0,
        "ignored": 0,
    }
    made.hosts = {node.name: dict(counts) for node in model.nodes}
    return made


def results(
    model: SiteModel, failing: tuple[str, ...] = (), evidence: str = "as it should be"
) -> list[CheckResult]:
    """A result for every check of the site; those whose id is in ``failing`` fail."""
    return [
        CheckResult(
            check.id,
            check.layer,
            check.target,
            "failed" if check.id in failing else "passed",
            evidence,
            str(check.hint) if check.id in failing else "",
        )
        for check in all_checks(model)
    ]


def leave(
    output: Path, model: SiteModel, failing: tuple[str, ...] = (), evidence: str = "as it should be"
) -> None:
    """Write everything a rehearsal would into ``output``."""
    made = timeline(model)
    made.write(output / "timeline.json")
    write_results(
        output / "checks.json", results(model, failing, evidence), "2026-11-02T08:00:00+00:00", 12.5
    )
    steps = [Step("bundle", 0.0, 4.2), Step("lab", 4.2, 33.0)]
    seconds = 45 + max(phase.start + phase.seconds for phase in made.phases)
    Rehearsal(BEGAN, seconds, int(9.7 * 2**30), steps).write(output / "rehearsal.json")
    (output / "logs").mkdir(exist_ok=True)
    (output / "logs" / "rollout.log").write_text("PLAY RECAP\n")
    (output / "lock.json").write_text(json.dumps({"schema": 1, "release": model.release, "entries": []}))
