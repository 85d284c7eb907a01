"""The process with the weights and its fronts, with an engine that only counts in the GPU's place."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rackwright.paths import checkout

MODEL = checkout() / "packaging/models/synthetic-gpt/1"
# Only while it is imported: another model beside it has files of the same names.
sys.path.insert(0, str(MODEL))
core: Any = importlib.import_module("core")
del sys.path[0]

ENGINE = """
SIZES = {"tiny": 1}


class Engine:
    def __init__(self, size, slots, context):
        self.slots, self.context, self.chunk, self.prompts = slots, context, 32, slots

    def record(self):
        pass

    def step(self, work):
        if any(122 in row.tokens for row in work):
            raise RuntimeError("out of memory")
        return [row.position + max(len(row.tokens), 1) for row in work]

    def result(self, ticket):
        return ticket, 0.001
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a core with two places, and its process."""
    for name in ("core.py", "schedule.py", "rows.py"):
        shutil.copy(MODEL / name, tmp_path)
    (tmp_path / "gpt.py").write_text(ENGINE)
    address = f"rackwright-test-{uuid.uuid4()}"
    words = ["tiny", "2", "64", address, str(os.getpid())]
    with subprocess.Popen([sys.executable, str(tmp_path / "core.py"), *words]) as process:
        yield "\0" + address, process
        process.kill()


def ask(link: Any, kind: int, number: int, most: int, prompt: bytes) -> None:
    link.send_bytes(core.HEAD.pack(kind, number, most) + prompt)


def hear(link: Any) -> tuple[int, int, str]:
    assert link.poll(30)
    message = link.recv_bytes()
    kind, number, _ = core.HEAD.unpack_from(message)
    return kind, number, message[core.HEAD.size :].decode()


def test_each_front_hears_of_its_own_requests(running: tuple[str, Any]) -> None:
    first, second = (core.connect(running[0], 30) for _ in range(2))
    for number in range(1, 6):
        ask(first, core.WHOLE, number, 3, b"abcd")
        ask(second, core.WHOLE, number, 2, b"ab")
    assert sorted(hear(first) for _ in range(5)) == [(core.LAST, number, "4 5 6") for number in range(1, 6)]
    assert sorted(hear(second) for _ in range(5)) == [(core.LAST, number, "2 3") for number in range(1, 6)]


def test_an_answer_in_pieces_and_one_that_nobody_wants(running: tuple[str, Any]) -> None:
    link = core.connect(running[0], 30)
    ask(link, core.PIECES, 7, 3, b"a")
    assert [hear(link) for _ in range(3)] == [
        (core.PIECE, 7, "1 "),
        (core.PIECE, 7, "2 "),
        (core.LAST, 7, "3 "),
    ]
    ask(link, core.CANCEL, 8, 0, b"")
    ask(link, core.PIECES, 8, 60, b"a")
    heard = [hear(link)]
    while heard[-1][0] == core.PIECE:
        heard.append(hear(link))
    assert heard[-1] == (core.FAILED, 8, "nobody waits for it any more")


def test_what_cannot_be_served_is_refused(running: tuple[str, Any]) -> None:
    link = core.connect(running[0], 30)
    ask(link, core.WHOLE, 1, 80, b"a")
    kind, number, text = hear(link)
    assert (kind, number) == (core.FAILED, 1) and "more than the 64" in text


def test_a_step_that_fails_is_told_and_ends_the_process(running: tuple[str, Any]) -> None:
    link = core.connect(running[0], 30)
    ask(link, core.WHOLE, 1, 5, b"xyz")
    assert hear(link) == (core.FAILED, 1, "a step failed: out of memory")
    with pytest.raises(EOFError):
        hear(link)
    assert running[1].wait(10) == 1


def test_a_front_says_when_there_is_no_core() -> None:
    with pytest.raises(ConnectionError, match="doesn't come up"):
        core.connect("\0rackwright-test-nobody", 0.1)
