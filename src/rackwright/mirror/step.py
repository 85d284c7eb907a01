"""Build steps whose results are kept by the content of what went into them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rackwright.errors import RunFailure

#: Beside a result's files: the checksum of each, so that damage to the cache can be found.
SUMS = "sums.json"
#: Part of every key: raise it when the builder itself changes what a step's result looks like.
FORMAT = 1


@dataclass(frozen=True)
class Step:
    """One node of the build graph.

    ``inputs`` is JSON-able and names all that the result depends on besides what ``needs`` made: versions,
    recipe files' checksums, tool versions. ``run`` fills an empty directory. ``seconds`` is the first guess
    of the duration, used until this machine has measured its own.
    """

    name: str
    run: Callable[[StepContext], None]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    seconds: float = 5.0


def sha256_file(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_tree(path: Path) -> dict[str, str]:
    """Relative path to checksum of every file below ``path`` (or of the file); executable bits count."""
    files = (
        [path]
        if path.is_file()
        else sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    )
    return {
        str(p.relative_to(path.parent)): sha256_file(p) + ("x" if os.access(p, os.X_OK) else "")
        for p in files
    }


def plain_sums(directory: Path) -> dict[str, str]:
    """Relative path to checksum of every file below a directory, links left out, the record itself too."""
    files = (p for p in directory.rglob("*") if p.is_file() and not p.is_symlink() and p.name != SUMS)
    return {str(p.relative_to(directory)): sha256_file(p) for p in files}


def step_keys(steps: Sequence[Step]) -> dict[str, str]:
    """Every step's key; ``steps`` come in an order in which each follows what it needs."""
    keys: dict[str, str] = {}
    for step in steps:
        recipe = {
            "format": FORMAT,
            "name": step.name,
            "inputs": step.inputs,
            "needs": {need: keys[need] for need in step.needs},
        }
        keys[step.name] = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
    return keys


class StepStore:
    """Finished results under ``<cache>/steps/<key>``; an unfinished one is never found there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Where the result of ``key`` is, or would be."""
        return self.root / key

    def has(self, key: str) -> bool:
        """Whether the result is there, whole."""
        return self.path(key).is_dir()

    def begin(self, key: str) -> Path:
        """An empty directory in which the result may be made."""
        work = self.root / f"{key}.part"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        return work

    def publish(self, key: str) -> Path:
        """Note the checksums of what was made, and give the finished directory its name, in one rename."""
        final = self.path(key)
        part = self.root / f"{key}.part"
        (part / SUMS).write_text(json.dumps(plain_sums(part)) + "\n")
        part.rename(final)
        return final

    def damaged(self, key: str) -> list[str]:
        """Files of a result that are not as they were made: changed, missing or extra."""
        recorded: dict[str, str] = json.loads((self.path(key) / SUMS).read_text())
        found = plain_sums(self.path(key))
        return sorted(
            name for name in recorded.keys() | found.keys() if recorded.get(name) != found.get(name)
        )

    def clean(self) -> None:
        """Remove what interrupted builds left half made. Only the holder of the build lock may call it."""
        for part in self.root.glob("*.part"):
            shutil.rmtree(part)

    def prune(self, keep: set[str], days: float) -> list[str]:
        """Remove results not in ``keep`` that no build has used for ``days``; returns their keys."""
        oldest = time.time() - days * 86400
        gone = [p.name for p in self.root.iterdir() if p.name not in keep and p.stat().st_mtime < oldest]
        for key in gone:
            shutil.rmtree(self.root / key)
        return gone


class Processes:
    """The programs that steps have started, so that an interrupted build can end them."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopping = False

    def call(self, argv: Sequence[str], **options: Any) -> int:
        """Run a program to its end; its exit status."""
        with self._lock:
            if self.stopping:
                raise KeyboardInterrupt
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **options)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End everything that runs, with its children, and start nothing more."""
        with self._lock:
            self.stopping = True
            for process in self._running:
                if process.poll() is None:
                    os.killpg(process.pid, 15)


@dataclass(frozen=True)
class StepContext:
    """What a running step may touch: its own directory, its inputs' results, its log."""

    step: Step
    out: Path
    upstream: Mapping[str, Path]
    log: Path
    cache: Path
    processes: Processes

    def call(
        self, argv: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Run a program with its output in the step's log; ``env`` is laid over the environment.

        Raises:
            RunFailure: it ended with another status than 0; the evidence is the end of its output.
        """
        words = [str(word) for word in argv]
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            start = log.tell()
            merged = {**os.environ, "LC_ALL": "C", **(env or {})}
            status = self.processes.call(
                ["nice", "-n", "5", *words], cwd=cwd, env=merged, stdout=log, stderr=subprocess.STDOUT
            )
        if status:
            with self.log.open("rb") as log:
                log.seek(start)
                tail = log.read().decode(errors="replace").strip().splitlines()[-8:]
            raise RunFailure(
                what=f"build step {self.step.name}: {words[0]} {words[1] if len(words) > 1 else ''}".rstrip(),
                where=f"this machine, log {self.log}",
                evidence=f"exit status {status}: " + " | ".join(tail or ["no output"]),
                cause=likely_cause(" ".join(tail)),
                next_command="rackwright bundle build   (goes on from the finished steps)",
            )

    def output(
        self, argv: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a program and return its standard output; errors as in :meth:`call`."""
        capture = self.out / ".captured"
        try:
            self.call(
                ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", capture, *argv], cwd=cwd, env=env
            )
            return capture.read_bytes()
        finally:
            capture.unlink(missing_ok=True)


def likely_cause(output: str) -> str:
    """A guess in words at why a build program failed, from the end of its output."""
    signs = {
        "No space left": "the disk is full: the build wants about 25 GB below the cache directory",
        "no such host": "no name resolution for the package source: this machine needs the internet",
        "Temporary failure resolving": "no name resolution for the package source",
        "dial tcp": "the package source can't be reached from this machine",
        "checksum mismatch": "a downloaded module is not the one that go.sum locks: find out why",
        "signal: killed": "the compiler was killed, most likely for memory: about 4 GB must be free",
        "not found": "a program that the build needs is missing: scripts/setup installs them",
        "NO_PUBKEY": "the Debian archive's keys are missing: install debian-archive-keyring",
    }
    for sign, cause in signs.items():
        if sign in output:
            return cause
    return "see the log; the last lines are quoted above"
