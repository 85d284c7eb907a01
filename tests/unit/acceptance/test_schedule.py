"""In-flight batching, with an engine that only counts: who works in which step, and what each request hears."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.paths import checkout

# Only while it is imported: another model beside it has files of the same names.
sys.path.insert(0, str(checkout() / "packaging/models/synthetic-gpt/1"))
schedule: Any = importlib.import_module("schedule")
del sys.path[0]


class Counting:
    """An engine whose token is the number of tokens that its slot has been given so far."""

    slots, context, chunk, prompts = 4, 64, 8, 2

    def __init__(self) -> None:
        self.seconds = 0.0
        self.steps: list[list[Any]] = []
        self.held: dict[int, int] = {}
        self.broken_at = -1

    def step(self, work: Sequence[Any]) -> list[int]:
        if len(self.steps) == self.broken_at:
            raise RuntimeError("out of memory")
        assert 0 < len(work) <= self.slots
        assert len({row.slot for row in work}) == len(work), "a slot works once in a step"
        long = [len(row.tokens) > 1 for row in work]
        assert long == sorted(long), "prompts come last"
        assert sum(long) <= self.prompts
        tokens = []
        for row in work:
            assert len(row.tokens) <= self.chunk
            if row.position == 0:
                self.held[row.slot] = 0
            assert row.position == self.held[row.slot], "every position once and in order"
            self.held[row.slot] += max(len(row.tokens), 1)
            assert self.held[row.slot] <= self.context
            tokens.append(self.held[row.slot])
        self.steps.append(list(work))
        return tokens

    def result(self, ticket: list[int]) -> tuple[list[int], float]:
        time.sleep(self.seconds)
        return ticket, self.seconds or 0.001


def serve(engine: Counting, sizes: Sequence[tuple[int, int]]) -> list[list[tuple[int, bool]]]:
    heard: list[list[tuple[int, bool]]] = [[] for _ in sizes]
    scheduler = schedule.Scheduler(engine)
    for number, (prompt, new) in enumerate(sizes):
        scheduler.submit(
            schedule.Generation(
                tuple(range(prompt)), new, lambda t, last, n=number: heard[n].append((t, last)), pytest.fail
            )
        )
    scheduler.close()
    scheduler.run()
    return heard


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 25)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_request_hears_all_its_tokens_in_order(sizes: list[tuple[int, int]]) -> None:
    heard = serve(Counting(), sizes)
    for (prompt, new), tokens in zip(sizes, heard, strict=True):
        assert tokens == [(prompt + index, index == new - 1) for index in range(new)]


def test_a_new_request_joins_while_others_go_on() -> None:
    engine = Counting()
    serve(engine, [(8, 10)] * 4)
    # Two prompts at most in a step, and the first two go on in the second.
    assert [len(step) for step in engine.steps[:2]] == [2, 4]
    assert len(engine.steps) == 11


def test_more_requests_than_slots_wait_for_the_first_free_one() -> None:
    engine = Counting()
    serve(engine, [(4, 3)] * 9)
    assert max(len(step) for step in engine.steps) == 4


def test_a_request_that_nobody_wants_any_more_makes_room() -> None:
    engine = Counting()
    scheduler = schedule.Scheduler(engine)
    words: list[str] = []
    tokens: list[int] = []
    scheduler.submit(
        schedule.Generation(
            (1, 2), 50, lambda t, last: tokens.append(t), words.append, lambda: len(tokens) < 5
        )
    )
    scheduler.close()
    scheduler.run()
    assert words == ["nobody waits for it any more"]
    assert 5 <= len(tokens) < 8


def test_an_error_of_the_engine_is_told_to_everybody() -> None:
    engine = Counting()
    engine.broken_at = 3
    scheduler = schedule.Scheduler(engine)
    words: list[str] = []
    for _ in range(6):
        scheduler.submit(schedule.Generation((1, 2, 3), 9, lambda t, last: None, words.append))
    with pytest.raises(RuntimeError):
        scheduler.run()
    assert words == ["a step failed: out of memory"] * 6
    with pytest.raises(ValueError, match="unloaded"):
        scheduler.submit(schedule.Generation((1,), 1, lambda t, last: None, words.append))


@pytest.mark.parametrize(("prompt", "new"), [(0, 5), (5, 0), (60, 6)])
def test_what_cannot_be_served_is_refused_at_once(prompt: int, new: int) -> None:
    scheduler = schedule.Scheduler(Counting())
    with pytest.raises(ValueError, match="token"):
        scheduler.submit(schedule.Generation(tuple(range(prompt)), new, lambda t, last: None, pytest.fail))


def test_requests_may_come_at_any_time_from_other_threads() -> None:
    engine = Counting()
    scheduler = schedule.Scheduler(engine)
    runs = threading.Thread(target=scheduler.run)
    runs.start()
    done = threading.Semaphore(0)
    for _ in range(20):
        scheduler.submit(
            schedule.Generation((1, 2, 3), 4, lambda t, last: done.release() if last else None, pytest.fail)
        )
    assert all(done.acquire(timeout=10) for _ in range(20))
    scheduler.close()
    runs.join(timeout=10)
    assert not runs.is_alive()


def test_the_next_step_waits_for_clients_that_come_right_back() -> None:
    engine = Counting()
    engine.seconds = 0.25
    engine.prompts = 4
    scheduler = schedule.Scheduler(engine)
    # They count as gone after twice of this: long enough for a busy machine.
    scheduler._back = 0.1
    runs = threading.Thread(target=scheduler.run)
    rounds = 3
    asked = [0] * engine.slots

    def ask(number: int) -> None:
        asked[number] += 1
        scheduler.submit(
            schedule.Generation((1, 2), 3, lambda token, last: again(number) if last else None, pytest.fail)
        )

    def again(number: int) -> None:
        if asked[number] < rounds:
            threading.Timer(0.001, ask, [number]).start()

    for number in range(engine.slots):
        ask(number)
    runs.start()
    while not all(count == rounds for count in asked):
        time.sleep(0.01)
    scheduler.close()
    runs.join(timeout=10)
    # Without waiting each of a client's rounds but the first would miss a step, and one place be empty in it.
    assert len(engine.steps) == 3 * rounds
    assert all(len(step) == engine.slots for step in engine.steps)
