"""The bundle's lock file: what is in it, where it came from, and the proof that nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rackwright.errors import UsageError
from rackwright.mirror.signing import signature_fault
from rackwright.mirror.step import sha256_file

SCHEMA = 1
LOCK = "lock.json"
LOCK_SUM = "lock.json.sha256"
KINDS = ("deb", "image", "chart", "binary", "file", "index", "ramdisk", "disk")
#: The directory with what bare servers are given: the mirror does without, Ironic's head node takes it.
METAL = "metal"
REPAIR = "rackwright bundle build --repair"


@dataclass(frozen=True, order=True)
class Entry:
    """One file of the bundle; ``size`` in bytes, ``path`` relative, ``fidelity`` real or emulated."""

    path: str
    kind: str
    name: str
    version: str
    source: str
    sha256: str
    size: int
    fidelity: str = "real"


@dataclass(frozen=True)
class Lock:
    """The whole lock file."""

    schema: int
    release: str
    entries: tuple[Entry, ...]

    def dump(self) -> str:
        """The text of lock.json: sorted, so the same content gives the same bytes."""
        entries = [asdict(entry) for entry in sorted(self.entries)]
        document = {"schema": self.schema, "release": self.release, "entries": entries}
        return json.dumps(document, indent=1, sort_keys=True) + "\n"

    def mirror(self) -> Lock:
        """The lock of what the mirror takes: all but what bare servers are given."""
        kept = tuple(entry for entry in self.entries if not entry.path.startswith(f"{METAL}/"))
        return Lock(self.schema, self.release, kept)

    def metal(self) -> Lock:
        """The lock of what bare servers are given; paths are relative to the bundle's ``metal/``."""
        mine = (entry for entry in self.entries if entry.path.startswith(f"{METAL}/"))
        kept = tuple(replace(entry, path=entry.path.removeprefix(f"{METAL}/")) for entry in mine)
        return Lock(self.schema, self.release, kept)


@dataclass(frozen=True)
class Problem:
    """One difference between a bundle and its lock."""

    file: str
    message: str
    expected: str
    found: str
    next_command: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.message}\n    expected: {self.expected}\n    found:    {self.found}\n"
            f"    next:     {self.next_command}"
        )

    def to_dict(self) -> dict[str, str]:
        """The problem as JSON-able data."""
        return asdict(self)


def read_lock(bundle: Path) -> Lock:
    """The lock of the bundle in a directory.

    Raises:
        UsageError: the directory holds no bundle, or one whose lock can't be read.
    """
    path = bundle / LOCK
    try:
        document: Mapping[str, Any] = json.loads(path.read_text())
        entries = tuple(Entry(**entry) for entry in document["entries"])
        schema, release = int(document["schema"]), str(document["release"])
    except FileNotFoundError:
        raise UsageError(
            f"{bundle} holds no bundle: {path} does not exist", "rackwright bundle build"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path} can't be read as a bundle's lock: {error}",
            f"the file is damaged: copy the bundle again from where it was built, or: {REPAIR}",
        ) from None
    if schema != SCHEMA:
        raise UsageError(
            f"{path} has schema {schema}; this Rackwright reads schema {SCHEMA}",
            "use the Rackwright release that built the bundle, or build it again: rackwright bundle build",
        )
    return Lock(schema, release, entries)


def lock_sum_line(bundle: Path) -> str:
    """The content of lock.json.sha256, in ``sha256sum -c`` form."""
    return f"{sha256_file(bundle / LOCK)}  {LOCK}\n"


def bundle_files(bundle: Path) -> Iterable[str]:
    """Every file of a bundle except the lock and its checksum, relative, with links counted as files."""
    for path in bundle.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            relative = str(path.relative_to(bundle))
            if relative not in (LOCK, LOCK_SUM):
                yield relative


def check_entry(bundle: Path, entry: Entry) -> Problem | None:
    """Compare one file with its entry."""
    path = bundle / entry.path
    what = f"{entry.kind} {entry.name} {entry.version}"
    if path.is_symlink() or not path.is_file():
        return Problem(entry.path, f"missing ({what})", f"sha256 {entry.sha256}", "no such file", REPAIR)
    size = path.stat().st_size
    if size != entry.size:
        return Problem(entry.path, f"changed ({what})", f"{entry.size} bytes", f"{size} bytes", REPAIR)
    found = sha256_file(path)
    if found != entry.sha256:
        return Problem(entry.path, f"changed ({what})", f"sha256 {entry.sha256}", f"sha256 {found}", REPAIR)
    return None


def verify(bundle: Path) -> list[Problem]:
    """Check every file against the lock, the lock against its checksum, and the apt index's signature.

    Raises:
        UsageError: there is no bundle, or its lock can't be read at all.
    """
    problems = []
    sum_file = bundle / LOCK_SUM
    recorded = sum_file.read_text() if sum_file.is_file() else ""
    if (bundle / LOCK).is_file() and recorded != lock_sum_line(bundle):
        problems.append(
            Problem(
                LOCK,
                f"not the file that {LOCK_SUM} was written for",
                recorded.split(" ")[0] or "a checksum",
                lock_sum_line(bundle).split(" ")[0],
                REPAIR,
            )
        )
    lock = read_lock(bundle)
    with ThreadPoolExecutor() as pool:
        problems += [p for p in pool.map(lambda entry: check_entry(bundle, entry), lock.entries) if p]
    known = {entry.path for entry in lock.entries}
    problems += [
        Problem(extra, "not in the lock", "no such file", "a file that nobody locked", f"rm {bundle / extra}")
        for extra in sorted(set(bundle_files(bundle)) - known)
    ]
    signed = bundle / "apt" / "dists" / "stable" / "InRelease"
    if signed.is_file():
        fault = signature_fault(bundle / "apt" / "rackwright.gpg", signed)
        if fault:
            problems.append(
                Problem(
                    str(signed.relative_to(bundle)),
                    "signature is not good",
                    "signed by apt/rackwright.gpg",
                    fault,
                    REPAIR,
                )
            )
    return problems
