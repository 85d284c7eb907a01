"""Closed-loop clients for Triton's ``/generate``: each asks, waits for the whole answer, and asks again.

Nothing but the standard library, so that it runs in the server's own container. One process and one thread
hold all clients: asking costs a few tenths of a millisecond, a language model's answer tens.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass


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


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> tuple[int, bytes]:
    writer.write(head)
    status = int((await reader.readline()).split()[1])
    length = 0
    chunked = False
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        chunked |= name == b"transfer-encoding" and b"chunked" in value
    if not chunked:
        return status, await reader.readexactly(length)
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return status, body


def request(model: str, prompt: str, max_tokens: int) -> bytes:
    """One HTTP request for ``max_tokens`` new tokens after ``prompt``."""
    body = json.dumps({"text_input": prompt, "max_tokens": max_tokens}).encode()
    return (
        f"POST /v2/models/{model}/generate HTTP/1.1\r\nHost: triton\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _closed_loop(
    host: str, port: int, model: str, prompts: Sequence[str], max_tokens: int, warm: float, seconds: float
) -> Load:
    latencies: list[float] = []
    failures: list[str] = []
    counted = 0
    begin = time.perf_counter() + warm
    end = begin + seconds

    async def client(prompt: str) -> tuple[float, ...]:
        nonlocal counted
        ends = []
        message = request(model, prompt, max_tokens)
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            failures.append(f"{type(error).__name__}: {error}")
            return ()
        try:
            while (asked := time.perf_counter()) < end:
                status, body = await _ask(reader, writer, message)
                now = time.perf_counter()
                if status != 200:
                    failures.append(f"HTTP {status}: {body[:200].decode(errors='replace')}")
                    break
                if begin <= now <= end:
                    ends.append(now)
                    latencies.append((now - asked) * 1e3)
                    counted += len(json.loads(body)["text_output"].split())
        except (OSError, asyncio.IncompleteReadError, IndexError) as error:
            failures.append(f"{type(error).__name__}: {error}")
        finally:
            writer.close()
        return tuple(ends)

    ends = await asyncio.gather(*(client(prompt) for prompt in prompts))
    return Load(len(prompts), seconds, counted, tuple(latencies), tuple(ends), tuple(failures))


def closed_loop(
    address: str, model: str, prompts: Sequence[str], max_tokens: int, seconds: float, warm: float = 1.0
) -> Load:
    """Load ``model`` at ``address`` (HOST:PORT) with a client per prompt.

    Answers that end within ``seconds`` after the first ``warm`` seconds are counted; a client stops at its
    first failure, which is told in ``failures``.
    """
    host, _, port = address.rpartition(":")
    return asyncio.run(_closed_loop(host, int(port), model, prompts, max_tokens, warm, seconds))
