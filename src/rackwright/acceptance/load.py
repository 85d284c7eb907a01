"""Closed-loop clients for Triton's ``/generate``: each asks, waits for the whole answer, and asks again.

Nothing but the standard library, so that it runs in the server's own container. The clients are spread over a few
processes, each a loop over its sockets: an answer is followed by the next question before anything else is done,
since while a client dawdles its place in the batch is empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

CORES_A_PROCESS = 4
"""Cores for each process of clients; the server wants the others."""
START_SECONDS = 0.05
"""From the word that all processes are connected to the first question, so that all clients begin together."""
PATIENCE_SECONDS = 60
"""Longest wait for an answer after the end of the measurement."""


@dataclass(frozen=True)
class Load:
    """What was seen over ``seconds``: each answer's time in ms, new tokens of them all, and every client's ends.

    ``ends`` holds, by client, when its answers arrived (seconds on one clock).
    """

    concurrency: int
    seconds: float
    tokens: int
    latencies_ms: tuple[float, ...]
    ends: tuple[tuple[float, ...], ...]
    failures: tuple[str, ...]

    @property
    def inferences_per_second(self) -> float:
        """Answers a second: each client's, from its first to its last, so that no answer is cut in two.

        A client with fewer than two answers counts with these over the whole time.
        """
        return sum(rate(ends) or len(ends) / self.seconds for ends in self.ends)

    @property
    def tokens_per_second(self) -> float:
        """New tokens a second."""
        answers = len(self.latencies_ms)
        return self.inferences_per_second * self.tokens / answers if answers else 0.0

    def percentile(self, share: float) -> float:
        """The latency in ms that ``share`` (0 to 1) of the answers stayed within."""
        return percentile(self.latencies_ms, share)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``values`` don't exceed (nearest rank). Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = max(1, -(-round(share * len(ordered) * 1e6) // 1_000_000))
    return ordered[rank - 1]


def rate(ends: Sequence[float]) -> float:
    """Ends a second between the first and the last; 0 with fewer than two."""
    return (len(ends) - 1) / (ends[-1] - ends[0]) if len(ends) > 1 else 0.0


def request(model: str, prompt: str, max_tokens: int) -> bytes:
    """One HTTP request for ``max_tokens`` new tokens after ``prompt``."""
    body = json.dumps({"text_input": prompt, "max_tokens": max_tokens}).encode()
    return (
        f"POST /v2/models/{model}/generate HTTP/1.1\r\nHost: triton\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def answer(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of a whole HTTP answer; None while a part of it is still to come."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return None
    lines = head.lower().split(b"\r\n")
    fields = dict(line.partition(b":")[::2] for line in lines[1:])
    status = int(lines[0].split()[1])
    if b"chunked" not in fields.get(b"transfer-encoding", b""):
        length = int(fields.get(b"content-length", b"0"))
        return (status, body[:length]) if len(body) >= length else None
    whole = b""
    while True:
        size, found, body = body.partition(b"\r\n")
        if not found or len(body) < int(size, 16) + 2:
            return None
        if not int(size, 16):
            return status, whole
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]


@dataclass
class Client:
    """One client: its connection, its question, and what it has seen."""

    link: socket.socket
    question: bytes
    asked: float = 0.0
    heard: bytes = b""
    over: bool = False
    ends: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    tokens: int = 0
    failure: str | None = None

    def ask(self) -> None:
        """Send the question; it fits into the socket's buffer."""
        self.heard = b""
        self.asked = time.perf_counter()
        self.link.sendall(self.question)

    def hear(self, begin: float, end: float) -> None:
        """Take what has arrived; after a whole answer ask again, unless time is up, and then count it."""
        try:
            part = self.link.recv(65536)
            self.heard += part
            found = answer(self.heard) if part else (0, b"the server hung up")
            if found is None:
                return
            now, asked = time.perf_counter(), self.asked
            status, body = found
            self.over = status != 200 or now >= end
            if not self.over:
                self.ask()
            if status != 200:
                self.failure = f"HTTP {status}: {body[:200].decode(errors='replace')}"
            elif begin <= now <= end:
                self.ends.append(now)
                self.latencies_ms.append((now - asked) * 1e3)
                self.tokens += len(json.loads(body)["text_output"].split())
        except (OSError, ValueError, LookupError) as error:
            self.over, self.failure = True, f"{type(error).__name__}: {error}"


