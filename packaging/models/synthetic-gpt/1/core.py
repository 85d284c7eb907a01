"""The process that owns the GPU: weights, graphs and the scheduler, and nothing that Triton wants of python.

    python core.py SIZE SLOTS CONTEXT ADDRESS PARENT

Triton's stubs are fronts: they turn requests into messages and answers into responses, each with an interpreter
lock of its own, so that no step waits for that. They connect to the abstract Unix socket ADDRESS and get a word
when the graphs are recorded. Ends when PARENT, the server's process, has gone.

Messages to here: kind, number, most tokens, prompt. Back: kind, number, text.
"""

from __future__ import annotations

import gc
import os
import struct
import sys
import threading
import time
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

HEAD = struct.Struct("<BIi")
WHOLE, PIECES, CANCEL = 0, 1, 2
"""Kinds of messages to here: a request for a whole answer, for one in pieces, and that nobody waits any more."""
PIECE, LAST, FAILED, READY = 0, 1, 2, 3
"""Kinds of messages from here."""


def connect(address: str, patience: float) -> Connection:
    """A front's connection, once the core is ready. Raises ConnectionError with its words, or after `patience` s."""
    until = time.monotonic() + patience
    while True:
        try:
            link = Client(address, family="AF_UNIX")
            break
        except OSError as error:
            if time.monotonic() > until:
                raise ConnectionError("the process with the weights doesn't come up") from error
            time.sleep(0.05)
    try:
        kind, _, _ = HEAD.unpack_from(message := link.recv_bytes())
    except (EOFError, OSError) as error:
        raise ConnectionError("the process with the weights ended at its start; see above") from error
    if kind != READY:
        raise ConnectionError(message[HEAD.size :].decode())
    return link


class Front:
    """One front's side of the core: takes its messages, and sends what its requests are answered."""

    def __init__(self, link: Connection, scheduler: object) -> None:
        self.link, self.scheduler = link, scheduler
        self.gone: set[int] = set()
        self.lock = threading.Lock()

    def tell(self, kind: int, number: int, text: str) -> None:
        """Send a message; a front that has gone hears nothing."""
        try:
            with self.lock:
                self.link.send_bytes(HEAD.pack(kind, number, 0) + text.encode())
        except OSError:
            self.gone.add(number)

    def run(self) -> None:
        """Take messages until the front hangs up."""
        while True:
            try:
                message = self.link.recv_bytes()
            except (EOFError, OSError):
                return
            kind, number, most = HEAD.unpack_from(message)
            if kind == CANCEL:
                self.gone.add(number)
                continue
            try:
                self.scheduler.submit(self.generation(kind, number, most, message[HEAD.size :]))  # type: ignore[attr-defined]
            except ValueError as error:
                self.tell(FAILED, number, str(error))

    def generation(self, kind: int, number: int, most: int, prompt: bytes) -> object:
        """A request as the scheduler takes it: each byte of the prompt is a token."""
        from schedule import Generation

        said: list[int] = []

        def on_token(token: int, last: bool) -> None:
            if last:
                self.gone.discard(number)
            if kind == PIECES:
                self.tell(LAST if last else PIECE, number, f"{token} ")
                return
            said.append(token)
            if last:
                self.tell(LAST, number, " ".join(map(str, said)))

        def on_failure(words: str) -> None:
            self.gone.discard(number)
            self.tell(FAILED, number, words)

        return Generation(tuple(prompt), most, on_token, on_failure, lambda: number not in self.gone)


def main() -> None:
    """Make the weights, record the graphs, serve fronts."""
    size, slots, context, address, parent = sys.argv[1:]
    import gpt
    from schedule import Scheduler

    listener = Listener("\0" + address, family="AF_UNIX", backlog=64)
    # The scheduler's thread must not wait 5 ms for its turn while messages come in, nor for the garbage of
    # hundreds of thousands of objects that PyTorch made on import.
    sys.setswitchinterval(0.00005)
    engine = gpt.Engine(gpt.SIZES[size], slots=int(slots), context=int(context))
    engine.record()
    gc.freeze()
    scheduler = Scheduler(engine)

    def accept() -> None:
        while True:
            link = listener.accept()
            link.send_bytes(HEAD.pack(READY, 0, 0))
            threading.Thread(target=Front(link, scheduler).run, daemon=True).start()

    def watch() -> None:
        while Path("/proc", parent).exists():
            time.sleep(0.5)
        os._exit(0)

    for work in (accept, watch):
        threading.Thread(target=work, daemon=True).start()
    try:
        scheduler.run()
    finally:
        # What is in flight has been told; the fronts see the end of the connection.
        os._exit(1)


if __name__ == "__main__":
    main()
