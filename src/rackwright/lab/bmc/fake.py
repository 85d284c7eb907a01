"""A machine that is only a state: for thousands of BMCs in one process.

Settings: ``power_on_s``, ``power_off_s`` (default 0: at once), ``graceful_s`` (an operating system that shuts
down takes that long). Delays are looked at when somebody asks; no thread runs.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rackwright.lab.bmc.machine import Context


class FakeMachine:
    """Power on and off, starts counted in the event log."""

    def __init__(self, settings: dict[str, Any], context: Context) -> None:
        self._settings = settings
        self._context = context
        self._memory = context.memory
        self._memory.setdefault("power", settings.get("power", "Off"))

    def power_state(self) -> str:
        """See Machine."""
        target = self._memory.get("target")
        if target and time.time() >= self._memory["at"]:
            del self._memory["target"], self._memory["at"]
            self._arrive(target)
        target = self._memory.get("target")
        if target:
            return "PoweringOn" if target == "On" else "PoweringOff"
        return str(self._memory["power"])

    def _arrive(self, target: str) -> None:
        again = target == "Restart"
        if again or target == "Off":
            self._memory["power"] = "Off"
            self._context.event("power", state="Off")
        if again:
            self._go("On", "power_on_s")
        if target == "On":
            self._memory["power"] = "On"
            boot = self._context.starting("power on")
            self._context.event("boot", order=list(boot.order), uefi=boot.uefi)

    def _go(self, target: str, delay: str) -> None:
        seconds = float(self._settings.get(delay, 0))
        self._memory["target"], self._memory["at"] = target, time.time() + seconds
        self.power_state()

    def power_on(self) -> None:
        """See Machine."""
        if self.power_state() == "Off":
            self._go("On", "power_on_s")

    def power_off(self, graceful: bool) -> None:
        """See Machine."""
        if self.power_state() != "Off":
            self._go("Off", "graceful_s" if graceful else "power_off_s")

    def reset(self, graceful: bool) -> None:
        """See Machine."""
        self._go("Restart", "graceful_s" if graceful else "power_off_s")

    def insert_media(self, slot: str, path: Path | None) -> None:
        """See Machine."""

    def change_volumes(self, count: int) -> None:
        """See Machine."""

    def close(self) -> None:
        """See Machine."""