def drive(
    host: str,
    port: int,
    questions: Sequence[str],
    warm: float,
    seconds: float,
    connected: Callable[[], float],
) -> list[Any]:
    """The clients of one process; what each has seen, JSON-able.

    ``connected`` is called when they are connected, and gives the start on ``time.perf_counter``'s clock.
    """
    clients: list[Client] = []
    failures = []
    for question in questions:
        try:
            link = socket.create_connection((host, port), timeout=PATIENCE_SECONDS)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clients.append(Client(link, question.encode()))
        except OSError as error:
            failures.append(f"{type(error).__name__}: {error}")
    start = connected()
    begin = start + warm
    end = begin + seconds
    by_number = {client.link.fileno(): client for client in clients}
    with select.epoll() as watch:
        for number in by_number:
            watch.register(number, select.EPOLLIN)
        time.sleep(max(start - time.perf_counter(), 0))
        for client in clients:
            client.ask()
        while by_number:
            ready = watch.poll(PATIENCE_SECONDS)
            for number, _ in ready:
                client = by_number[number]
                client.hear(begin, end)
                if client.over:
                    watch.unregister(number)
                    del by_number[number]
            if not ready:
                for client in by_number.values():
                    client.failure = f"no answer within {PATIENCE_SECONDS} s"
                break
    seen: list[Any] = []
    for client in clients:
        client.link.close()
        seen.append([client.ends, client.latencies_ms, client.tokens, client.failure])
    return seen + [[[], [], 0, failure] for failure in failures]


def _write(process: subprocess.Popen[str], line: str) -> None:
    """Tell a process something; one that has ended says why in `_end`."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.write(line + "\n")
            process.stdin.flush()


def _end(process: subprocess.Popen[str], longest: float) -> list[Any] | str:
    """What the clients of a process have seen; why that isn't known."""
    try:
        out, said = process.communicate(timeout=longest)
        seen: list[Any] = json.loads(out)
        return seen
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        out, said = process.communicate()
        return f"the clients' process: {said.strip()[-200:] or 'it came to no end'}"


def closed_loop(
    address: str, model: str, prompts: Sequence[str], max_tokens: int, seconds: float, warm: float = 1.0
) -> Load:
    """Load ``model`` at ``address`` (HOST:PORT) with a client per prompt.

    Answers that end within ``seconds`` after the first ``warm`` seconds are counted; a client stops at its
    first failure, which is told in ``failures``.
    """
    host, _, port = address.rpartition(":")
    questions = [request(model, prompt, max_tokens).decode() for prompt in prompts]
    many = max(1, min(len(prompts), (os.cpu_count() or 1) // CORES_A_PROCESS))
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(many)
        ]  # fmt: skip
        for number, process in enumerate(processes):
            own = {"host": host, "port": int(port), "questions": questions[number::many], "warm": warm,
                   "seconds": seconds}  # fmt: skip
            _write(process, json.dumps(own))
        for process in processes:
            if process.stdout is not None:
                process.stdout.readline()
        # time.perf_counter is one clock for all processes of a Linux machine.
        start = time.perf_counter() + START_SECONDS
        for process in processes:
            _write(process, str(start))
        ended = [_end(process, warm + seconds + PATIENCE_SECONDS + 30) for process in processes]
    seen = [client for outcome in ended if not isinstance(outcome, str) for client in outcome]
    failures = [outcome for outcome in ended if isinstance(outcome, str)]
    return Load(
        len(prompts), seconds, sum(tokens for _, _, tokens, _ in seen),
        tuple(latency for _, latencies, _, _ in seen for latency in latencies),
        tuple(tuple(ends) for ends, _, _, _ in seen),
        (*failures, *(failure for _, _, _, failure in seen if failure)),
    )  # fmt: skip


def main() -> None:
    """A process of clients: its part and the start come on two lines, its word and what it has seen go out on two."""

    def connected() -> float:
        print("ready", flush=True)
        return float(sys.stdin.readline())

    part = json.loads(sys.stdin.readline())
    print(json.dumps(drive(**part, connected=connected)))


if __name__ == "__main__":
    main()
