"""The machine behind a BMC: what a backend must do, and what the BMC tells it at each start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, Protocol


@dataclass(frozen=True)
class Boot:
    """How a machine starts: devices in order of trial, each ``nic:<port>``, ``disk:<number>``, ``cd`` or ``floppy``.

    ``uefi``: UEFI or legacy BIOS; ``secure``: UEFI secure boot; ``volumes``: sizes in GB of the RAID volumes,
    which the machine has as disks in place of the drives behind the controller; ``media``: slot to local file.
    """

    order: tuple[str, ...]
    uefi: bool = True
    secure: bool = False
    volumes: tuple[int, ...] = ()
    media: dict[str, Path] = field(default_factory=dict)
    stop_in_setup: bool = False


@dataclass(frozen=True)
class Context:
    """What a backend is given.

    ``starting``: to be called at each start, also one that the guest asked for (it uses up a one-time boot);
    ``event``: writes to the event log; ``lock``: the BMC's own, to be held around both; ``state``: a folder;
    ``memory``: JSON-able data kept with the BMC's state.
    """

    name: str
    service_tag: str
    model: str
    uuid: str
    lock: RLock
    state: Path
    memory: dict[str, Any]
    starting: Callable[[str], Boot]
    event: Callable[..., None]
    bios_version: str = ""


class Machine(Protocol):
    """A backend. Every call may raise OSError with a reason, which the BMC passes on."""

    def power_state(self) -> str:
        """``On``, ``Off``, ``PoweringOn`` or ``PoweringOff``."""

    def power_on(self) -> None:
        """Start the machine if it is off."""

    def power_off(self, graceful: bool) -> None:
        """Stop it: at once, or by asking the operating system (which may never obey)."""

    def reset(self, graceful: bool) -> None:
        """Stop and start."""

    def insert_media(self, slot: str, path: Path | None) -> None:
        """Change the medium of ``cd`` or ``floppy`` while the machine runs; None takes it out."""

    def change_volumes(self, count: int) -> None:
        """There are so many RAID volumes now: while the machine runs, their disks come and go as a controller's do."""

    def close(self) -> None:
        """The BMC's process ends; the machine stays as it is."""


def machine_of(settings: dict[str, Any], context: Context) -> Machine:
    """The backend that the settings name; ValueError for another kind."""
    from rackwright.lab.bmc.fake import FakeMachine  # here, so that neither needs the other
    from rackwright.lab.bmc.qemu import QemuMachine

    kind = settings.get("kind", "fake")
    if kind == "fake":
        return FakeMachine(settings, context)
    if kind == "qemu":
        return QemuMachine(settings, context)
    raise ValueError(f"no machine of kind {kind!r}: fake or qemu")
