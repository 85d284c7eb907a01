"""Runs build steps: what is cached is skipped, what is not runs two at a time, and says how far it is."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from rackwright.errors import RunFailure
from rackwright.mirror.step import Processes, Step, StepContext, StepStore, step_keys

Progress = Callable[[str], None]

#: Two steps at once keep two cores busy while one of them links or downloads.
WORKERS = 2


def say(line: str) -> None:
    """The plain progress line: works with and without a terminal."""
    print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


@contextmanager
def build_lock(cache: Path) -> Iterator[None]:
    """Hold the one build lock of a cache directory.

    Raises:
        RunFailure: another build holds it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / "bundle.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise RunFailure(
                what="starting a bundle build",
                where=str(cache),
                evidence=f"the build lock {path} is held by process {holder}",
                cause="another bundle build is running with the same cache",
                next_command="wait for it to end, then: rackwright bundle build",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class Engine:
    """Brings every step's result into the store, and returns where the results are."""

    def __init__(self, cache: Path, progress: Progress = say) -> None:
        self.cache = cache
        self.progress = progress
        self.store = StepStore(cache / "steps")
        self._durations_file = cache / "durations.json"
        self.durations: dict[str, float] = {}
        if self._durations_file.is_file():
            self.durations = json.loads(self._durations_file.read_text())

    def run(self, steps: Sequence[Step]) -> dict[str, Path]:
        """Make what is missing. The caller holds the build lock.

        Raises:
            RunFailure: a step failed; those that were running beside it have been left to finish.
        """
        self.store.clean()
        keys = step_keys(steps)
        done = {
            step.name: self.store.path(keys[step.name]) for step in steps if self.store.has(keys[step.name])
        }
        for path in done.values():
            os.utime(path)
        missing = [step for step in steps if step.name not in done]
        if missing:
            left = sum(self._guess(step) for step in missing)
            ready = f"{len(done)} of {len(steps)} steps are ready"
            self.progress(f"{ready}; {len(missing)} to do, about {duration(left / 1.5)}")
            self._run_missing(missing, keys, done, len(steps))
        return done

    def _guess(self, step: Step) -> float:
        return self.durations.get(step.name, step.seconds)

    def _run_missing(
        self, missing: list[Step], keys: Mapping[str, str], done: dict[str, Path], total: int
    ) -> None:
        processes = Processes()
        waiting = list(missing)
        running: dict[Future[float], Step] = {}
        failure: BaseException | None = None
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                while waiting or running:
                    ready = [s for s in waiting if all(need in done for need in s.needs)]
                    while ready and failure is None and len(running) < WORKERS:
                        step = ready.pop(0)
                        waiting.remove(step)
                        self.progress(f"[{len(done) + 1}/{total}] {step.name} …")
                        running[pool.submit(self._one, step, keys[step.name], dict(done), processes)] = step
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        step = running.pop(future)
                        error = future.exception()
                        if error is not None:
                            failure = failure or error
                            continue
                        done[step.name] = self.store.path(keys[step.name])
                        self._remember(step, future.result())
                        left = sum(self._guess(s) for s in [*waiting, *running.values()]) / 1.5
                        more = f"; about {duration(left)} left" if waiting or running else ""
                        self.progress(
                            f"[{len(done)}/{total}] {step.name} took {duration(future.result())}{more}"
                        )
            except BaseException:
                processes.stop()
                raise
        if failure is not None:
            raise failure

    def _one(self, step: Step, key: str, done: Mapping[str, Path], processes: Processes) -> float:
        started = time.monotonic()
        log = self.cache / "logs" / f"{step.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        out = self.store.begin(key)
        upstream = {need: done[need] for need in step.needs}
        step.run(StepContext(step, out, upstream, log, self.cache, processes))
        self.store.publish(key)
        return time.monotonic() - started

    def _remember(self, step: Step, seconds: float) -> None:
        self.durations[step.name] = round(seconds, 1)
        part = self._durations_file.with_suffix(".part")
        part.write_text(json.dumps(self.durations, indent=1, sort_keys=True) + "\n")
        part.replace(self._durations_file)
