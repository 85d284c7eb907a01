"""Earlier durations and what they say about the time left."""

from __future__ import annotations

import io
from pathlib import Path

from rackwright.rollout.history import SHIPPED, Estimate, History, clock
from rackwright.rollout.progress import Progress
from rackwright.rollout.timeline import PhaseRun, TaskRun, Timeline


def test_without_a_past_the_shipped_figures_are_used(tmp_path: Path) -> None:
    history = History("x", path=tmp_path / "h.json")
    assert history.seconds("head") == SHIPPED["head"]
    assert Estimate(history, ("head", "nodes")).left("head", 5) == SHIPPED["head"] - 5 + SHIPPED["nodes"]


def test_what_was_measured_is_remembered_by_kind(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    timeline = Timeline(
        0.0, [PhaseRun("head", 2.0, 40.0, result="passed"), PhaseRun("nodes", 42, 9, result="failed")]
    )
    timeline.tasks = [TaskRun("head", "one", "", 2.0), TaskRun("head", "two", "r", 32.0)]
    History("x", path=path).record_timeline(timeline)
    again = History("x", path=path)
    assert again.seconds("head") == 40
    assert again.seconds("nodes") == SHIPPED["nodes"]
    assert History("x", "again", path).seconds("head") == SHIPPED["head"]
    assert again.left("head", elapsed=99, task="r: two", in_task=4) == 40 - 30 - 4


def test_left_is_never_negative_and_a_new_task_counts_by_time(tmp_path: Path) -> None:
    history = History("x", path=tmp_path / "h.json")
    history.record("head", 10)
    assert history.left("head", 25) == 0
    assert history.left("head", 4, task="never seen") == 6


def test_an_assumption_beats_memory(tmp_path: Path) -> None:
    history = History("x", path=tmp_path / "h.json")
    history.record("bundle", 1000)
    history.assume("bundle", 5)
    assert history.seconds("bundle") == 5


def test_a_broken_file_is_no_past(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text("not json")
    assert History("x", path=tmp_path / "h.json").seconds("lab") == SHIPPED["lab"]


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.6, 75, 3675)] == ["0:00", "1:00", "1:15", "1:01:15"]


def test_a_step_that_takes_longer_says_so_instead_of_nothing_left(tmp_path: Path) -> None:
    history = History("x", path=tmp_path / "h.json")
    history.record("head", 10)
    history.record("nodes", 70)
    progress = Progress(Estimate(history, ("head", "nodes")), io.StringIO())
    assert progress.left("head", 4) == "about 1:16 left"
    assert progress.left("head", 30) == "longer than expected, over 1:10 left"
    assert progress.left("nodes", 99) == "longer than expected"
