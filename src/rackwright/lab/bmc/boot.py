"""What the server boots from: boot options, the persistent order, and the override for one start or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.machine import Boot

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

TARGETS = ("None", "Pxe", "Floppy", "Cd", "Hdd", "BiosSetup", "Utilities", "UefiTarget", "SDCard", "UefiHttp")


def factory(bmc: Bmc) -> dict[str, Any]:
    """The boot settings as they leave the factory: no override; network first, as Dell ships servers."""
    return {
        "enabled": "Disabled",
        "target": "None",
        "uefi_target": None,
        "http_uri": None,
        "order": None,
        "off": [],
    }


def volumes(bmc: Bmc) -> list[dict[str, Any]]:
    """RAID volumes of all controllers, oldest first."""
    return [v for c in bmc.state.get("volumes", {}).values() for v in c.values()]


def options(bmc: Bmc) -> dict[str, dict[str, str]]:
    """Boot options by reference (``Boot0001``): display name, device path and the machine's name of the device."""
    attributes = bmc.state["bios"]["attributes"]
    found: list[tuple[str, str, str]] = []
    for number in (1, 2):
        fqdd = attributes.get(f"PxeDev{number}Interface", "")
        nic = next((n for n in bmc.hardware.nics if n.id == fqdd), None)
        if nic and attributes.get(f"PxeDev{number}EnDis") == "Enabled":
            path = f"PciRoot(0x0)/MAC({nic.mac.replace(':', '').upper()},0x1)/IPv4(0.0.0.0)"
            found.append((f"PXE Device {number}: {nic.id}", path, f"nic:{nic.port}"))
    number = 0
    for name, path in _plain_disks(bmc):
        found.append((name, path, f"disk:{number}"))
        number += 1
    for volume in volumes(bmc):
        found.append((f"RAID Volume {volume['id']}", f"PciRoot(0x2)/Scsi({number})", f"disk:{number}"))
        number += 1
    return {
        f"Boot{i:04d}": {"name": name, "path": path, "device": device}
        for i, (name, path, device) in enumerate(found, 1)
    }


def _plain_disks(bmc: Bmc) -> list[tuple[str, str]]:
    """Name and path of the disks that need no RAID volume: as many as the machine says that it has."""
    disks = [d for d in bmc.hardware.disks if not d.controller.startswith("RAID")]
    settings = bmc.config.machine.get("disks")
    count = len(disks) if settings is None else len([d for d in settings if not d.get("raid")])
    bays = [d.bay for d in disks] + list(range(len(disks), count))
    return [(f"Disk in Bay {bay}", f"PciRoot(0x1)/NVMe({bay})") for bay in bays[:count]]


def order(bmc: Bmc) -> list[str]:
    """References in the persistent order; new options come last."""
    known = options(bmc)
    chosen = [o for o in bmc.state["boot"]["order"] or [] if o in known]
    return chosen + [o for o in known if o not in chosen]


def plan(bmc: Bmc, obey: bool = True) -> Boot:
    """How the machine would start now; without ``obey`` as if there were no override."""
    settings, known = bmc.state["boot"], options(bmc)
    devices = [known[o]["device"] for o in order(bmc) if o not in settings["off"]]
    target = settings["target"] if obey and settings["enabled"] != "Disabled" else "None"
    media = {
        slot: bmc.config.state_dir / m["file"]
        for slot, m in bmc.state.get("media", {}).items()
        if m.get("file")
    }
    first: list[str] = []
    if target in ("Pxe", "UefiHttp"):
        first = [d for d in devices if d.startswith("nic:")] or [
            o["device"] for o in known.values() if o["device"].startswith("nic:")
        ]
    elif target == "Hdd":
        first = [d for d in devices if d.startswith("disk:")]
    elif target in ("Cd", "Floppy"):
        first = [target.lower()]
    elif target == "UefiTarget":
        first = [o["device"] for o in known.values() if o["path"] == settings["uefi_target"]]
    attributes = dict(bmc.state["bios"]["attributes"])
    spoiled = [f for f in ("job_stuck", "bios_setting_rejected") if bmc.faults.option(f) is not None]
    if bmc.jobs.going("BIOSConfiguration") and not spoiled:
        attributes |= bmc.state["bios"][
            "pending"
        ]  # a server starts once more when the job is done: here it is one start
    return Boot(
        order=tuple(dict.fromkeys([*first, *devices])),
        uefi=attributes["BootMode"] == "Uefi",
        secure=attributes["SecureBoot"] == "Enabled",
        volumes=tuple(int(v["size_gb"]) for v in volumes(bmc)),
        media=media,
        stop_in_setup=target == "BiosSetup",
    )


def used_up(bmc: Bmc) -> None:
    """The server started: an override for one start is gone."""
    if bmc.state["boot"]["enabled"] == "Once":
        bmc.state["boot"].update(enabled="Disabled", target="None", uefi_target=None, http_uri=None)
