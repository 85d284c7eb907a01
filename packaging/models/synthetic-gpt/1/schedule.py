"""In-flight batching: every step takes all sequences that are decoding, and a chunk each of a few new prompts.

A new request waits for no batch to end: it joins at the next step, and its prompt rides along with the others'
tokens, whose step reads the same weights anyway. How many tokens a sequence will have is known from the
start, so the next step is started before the tokens of the last have arrived; but as late as can be, because
whoever asks again in the meantime joins it.

Where sequences end, their clients may ask again, and miss the next step by a little. A step costs about the same
with empty places as without: for `missing` clients to gain a step of `took` seconds each, the `going` may be kept
waiting for `took * missing / going`. Where clients usually are back within that, the next step waits for them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rows import Row

MARGIN = 0.00015
"""Seconds that the next step is made up earlier than must be."""
BUBBLE = 0.0003
"""Seconds that the GPU idles when a step is made up only after the last has ended."""
BACK = 0.0015
"""Seconds from a last token to its client's next request, until it has been seen."""
GONE = 0.015
"""Seconds after which a client isn't expected any more."""


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
    """A step that was started, what it works on, and how many sequences' last tokens it decides."""

    ticket: Any
    work: list[tuple[Generation, Row]]
    ending: int

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
    # When the last tokens of clients that may ask again were there; how long these usually take; how long a step
    # without prompts takes, and making one up.
    _ended: deque[float] = field(default_factory=deque)
    _back: float = BACK
    _step: float = 0.0
    _making: float = 0.0003

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
            now = time.perf_counter()
            while self._ended and now - self._ended[0] > GONE:
                self._ended.popleft()
            if self._ended:
                # One of the clients that have their answers: the first, on the average.
                self._back += 0.1 * (now - self._ended.popleft() - self._back)
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
                if flight is not None and self._worth_waiting(flight):
                    self._land(flight)
                    self._wait_for_return(flight.ending)
                    flight = None
                work = self._plan(idle=flight is None)
                if work is None:
                    return
                planned = time.perf_counter()
                began = self._begin(work) if work else None
                if began is not None:
                    self._making += 0.1 * (1.3 * (time.perf_counter() - planned) - self._making)
                starts = self._land(flight) if flight is not None else time.perf_counter()
                if began is not None:
                    took = self._took.get(began.kind, 0.0)
                    self._wait_for_company(starts + took - self._making - MARGIN)
                flight = began
        except Exception as error:
            with self._news:
                self._closed = True
                left = [*self._active, *self._waiting]
            for generation in left:
                if not generation.over:
                    generation.on_failure(f"a step failed: {error}")
            raise

    def _begin(self, work: list[tuple[Generation, Row]]) -> Flight:
        """Start a step."""
        ending = sum(row.decides and one.begun == one.max_tokens for one, row in work)
        ticket = self.engine.step([row for _, row in work])
        return Flight(ticket, work, ending)

    def _land(self, flight: Flight) -> float:
        """Wait for a step's end and tell its tokens; when it ended."""
        tokens, took = self.engine.result(flight.ticket)
        ended = time.perf_counter()
        self._took[flight.kind] = took
        if not flight.kind[1]:
            self._step = took
        with self._news:
            self._ended.extend([ended] * flight.ending)
        for (generation, row), token in zip(flight.work, tokens, strict=True):
            if row.decides and not generation.over:
                generation.heard += 1
                generation.over = generation.heard == generation.max_tokens
                generation.on_token(token, generation.over)
        return ended

    def _worth_waiting(self, flight: Flight) -> bool:
        """Whether the next step should wait for the clients whose sequences end with this one."""
        ending = flight.ending
        if 2 * self._back > self._step:
            # The host takes too long for a crowd of requests. Sequences that end in turns are better then, as the
            # next ones come in while a step runs.
            return False
        missing, going = ending - len(self._waiting), len(self._active) - ending + len(self._waiting)
        return missing > 0 and self._worth(missing, going) > self._back + BUBBLE

    def _worth(self, missing: int, going: int) -> float:
        """Seconds for which `going` sequences may be kept waiting for `missing` ones."""
        return self._step * missing / going if going else float("inf")

    def _wait_for_return(self, ending: int) -> None:
        """Let those come back whose sequences have ended, for as long as it is worth it."""
        with self._news:
            going = len(self._active) - ending
            since, seen = time.perf_counter(), len(self._waiting)
            while not self._closed and len(self._waiting) < ending:
                here = len(self._waiting)
                if here > seen:
                    since, seen = time.perf_counter(), here
                if not going + here:
                    self._news.wait()
                    continue
                # Whoever isn't back in twice the usual time isn't expected.
                patience = min(self._worth(ending - here, going + here), 2 * self._back + BUBBLE)
                left = since + patience - time.perf_counter()
                if left <= 0:
                    return
                self._news.wait(left)

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
        """Let those come back who are likely to, and have places, until the next step must be made up."""
        with self._news:
            places = len(self._free) + sum(one.begun >= one.max_tokens for one in self._active)
            while len(self._waiting) < places and not self._closed:
                now = time.perf_counter()
                # Whoever usually needs longer than there is won't make it.
                fresh = any(
                    now < ended + 2 * self._back and ended + self._back < until for ended in self._ended
                )
                if not fresh or now >= until:
                    return
                self._news.wait(until - now)
