"""Faults by name: a file ``faults.json`` in the BMC's state folder, read again when it changed.

The file maps a fault's name to its options (``{"slow": {"seconds": 5}}``); an absent name is no fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: Names and what each does; options with their defaults in brackets.
FAULTS: dict[str, str] = {
    "wrong_credentials": "every login is refused with 401",
    "unreachable": "connections are closed without an answer [mode=drop; mode=silent: accepted, never answered]",
    "slow": "every answer takes longer [seconds=5]",
    "busy_503": "requests are answered 503 with Retry-After [count=0: all; otherwise the first so many; retry_after=5]",
    "lifecycle_controller_busy": "no job can be made: 503, the Lifecycle Controller is in use [count=0: all]",
    "job_stuck": "jobs that run stay at 10 % for ever [type: only jobs of this JobType]",
    "power_state_lies": "PowerState says something else than the machine does [report: the opposite]",
    "bios_setting_rejected": "BIOS attributes are not taken [attributes: all; when=job: the job fails; when=request: 400]",
    "certificate_mismatch": "the server shows another certificate than the one installed",
    "virtual_media_refused": "InsertMedia fails",
    "power_on_refused": "the machine does not power on [reason: a text]",
    "password_policy_refuses": "a new password is refused by the policy [reason: a text]",
    "graceful_ignored": "a graceful shutdown is accepted and the machine stays on",
    "boot_override_ignored": "a one-time boot device is accepted and not obeyed",
}


class Faults:
    """The faults that are on at this moment."""

    def __init__(self, folder: Path, initial: Iterable[str] | Mapping[str, Any] = ()) -> None:
        self.path = folder / "faults.json"
        self._stamp: tuple[int, int] | None = None
        self._on: dict[str, dict[str, Any]] = {}
        self._counts: dict[str, int] = {}
        if not self.path.exists() and initial:
            named = initial if isinstance(initial, Mapping) else {name: {} for name in initial}
            self.set(named)

    def set(self, faults: Mapping[str, Any]) -> None:
        """Write the file; ValueError for a name that is not a fault."""
        unknown = sorted(set(faults) - set(FAULTS))
        if unknown:
            raise ValueError(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(".faults.json.new")
        new.write_text(json.dumps(dict(faults)), encoding="utf-8")
        new.replace(self.path)

    def option(self, name: str) -> dict[str, Any] | None:
        """The fault's options, None if it is not on."""
        self._read()
        return self._on.get(name)

    def strikes(self, name: str) -> dict[str, Any] | None:
        """Like ``option``, for a fault with ``count``: None again after so many strikes."""
        options = self.option(name)
        if options is None:
            return None
        count = int(options.get("count", 0))
        done = self._counts.get(name, 0)
        if count and done >= count:
            return None
        self._counts[name] = done + 1
        return options

    def _read(self) -> None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._on, self._stamp, self._counts = {}, None, {}
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            read = json.loads(self.path.read_text(encoding="utf-8") or "{}")
        except ValueError:
            return  # half written by hand: the next request sees it whole
        self._on = {name: options or {} for name, options in read.items()}
        self._stamp, self._counts = stamp, {}
