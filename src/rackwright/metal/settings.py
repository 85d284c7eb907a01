"""What a server's BIOS, controllers and boot order are to be, by its profile, and what of it must be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rackwright.derive.model import Node, SiteModel


@dataclass(frozen=True)
class Settings:
    """What is declared for a server.

    ``bios``: iDRAC's attribute → value. ``raid``: Ironic's ``target_raid_config`` (``{"logical_disks": […]}``), None
    where there is no controller to configure. ``boot_mode``: Ironic's ``uefi``. ``root_device``: Ironic's hints of
    the disk that gets the operating system.
    """

    bios: Mapping[str, str]
    raid: Mapping[str, Any] | None
    boot_mode: str
    secure_boot: bool
    root_device: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """An attribute that isn't as declared; ``reboot``: it takes effect at the next start of the server."""

    attribute: str
    current: str | None
    declared: str
    reboot: bool = True


@dataclass(frozen=True)
class Comparison:
    """What to change, and what can't be: ``faults`` are sentences for the user."""

    changes: tuple[Change, ...]
    faults: tuple[str, ...]


def declared(model: SiteModel, node: Node) -> Settings:
    """The settings of a server, by its profile."""
    raise NotImplementedError


def compare_bios(
    declared: Mapping[str, str], current: Mapping[str, Any], registry: Sequence[Mapping[str, Any]] = ()
) -> Comparison:
    """What of ``declared`` differs from ``current`` (attribute → value, as the BMC or Ironic's bios cache says it).

    ``registry``: the ``Attributes`` of the BIOS attribute registry, where the BMC has one: an attribute that is
    read-only or a value that it doesn't know becomes a fault.
    """
    raise NotImplementedError
