"""The ssh host keys of newly installed servers: taken at the first use, from then on verified by ssh itself."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.derive.model import Node
from rackwright.metal.walk import Say, Stuck, silent


def known(node: Node, file: Path) -> bool:
    """Whether ssh would recognise the server."""
    if not file.exists():
        return False
    found = subprocess.run(
        ["ssh-keygen", "-F", str(node.address), "-f", str(file)], capture_output=True, check=False, timeout=30
    )
    return found.returncode == 0


def record(
    node: Node,
    file: Path,
    limit: float,
    say: Say = silent,
    sleep: Callable[[float], None] = time.sleep,
    port: int = 22,
) -> None:
    """Wait until the server's ssh answers and write its keys down, in place of those of an earlier installation.

    Raises Stuck (``boot``) after ``limit`` seconds.
    """
    begin = time.monotonic()
    say("boot: waiting for its ssh")
    while True:
        keys = _scan(str(node.address), port)
        if keys:
            break
        gone = time.monotonic() - begin
        if gone > limit:
            raise Stuck("boot", "boot", "active", f"no ssh at {node.address}", gone)
        sleep(2)
    names = f"{node.name},{node.fqdn},{node.address}"
    with _locked(file):
        for name in names.split(","):
            if file.exists():
                subprocess.run(
                    ["ssh-keygen", "-R", name, "-f", str(file)], capture_output=True, check=False, timeout=30
                )
        Path(f"{file}.old").unlink(missing_ok=True)
        with file.open("a") as out:
            out.writelines(f"{names} {key}\n" for key in keys)


def _scan(address: str, port: int) -> list[str]:
    """The server's public keys as ``type base64``; empty while there are none."""
    try:
        socket.create_connection((address, port), 3).close()
    except OSError:
        return []
    seen = subprocess.run(
        ["ssh-keyscan", "-T", "10", "-p", str(port), "-t", "ed25519,ecdsa,rsa", address],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    lines = (line.split() for line in seen.stdout.splitlines() if line and not line.startswith("#"))
    return sorted(" ".join(words[1:3]) for words in lines if len(words) >= 3)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the file: many servers are installed at a time."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file.with_name(f".{file.name}.rackwright.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
