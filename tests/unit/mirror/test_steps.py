"""Steps are made once, made anew when what goes in changes, and never found half made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_bundle import write_step

from rackwright.errors import RunFailure
from rackwright.mirror.engine import Engine, build_lock, duration
from rackwright.mirror.parts import FILES, assemble, record
from rackwright.mirror.step import Step, StepContext, digest_tree, step_keys

Quiet = Callable[[str], None]


def test_the_second_run_makes_nothing(tmp_path: Path, quiet: Quiet) -> None:
    runs: list[str] = []
    steps = [write_step("one", {"a": "1"}, runs), write_step("two", {"b": "2"}, runs)]
    first = Engine(tmp_path, quiet).run(steps)
    second = Engine(tmp_path, quiet).run(steps)
    assert sorted(runs) == ["one", "two"]
    assert first == second


def test_a_changed_input_remakes_the_step_and_what_needs_it(tmp_path: Path, quiet: Quiet) -> None:
    runs: list[str] = []

    def steps(text: str) -> list[Step]:
        below, other = write_step("below", {"a": text}, runs), write_step("other", {"c": "3"}, runs)
        above = write_step("above", {"b": "2"}, runs)
        return [below, other, Step("above", above.run, above.inputs, ("below",))]

    Engine(tmp_path, quiet).run(steps("1"))
    runs.clear()
    Engine(tmp_path, quiet).run(steps("2"))
    assert runs == ["below", "above"]


def test_a_failed_step_leaves_nothing_and_the_next_build_goes_on(tmp_path: Path, quiet: Quiet) -> None:
    runs: list[str] = []
    broken = True

    def run(context: StepContext) -> None:
        (context.out / "half").write_text("half")
        if broken:
            raise RunFailure("test", "here", "none", "none", "none")

    steps = [write_step("one", {"a": "1"}, runs), Step("two", run, {}, ("one",))]
    engine = Engine(tmp_path, quiet)
    with pytest.raises(RunFailure):
        engine.run(steps)
    keys = step_keys(steps)
    assert engine.store.has(keys["one"]) and not engine.store.has(keys["two"])
    broken = False
    engine.run(steps)
    assert runs == ["one"]
    assert [p.name for p in (tmp_path / "steps").iterdir() if p.suffix == ".part"] == []


def test_an_interrupted_build_leaves_nothing_half(tmp_path: Path, quiet: Quiet) -> None:
    def run(context: StepContext) -> None:
        (context.out / "half").write_text("half")
        raise KeyboardInterrupt

    step = Step("one", run)
    engine = Engine(tmp_path, quiet)
    with pytest.raises(KeyboardInterrupt):
        engine.run([step])
    assert not engine.store.has(step_keys([step])["one"])


def test_a_failing_program_is_reported_with_its_last_words(tmp_path: Path, quiet: Quiet) -> None:
    def run(context: StepContext) -> None:
        context.call(["sh", "-c", "echo dial tcp: no route; exit 3"])

    with pytest.raises(RunFailure) as caught:
        Engine(tmp_path, quiet).run([Step("fetch", run)])
    assert "exit status 3: dial tcp: no route" in caught.value.evidence
    assert "can't be reached" in caught.value.cause
    assert "rackwright bundle build" in caught.value.next_command


def test_two_builds_at_once_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "bundle.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("4711")
        other.flush()
        with pytest.raises(RunFailure, match="4711"), build_lock(tmp_path):
            pass
    with build_lock(tmp_path):
        pass


def test_assembling_follows_the_results_and_removes_the_rest(tmp_path: Path, quiet: Quiet) -> None:
    engine, bundle = Engine(tmp_path / "cache", quiet), tmp_path / "bundle"
    bundle.mkdir()
    first = engine.run([write_step("one", {"a/b": "1", "a/c": "2"})])
    assemble(list(first.values()), "test", bundle)
    second = engine.run([write_step("one", {"d": "3"})])
    assemble(list(second.values()), "test", bundle)
    assert sorted(p.name for p in bundle.iterdir()) == ["d", "lock.json", "lock.json.sha256"]


def test_the_same_results_give_the_same_lock(tmp_path: Path, quiet: Quiet) -> None:
    texts = []
    for name in ("x", "y"):
        bundle = tmp_path / name
        bundle.mkdir()
        results = Engine(tmp_path / f"cache-{name}", quiet).run([write_step("one", {"a": "1"})])
        assemble(list(results.values()), "test", bundle)
        texts.append((bundle / "lock.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_damaged_result_is_found(tmp_path: Path, quiet: Quiet) -> None:
    engine, step = Engine(tmp_path, quiet), write_step("one", {"a": "1"})
    result, key = engine.run([step])["one"], step_keys([step])["one"]
    assert engine.store.damaged(key) == []
    (result / FILES / "a").write_text("2")
    (result / FILES / "b").write_text("3")
    assert engine.store.damaged(key) == [f"{FILES}/a", f"{FILES}/b"]
    (result / FILES / "a").unlink()
    assert engine.store.damaged(key) == [f"{FILES}/a", f"{FILES}/b"]


def test_a_file_without_origin_is_a_fault_of_the_builder(tmp_path: Path, quiet: Quiet) -> None:
    step = write_step("one", {"a": "1"})

    def run(context: StepContext) -> None:
        step.run(context)
        record(context.out, {"b": None})  # type: ignore[dict-item]

    with pytest.raises(KeyError, match="no origin"):
        Engine(tmp_path, quiet).run([Step("bad", run)])


def test_old_results_are_pruned_and_used_ones_kept(tmp_path: Path, quiet: Quiet) -> None:
    engine = Engine(tmp_path, quiet)
    steps = [write_step("one", {"a": "1"}), write_step("two", {"b": "2"})]
    for path in engine.run(steps).values():
        os.utime(path, (0, 0))
    keys = step_keys(steps)
    assert engine.store.prune({keys["one"]}, days=7) == [keys["two"]]
    assert engine.store.has(keys["one"])


def test_keys_follow_content_and_executable_bits(tmp_path: Path) -> None:
    file = tmp_path / "recipe" / "run"
    file.parent.mkdir()
    file.write_text("x")
    before = digest_tree(tmp_path / "recipe")
    file.chmod(0o755)
    assert digest_tree(tmp_path / "recipe") != before


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (75, "1 min 15 s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
