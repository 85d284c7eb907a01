"""How programs end: this one in good order whatever ends it, and those it started with it."""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Iterator

PR_SET_PDEATHSIG = 1
"""Of Linux' prctl: the signal that a process gets when its parent ends."""
_LIBC = ctypes.CDLL(None)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process the way Ctrl-C does: by an exception, so that clean-up runs."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tied() -> None:
    """In a child (``preexec_fn``): be told to end when who started it ends, also when that is killed."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
