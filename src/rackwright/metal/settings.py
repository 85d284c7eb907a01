"""What a server's BIOS, controllers and boot order are to be, by its profile, and what of it must be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rackwright.catalog import Server
from rackwright.derive.model import Node, SiteModel
from rackwright.intent.own_catalogue import load_catalogue

#: A drive below this is a boot card's or a stick: no operating system goes there. In bytes.
SMALLEST_ROOT = 4 << 30


@dataclass(frozen=True)
class Settings:
    """What is declared for a server.

    ``bios``: iDRAC's attribute → value. ``raid``: Ironic's ``target_raid_config`` (``{"logical_disks": […]}``), None
    where there is no controller to configure. ``boot_mode``: Ironic's ``uefi``. ``root_device``: Ironic's hints of
    the disk that gets the operating system; empty where there is one disk, or none was seen yet.
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

    @property
    def reboot(self) -> bool:
        """Whether the server must start anew for it."""
        return any(change.reboot for change in self.changes)

    def settings(self) -> list[dict[str, str]]:
        """The argument ``settings`` of Ironic's step ``bios.apply_configuration``."""
        return [{"name": change.attribute, "value": change.declared} for change in self.changes]


def profile_of(model: SiteModel, node: Node) -> Server:
    """The catalogue's facts of a server's profile, the site's own catalogue first."""
    return load_catalogue(Path(model.path), Path(model.path).parent)[0].servers[node.profile]


def declared(
    model: SiteModel,
    node: Node,
    bios: Mapping[str, str] | None = None,
    raid_level: str | None = None,
    inventory: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of a server, by its profile.

    ``bios``: attributes over the profile's (a host's or group's variable). ``raid_level``: another level than the
    profile's, ``none`` to leave the controller alone. ``inventory``: what the agent saw, for the disk to install on.
    Raises ValueError for a level that the disks don't give.
    """
    facts = profile_of(model, node)
    attributes = {**facts.bios, **(bios or {})}
    return Settings(
        bios=attributes,
        raid=target_raid(facts, raid_level),
        boot_mode="bios" if attributes.get("BootMode") == "Bios" else "uefi",
        secure_boot=attributes.get("SecureBoot") == "Enabled",
        root_device=root_device(inventory) if inventory and not facts.disks.raid else {},
    )


def target_raid(facts: Server, level: str | None = None) -> dict[str, Any] | None:
    """Ironic's ``target_raid_config``: one volume of all data disks, or None.

    The size is stated, as Ironic wants the disks' names with ``MAX``, and those differ from server to server.
    Raises ValueError for a level that the disks don't give.
    """
    if facts.raid is None or not facts.disks.raid or level == "none":
        return None
    chosen, disks = level or facts.raid.level, facts.disks.count
    size = facts.raid.size_gib
    if chosen != facts.raid.level:
        # What is usable of one disk, from what is usable of the profile's own volume.
        size = size // _data_disks(facts.raid.level, disks) * _data_disks(chosen, disks)
    return {
        "logical_disks": [
            {
                "raid_level": chosen,
                "size_gb": size,
                "number_of_physical_disks": disks,
                "is_root_volume": True,
                "volume_name": "system",
            }
        ]
    }


def _data_disks(level: str, disks: int) -> int:
    """How many disks' worth of data a volume has. Raises ValueError."""
    least = {"1": 2, "5": 3, "6": 4, "1+0": 4}
    if level not in least:
        raise ValueError(f"'{level}' is no RAID level of this project; these are: none, {', '.join(least)}")
    if disks < least[level] or (level == "1" and disks != 2) or (level == "1+0" and disks % 2):
        raise ValueError(f"{disks} disks make no RAID {level}")
    return {"1": 1, "5": disks - 1, "6": disks - 2, "1+0": disks // 2}[level]


def root_device(inventory: Mapping[str, Any]) -> dict[str, str]:
    """Ironic's hints of the disk in the first slot, of those that the agent saw; empty where it saw at most one.

    Chosen by its slot (udev's by-path), as the kernel's names change from start to start; named by its serial number or
    WWN, because the agent loses sight of the slots while it writes partitions (seen with release 10.2).
    """
    disks = sorted(
        (
            disk
            for disk in (inventory.get("inventory") or {}).get("disks") or ()
            if int(disk.get("size") or 0) >= SMALLEST_ROOT and disk.get("by_path")
        ),
        key=lambda disk: str(disk["by_path"]),
    )
    if len(disks) < 2:
        return {}
    name = next((name for name in ("serial", "wwn") if disks[0].get(name)), "by_path")
    return {name: f"s== {disks[0][name]}"}


def compare_bios(
    declared: Mapping[str, str], current: Mapping[str, Any], registry: Sequence[Mapping[str, Any]] = ()
) -> Comparison:
    """What of ``declared`` differs from ``current`` (attribute → value, as the BMC or Ironic's bios cache says it).

    ``registry``: the ``Attributes`` of the BIOS attribute registry, or Ironic's own list of a node's bios settings
    (``name``, ``allowable_values``, ``read_only``, ``reset_required``): an attribute that is read-only or a value
    that it doesn't know becomes a fault. ``current`` empty: nothing is known, so all is to be changed.
    """
    # Most of what concerns power is locked but for the profile Custom, and one job may set both.
    unlocking = declared.get("SysProfile") == "Custom" != current.get("SysProfile")
    known = {str(entry.get("AttributeName") or entry.get("name")): entry for entry in registry}
    changes, faults = [], []
    for name, value in declared.items():
        entry = known.get(name, {})
        if name not in current and (current or registry) and name not in known:
            near = get_close_matches(name, [*current, *known], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            faults.append(
                f"the BIOS has no attribute {name}: the profile is of another model or generation{hint}"
            )
            continue
        if str(current.get(name)) == value:
            continue
        allowed = _allowed(entry)
        if allowed and value not in allowed:
            faults.append(f"{name} takes {', '.join(allowed)}, not {value}")
        elif (entry.get("ReadOnly") or entry.get("read_only")) and not unlocking:
            faults.append(
                f"{name} is {current.get(name)} and can't be set: another attribute or a missing part locks it"
            )
        else:
            reset = entry.get("ResetRequired", entry.get("reset_required"))
            was = None if current.get(name) is None else str(current[name])
            changes.append(Change(name, was, value, reset is not False))
    return Comparison(tuple(changes), tuple(faults))


def _allowed(entry: Mapping[str, Any]) -> list[str]:
    """The values of an enumeration: Redfish's ``Value``, Ironic's ``allowable_values``."""
    redfish = [str(one.get("ValueName")) for one in entry.get("Value") or () if isinstance(one, Mapping)]
    return redfish or [str(one) for one in entry.get("allowable_values") or ()]
