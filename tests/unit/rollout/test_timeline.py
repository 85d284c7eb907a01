"""Events to timeline: counts, durations, failures, resumed runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rackwright.rollout.timeline import PhaseRun, TaskRun, Timeline, merge, read_timeline


def event(what: str, time: float, **facts: Any) -> dict[str, Any]:
    return {"event": what, "time": 100 + time, **facts}


def result(task: str, time: float, host: str, status: str = "ok", changed: bool = False) -> dict[str, Any]:
    return event("result", time, task=task, host=host, status=status, changed=changed, action="a", reason={})


def played(*events: dict[str, Any]) -> Timeline:
    made = Timeline(100.0)
    for one in events:
        made.add(one)
    return made


def test_tasks_and_changes_are_counted_by_phase() -> None:
    made = played(
        event("playbook", 1, name="head"),
        event("task", 2, task="t1", name="Install it", role="mirror", kind="task"),
        event("start", 2, task="t1", host="a"),
        event("start", 2, task="t1", host="b"),
        result("t1", 3, "a", changed=True),
        result("t1", 5, "b"),
        event("playbook", 6, name="nodes"),
        event("task", 7, task="t2", name="Look", role="", kind="task"),
        result("t2", 8, "a"),
        event("stats", 9, hosts={"a": {"ok": 2}}),
    )
    made.finish(110.0, ok=True)
    head, nodes = made.phases
    assert (head.tasks, head.changed, head.result, head.seconds) == (1, 1, "passed", 5.0)
    assert (nodes.tasks, nodes.changed, nodes.result, nodes.seconds) == (1, 0, "passed", 4.0)
    task = made.tasks[0]
    assert (task.title, task.start, task.seconds, task.started, task.done) == (
        "mirror: Install it",
        2.0,
        3.0,
        2,
        2,
    )
    assert made.hosts == {"a": {"ok": 2}}


def test_a_failure_keeps_its_host_and_ends_the_phase_as_failed() -> None:
    made = played(
        event("playbook", 1, name="head"),
        event("task", 2, task="t1", name="Install it", role="", kind="task"),
        result("t1", 3, "a", status="failed"),
        result("t1", 3, "b", status="ignored"),
    )
    made.finish(104.0, ok=False)
    assert [(f.phase, f.host, f.status) for f in made.failures] == [("head", "a", "failed")]
    assert made.phases[0].result == "failed"


def test_results_of_unknown_tasks_and_unknown_events_are_passed_over() -> None:
    made = played(event("banner", 1), event("playbook", 1, name="head"), result("nobody", 2, "a"))
    assert made.tasks == []


def test_a_timeline_survives_being_written_and_read(tmp_path: Path) -> None:
    made = Timeline(
        100.0, [PhaseRun("head", 1.0, 2.0, 3, 4, "passed")], [TaskRun("head", "x", "r", 1.0, 2.0)]
    )
    made.write(tmp_path / "timeline.json")
    again = read_timeline(tmp_path / "timeline.json")
    assert again is not None
    assert again.to_dict() == made.to_dict()


def test_a_broken_file_is_no_timeline(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{")
    assert read_timeline(tmp_path / "t.json") is None
    assert read_timeline(tmp_path / "missing.json") is None


def test_a_resumed_run_follows_what_was_done_before() -> None:
    earlier = Timeline(
        0.0, [PhaseRun("head", 1, 10, result="passed"), PhaseRun("nodes", 11, 5, result="failed")]
    )
    earlier.tasks = [TaskRun("head", "x", "", 1), TaskRun("nodes", "y", "", 11)]
    later = Timeline(1000.0, [PhaseRun("nodes", 1, 7, result="passed")], [TaskRun("nodes", "y", "", 2, 3)])
    whole = merge(earlier, later)
    assert [(p.name, p.start, p.result) for p in whole.phases] == [
        ("head", 1, "passed"),
        ("nodes", 12, "passed"),
    ]
    assert [(t.phase, t.start) for t in whole.tasks] == [("head", 1), ("nodes", 13)]


def test_a_whole_run_replaces_what_was_before() -> None:
    earlier = Timeline(
        0.0, [PhaseRun("head", 1, 10, result="passed"), PhaseRun("verify", 11, 5, result="passed")]
    )
    later = Timeline(1000.0, [PhaseRun("head", 1, 7, result="passed")])
    assert [p.name for p in merge(earlier, later).phases] == ["head"]
