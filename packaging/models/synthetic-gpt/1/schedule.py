"""In-flight batching: every step takes all sequences that are decoding, and a chunk each of a few new prompts.

A new request waits for no batch to end: it joins at the next step, and its prompt rides along with the others'
tokens, whose step reads the same weights anyway. How many tokens a sequence will have is known from the
start, so the next step is started before the tokens of the last have arrived; but as late as can be, because
whoever asks again in the meantime joins it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rows import Row

LEAD = 0.0005
"""Seconds before the end of a step at which the next is made up: what that takes, and a little more."""
SHORT = 0.004
"""Steps shorter than this aren't waited for: on them a late start costs more than company brings."""


class Steps(Protocol):
    """What the scheduler wants of an engine."""

    slots: int
    context: int
    chunk: int
    prompts: int

    def step(self, work: Sequence[Row]) -> Any:
        """Start a step; rows of one token come before those of prompts."""

    def result(self, ticket: Any) -> tuple[list[int], float]:
        """Wait for the next token of each row; and the seconds that the step itself took."""


@dataclass
class Generation:
    """One request: `on_token` hears of each token and whether it is the last, `on_failure` why there will be no
    more. `wanted` is asked before each step whether it should go on.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    on_token: Callable[[int, bool], None]
    on_failure: Callable[[str], None]
    wanted: Callable[[], bool] = lambda: True
    slot: int = -1
    fed: int = 0
    begun: int = 0
    heard: int = 0
    over: bool = False

    def row(self, chunk: int) -> Row:
        """What this sequence does in the next step, which then counts as begun."""
        if self.fed == len(self.prompt):
            row = Row(self.slot, len(self.prompt) + self.begun - 1)
        else:
            tokens = self.prompt[self.fed : self.fed + chunk]
            row = Row(self.slot, self.fed, tokens, self.fed + len(tokens) == len(self.prompt))
            self.fed += len(tokens)
        self.begun += row.decides
        return row


@dataclass(frozen=True)
class Flight:
    """A step that was started, and what it works on."""

    ticket: Any
    work: list[tuple[Generation, Row]]

    @property
    def kind(self) -> tuple[int, int]:
        """Sequences that decode and prompts: steps alike take alike."""
        prompts = sum(len(row.tokens) > 1 for _, row in self.work)
        return len(self.work) - prompts, prompts


@dataclass
class Scheduler:
    """Runs generations on an engine until it is closed; `submit` may be called from any thread."""

    engine: Steps
    _waiting: deque[Generation] = field(default_factory=deque)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False
    _active: list[Generation] = field(default_factory=list)
    _free: list[int] = field(default_factory=list)
    _took: dict[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = list(range(self.engine.slots))[::-1]

    def submit(self, generation: Generation) -> None:
        """Queue a generation. Raises ValueError for one that can't be served."""
        if not generation.prompt or generation.max_tokens < 1:
            raise ValueError("a generation wants a prompt and at least one new token")
        longest = len(generation.prompt) + generation.max_tokens - 1
        if longest > self.engine.context:
            raise ValueError(
                f"{len(generation.prompt)} prompt tokens and {generation.max_tokens} new ones are more than the"
                f" {self.engine.context} that a sequence may have"
            )
        with self._news:
            if self._closed:
                raise ValueError("the model is being unloaded, or a step of it failed")
            self._waiting.append(generation)
            self._news.notify()

    def close(self) -> None:
        """Let `run` return once everything submitted is done."""
        with self._news:
            self._closed = True
            self._news.notify()

    def run(self) -> None:
        """Step until closed. An engine's error fails what is in flight, and is raised."""
        flight: Flight | None = None
        try:
            while True:
                work = self._plan(idle=flight is None)
                if work is None:
                    return
                began = Flight(self.engine.step([row for _, row in work]), work) if work else None
                if flight is not None:
                    tokens, self._took[flight.kind] = self.engine.result(flight.ticket)
                    ended = time.perf_counter()
                    self._deliver(flight.work, tokens)
                    took = self._took.get(began.kind, 0.0) if began is not None else 0.0
                    if took > SHORT:
                        self._wait_for_company(ended + took - LEAD)
                flight = began
        except Exception as error:
            with self._news:
                self._closed = True
                left = [*self._active, *self._waiting]
            for generation in left:
                if not generation.over:
                    generation.on_failure(f"a step failed: {error}")
            raise

    def _plan(self, idle: bool) -> list[tuple[Generation, Row]] | None:
        """The next step's work, decoding rows first; None when closed and done; waits where nothing is to do."""
        self._active = [one for one in self._active if self._goes_on(one)]
        with self._news:
            while idle and not self._waiting and not self._active:
                if self._closed:
                    return None
                self._news.wait()
            while self._waiting and self._free:
                generation = self._waiting.popleft()
                generation.slot = self._free.pop()
                self._active.append(generation)
        work = [(one, one.row(1)) for one in self._active if one.fed == len(one.prompt)]
        reading = [one for one in self._active if one.fed < len(one.prompt)]
        work += [(one, one.row(self.engine.chunk)) for one in reading[: self.engine.prompts]]
        # A prompt's last token, where it is left alone, is a row like those that decode.
        return sorted(work, key=lambda item: len(item[1].tokens) > 1)

    def _goes_on(self, generation: Generation) -> bool:
        """Whether a generation wants another step; else its slot is free for the next, as steps run in order."""
        if generation.begun < generation.max_tokens:
            if generation.wanted():
                return True
            generation.over = True
            generation.on_failure("nobody waits for it any more")
        self._free.append(generation.slot)
        return False

    def _wait_for_company(self, until: float) -> None:
        """Let requests come in while there are places for them, until the next step must be made up."""
        with self._news:
            places = len(self._free) + sum(one.begun >= one.max_tokens for one in self._active)
            while len(self._waiting) < places and (left := until - time.perf_counter()) > 0:
                if self._closed:
                    return
                self._news.wait(left)

    def _deliver(self, work: list[tuple[Generation, Row]], tokens: list[int]) -> None:
        for (generation, row), token in zip(work, tokens, strict=True):
            if row.decides and not generation.over:
                generation.heard += 1
                generation.over = generation.heard == generation.max_tokens
                generation.on_token(token, generation.over)
