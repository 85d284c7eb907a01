"""QEMU's machine protocol (QMP): commands and events over a UNIX socket."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Qmp:
    """A connection; ``event`` is called for each event, in a thread of its own, and once with ``GONE`` at the end."""

    def __init__(self, path: Path, event: Callable[[str, dict[str, Any]], None]) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rwb", buffering=0)
        self._answers: list[dict[str, Any]] = []
        self._ready = threading.Condition()
        self._event = event
        self._turn = threading.Lock()
        self._closed = False
        if self._read() is None:  # the greeting
            raise OSError("QEMU closed the connection")
        self._socket.settimeout(None)
        threading.Thread(target=self._listen, name="qmp", daemon=True).start()
        self.ask("qmp_capabilities")

    def _read(self) -> dict[str, Any] | None:
        line = self._stream.readline()
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def _listen(self) -> None:
        try:
            while (said := self._read()) is not None:
                if "event" in said:
                    self._tell(said["event"], said.get("data", {}))
                else:
                    with self._ready:
                        self._answers.append(said)
                        self._ready.notify()
        except (OSError, ValueError):
            pass
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        self._tell("GONE", {})

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        # not in this thread: who is told may ask something, and this thread reads the answer
        threading.Thread(target=self._event, args=(name, data), daemon=True).start()

    def ask(self, command: str, seconds: float = 10, **arguments: Any) -> Any:
        """What a command returns; OSError if it fails, if QEMU is gone or says nothing in time."""
        with self._turn, self._ready:
            self._answers.clear()
            message = {"execute": command} | ({"arguments": arguments} if arguments else {})
            self._stream.write(json.dumps(message).encode() + b"\n")
            if not self._ready.wait_for(lambda: self._answers or self._closed, seconds):
                raise OSError(f"QEMU gave no answer to {command} within {seconds:g} s")
            if not self._answers:
                raise OSError("QEMU has ended")
            answer = self._answers.pop()
        if "error" in answer:
            raise OSError(f"QEMU refused {command}: {answer['error'].get('desc', answer['error'])}")
        return answer.get("return")

    def close(self) -> None:
        """Let go of the connection; QEMU runs on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._socket.close()
