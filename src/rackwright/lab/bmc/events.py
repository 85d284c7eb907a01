"""The log of what a BMC was asked and what its machine did: one JSON object a line, no bodies, no secrets."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def now() -> str:
    """The time as Redfish writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class EventLog:
    """``events.jsonl``; {"time", "event", …}. Over 20 MB the old lines go to ``events.jsonl.1``."""

    LIMIT = 20_000_000

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"
        self._lock = threading.Lock()

    def write(self, event: str, **facts: Any) -> None:
        """Add a line."""
        line = json.dumps(
            {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        )
        with self._lock:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
                size = stream.tell()
            if size > self.LIMIT:
                self.path.replace(self.path.with_name("events.jsonl.1"))

    def read(self) -> list[dict[str, Any]]:
        """All lines, oldest first."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
