"""What a step contributes to the bundle: files under ``bundle/`` of its result, and where they came from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rackwright.mirror.lock import LOCK, LOCK_SUM, SCHEMA, Entry, Lock, bundle_files, lock_sum_line
from rackwright.mirror.step import sha256_file

FILES = "bundle"
RECORD = "entries.json"


@dataclass(frozen=True)
class Origin:
    """Where a file of the bundle came from; fields as in :class:`rackwright.mirror.lock.Entry`."""

    kind: str
    name: str
    version: str
    source: str
    fidelity: str = "real"


def record(out: Path, origins: Mapping[str, Origin]) -> None:
    """Write the lock entries of everything below ``<out>/bundle``; ``origins`` maps the starts of paths.

    Raises:
        KeyError: a file has no origin.
    """
    root = out / FILES
    entries = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = str(path.relative_to(root))
        prefix = max((p for p in origins if name == p or name.startswith(p)), key=len, default=None)
        if prefix is None:
            raise KeyError(f"no origin is known for {name}")
        entries.append(
            {
                "path": name,
                "sha256": sha256_file(path),
                "size": path.stat().st_size,
                **asdict(origins[prefix]),
            }
        )
    (out / RECORD).write_text(json.dumps(entries, indent=1) + "\n")


def place(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``: a hard link, or a copy on another file system."""
    if target.is_file() and not target.is_symlink() and os.path.samestat(source.stat(), target.stat()):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        part.hardlink_to(source)
    except OSError:
        shutil.copy2(source, part)
    part.replace(target)


def assemble(results: Sequence[Path], release: str, bundle: Path) -> Lock:
    """Bring a bundle directory to exactly what the steps' results hold, and write its lock last."""
    entries: dict[str, Entry] = {}
    for result in results:
        for data in json.loads((result / RECORD).read_text()):
            entry = Entry(**data)
            entries[entry.path] = entry
            place(result / FILES / entry.path, bundle / entry.path)
    for extra in set(bundle_files(bundle)) - set(entries):
        (bundle / extra).unlink()
    for directory in sorted((p for p in bundle.rglob("*") if p.is_dir()), reverse=True):
        if not any(directory.iterdir()):
            directory.rmdir()
    lock = Lock(SCHEMA, release, tuple(sorted(entries.values())))
    for name, text in ((LOCK, lock.dump), (LOCK_SUM, lambda: lock_sum_line(bundle))):
        part = bundle / f".{name}.part"
        part.write_text(text())
        part.replace(bundle / name)
    return lock
