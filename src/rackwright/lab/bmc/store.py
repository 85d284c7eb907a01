"""A BMC's state: one JSON file, written whole after each change, so that a restart of the server loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Store:
    """State as plain JSON-able data in ``data``; ``save`` writes it if it changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data: dict[str, Any] = {}
        self._path = folder / "state.json"
        self._written = ""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            self._written = self._path.read_text(encoding="utf-8")
            self.data = json.loads(self._written)

    def save(self) -> None:
        """Write what changed since the last call; the file is never seen half written."""
        text = json.dumps(self.data)
        if text == self._written:
            return
        write_private(self._path, text)
        self._written = text

    @contextlib.contextmanager
    def saving(self) -> Iterator[dict[str, Any]]:
        """The state, saved at the end whatever happens."""
        try:
            yield self.data
        finally:
            self.save()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    new.replace(path)
