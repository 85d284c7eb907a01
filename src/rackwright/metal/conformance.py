"""Whether the hardware that is there is the hardware that was ordered: tables 4 to 7 of the design, and firmware.

What the BMC states is believed first, the agent's inventory second. More than ordered is as ordered.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rackwright import catalog
from rackwright.catalog import Catalogue
from rackwright.derive.model import Node, SiteModel
from rackwright.intent.own_catalogue import load_catalogue
from rackwright.metal.hardware import (
    Hardware,
    Port,
    from_components,
    from_inventory,
    from_redfish,
)

Severity = Literal["blocking", "warning"]

#: What is compared, and how grave a difference is where nothing else says so.
CHECKS: Mapping[str, Severity] = {
    "service-tag": "blocking",
    "product": "blocking",
    "cpu": "blocking",
    "memory": "blocking",
    "drives": "blocking",
    "nics": "blocking",
    "gpus": "blocking",
    "firmware": "warning",
}
NOT_TOLD = "not told"
#: Makers count a disk's bytes in different ways; the kernel keeps some memory for itself.
DISK_TOLERANCE = 0.97
MEMORY_TOLERANCE = 0.96
DISPLAY = "10de"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as ordered.

    ``check`` is its kind (``CHECKS``), ``what`` the part in words, ``waived`` the reason for which it is accepted,
    or empty. A ``blocking`` one that isn't waived holds the server.
    """

    node: str
    check: str
    what: str
    ordered: str
    found: str
    severity: Severity
    hint: str
    waived: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the server must not be given an operating system before this is mended or accepted."""
        return self.severity == "blocking" and not self.waived


@dataclass(frozen=True)
class _Job:
    """What a comparison looks at; ``firmware``: component → the oldest version that isn't told of."""

    node: Node
    facts: catalog.Server
    catalogue: Catalogue
    found: Hardware
    firmware: Mapping[str, str]

    def differs(
        self, check: str, what: str, ordered: str, found: str, hint: str, severity: Severity | None = None
    ) -> Difference:
        return Difference(self.node.name, check, what, ordered, found, severity or CHECKS[check], hint)

    def untold(self, check: str, what: str, ordered: str) -> Difference:
        hint = "neither the BMC nor the agent spoke of it: inspect the server again with its BMC's licence and agent"
        return self.differs(check, what, ordered, NOT_TOLD, hint, "warning")


def compare(
    model: SiteModel,
    node: Node,
    inventory: Mapping[str, Any],
    components: Sequence[Mapping[str, Any]] = (),
    stated: Mapping[str, Mapping[str, Any]] | None = None,
    waived: Mapping[str, str] | None = None,
    severity: Mapping[str, Severity] | None = None,
    firmware: Mapping[str, str] | None = None,
) -> tuple[Difference, ...]:
    """Everything that differs from the profile, in the order of ``CHECKS``; more than ordered is as ordered.

    ``inventory``: what Ironic gives at ``/v1/nodes/{id}/inventory`` (``{"inventory": …, "plugin_data": …}``).
    ``components``: the list ``firmware`` of ``/v1/nodes/{id}/firmware``. ``stated``: Redfish resources of the
    server's BMC by their ``@odata.id``; where it speaks of a part it is believed before the agent.
    ``waived``: check → the reason for which its differences are accepted; ``severity``: check → another one;
    ``firmware``: component → oldest version, over the release's. Raises ValueError for a check that isn't known.
    """
    for name in [*(waived or {}), *(severity or {})]:
        if name not in CHECKS:
            raise ValueError(f"'{name}' is no check of conformance; these are: {', '.join(CHECKS)}")
    catalogue, _ = load_catalogue(Path(model.path), Path(model.path).parent)
    found = from_redfish(stated or {}).over(from_components(components)).over(from_inventory(inventory))
    job = _Job(node, catalogue.servers[node.profile], catalogue, found, _baseline(model, firmware))
    made = (one for look in _LOOKS for one in look(job))
    return tuple(
        dataclasses.replace(
            one,
            # What nobody told stays a warning: it is no difference yet.
            severity=one.severity if one.found == NOT_TOLD else (severity or {}).get(one.check, one.severity),
            waived=(waived or {}).get(one.check, ""),
        )
        for one in made
    )


def _baseline(model: SiteModel, own: Mapping[str, str] | None) -> dict[str, str]:
    release = catalog.releases()[model.release].firmware
    return {**{name: one.minimum for name, one in release.items() if one.minimum}, **(own or {})}


def _service_tag(job: _Job) -> Iterator[Difference]:
    ordered, found = job.node.service_tag.upper(), job.found.service_tag
    if found is None:
        yield job.untold("service-tag", "service tag", ordered)
    elif found.upper() != ordered:
        hint = "another server is at this BMC's address: look at the pull-out tag; rackwright discover finds swapped ones"
        yield job.differs("service-tag", "service tag", ordered, found, hint)


def _product(job: _Job) -> Iterator[Difference]:
    ordered, found = job.facts.product, job.found.product
    if found is not None and ordered.lower() != found.lower():
        hint = (
            f"name its own profile in the site file, or send back what was not ordered as {job.node.profile}"
        )
        yield job.differs("product", "server", ordered, found, hint)


def _cpu(job: _Job) -> Iterator[Difference]:
    cpu, found = job.facts.cpu, job.found
    each = f"{cpu.product}, {cpu.cores} cores"
    ordered = f"{cpu.sockets} x {each}"
    if found.cpu is None:
        yield job.untold("cpu", "processors", ordered)
        return
    cores = found.cores or (found.threads or 0) * cpu.cores // cpu.threads or None
    name = _plain_cpu(found.cpu)
    seen = f"{found.sockets or '?'} x {name}, {f'{cores} cores in all' if cores else 'cores not told'}"
    if found.sockets is not None and found.sockets < cpu.sockets:
        hint = "reseat the processor, or have the missing one delivered; half the DIMMs and slots are dead without it"
        yield job.differs("cpu", "processors", ordered, seen, hint)
    elif cores is not None and cores < cpu.sockets * cpu.cores:
        hint = "look at ProcCores and LogicalProc in the BIOS; else it is another processor than ordered"
        yield job.differs("cpu", "processors", ordered, seen, hint)
    elif not set(_words(cpu.product)) <= set(_words(found.cpu)):
        hint = "have it exchanged, or accept it: it has no fewer cores"
        yield job.differs("cpu", "processors", ordered, seen, hint, "warning")


def _plain_cpu(name: str) -> str:
    """``Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz`` → ``Intel Xeon Gold 6330``."""
    short = re.sub(r"\((R|TM|r|tm)\)", "", name).partition("@")[0]
    return " ".join(word for word in short.split() if word not in ("CPU", "Processor"))


def _words(name: str) -> list[str]:
    return _plain_cpu(name).lower().split()


def _memory(job: _Job) -> Iterator[Difference]:
    facts, found = job.facts, job.found
    dimms = facts.dimms
    ordered = f"{dimms.count} x {dimms.size_gb} GB" if dimms else f"{facts.memory_gb} GB"
    if found.memory_mib is None:
        yield job.untold("memory", "memory", ordered)
        return
    total = found.memory_mib / 1024
    if found.dimms is not None:
        seen = _counted(f"{size / 1024:g} GB" for size in found.dimms.values())
        short, where = total < facts.memory_gb, f"; filled: {_slots(found.dimms)}"
    else:
        seen, where = f"{total:.0f} GB", ""
        short = total < facts.memory_gb * MEMORY_TOLERANCE
    if short:
        hint = f"reseat or replace the modules that are missing or off{where}"
        yield job.differs("memory", "memory", ordered, seen, hint)
    elif dimms and found.dimms is not None and len(found.dimms) < dimms.count:
        hint = f"enough in all, but fewer channels and so less bandwidth{where}"
        yield job.differs("memory", "memory", ordered, seen, hint, "warning")


def _slots(dimms: Mapping[str, int]) -> str:
    """``DIMM.Socket.A1`` … → ``A1-A8 B1-B7``."""
    names = [slot.rpartition(".")[2] for slot in dimms]
    banks: dict[str, list[int]] = {}
    for bank, number in (re.fullmatch(r"(.*?)(\d*)", name).groups() for name in names):  # type: ignore[union-attr]
        banks.setdefault(bank, []).append(int(number or 0))
    return " ".join(
        f"{bank}{min(numbers)}-{bank}{max(numbers)}"
        if len(numbers) > 1 and len(numbers) == max(numbers) - min(numbers) + 1
        else " ".join(f"{bank}{number or ''}" for number in sorted(numbers))
        for bank, numbers in sorted(banks.items())
    )


def _counted(names: Iterable[str]) -> str:
    """``3 x A, 1 x B``, the most first; ``none``."""
    return ", ".join(f"{count} x {name}" for name, count in Counter(names).most_common()) or "none"


def _drives(job: _Job) -> Iterator[Difference]:
    disks, drives = job.facts.disks, job.found.drives
    ordered = f"{disks.count} x {disks.size_gb} GB {disks.kind}"
    blocks = drives is not None and any(drive.name.startswith("/dev/") for drive in drives)
    if drives is None or (disks.raid and blocks):
        # The agent sees a controller's volumes, not what they are made of.
        yield job.untold("drives", "drives", ordered)
        return
    kind = "NVMe" if disks.kind == "NVMe" else "SSD" if "SSD" in disks.kind else ""
    large = [drive for drive in drives if drive.size >= disks.size_gb * 1e9 * DISK_TOLERANCE]
    right = [drive for drive in large if not kind or drive.kind in (kind, "")]
    seen = _counted(f"{drive.size / 1e9:.0f} GB {drive.kind}".rstrip() for drive in drives)
    if len(large) < disks.count:
        where = ", ".join(drive.name for drive in large) or "none"
        hint = f"reseat or replace what is missing or too small; as ordered: {where}"
        yield job.differs("drives", "drives", ordered, seen, hint)
    elif len(right) < disks.count:
        yield job.differs("drives", "drives", ordered, seen, "another kind than ordered: slower", "warning")


def _nics(job: _Job) -> Iterator[Difference]:
    facts, found = job.facts, job.found
    interfaces = {one.name: one.mac.lower() for one in job.node.interfaces if one.kind == "physical"}
    wanted = [
        (name, port, interfaces[port.interface])
        for name, port in facts.ports.items()
        if port.interface in interfaces
    ]
    if found.ports is None:
        if wanted:
            yield job.untold("nics", "network ports", ", ".join(name for name, _, _ in wanted))
        return
    seen = {port.mac: port for port in found.ports}
    free = [port for port in found.ports if port.mac not in interfaces.values()]
    for name, port, mac in wanted:
        nic = job.catalogue.nics[port.product]
        ordered = f"{mac}, {nic.product}"
        there = seen.get(mac)
        if there is None:
            spare = next((one for one in free if one.pci_id in nic.pci_ids), None)
            others = ", ".join(_shown(job, one) for one in free[:4]) or "no other port"
            hint = (
                f"is it {spare.mac}? put the MAC of what is there into the site file"
                if spare
                else f"adapter missing, or another than ordered: {others}"
            )
            yield job.differs("nics", name, ordered, "no port with this MAC", hint)
        elif there.pci_id and nic.pci_ids and there.pci_id not in nic.pci_ids:
            hint = (
                "another adapter than ordered: have it exchanged, or describe it in the site's own catalogue"
            )
            yield job.differs("nics", name, ordered, _shown(job, there), hint)
        elif there.speed_mbps and there.speed_mbps < port.speed_gbps * 1000:
            hint = "look at the cable, the transceiver and the switch's port"
            found_text = f"{there.speed_mbps / 1000:g} Gbit/s"
            yield job.differs("nics", name, f"{port.speed_gbps} Gbit/s", found_text, hint, "warning")


def _shown(job: _Job, port: Port) -> str:
    known = (nic.product for nic in job.catalogue.nics.values() if port.pci_id in nic.pci_ids)
    return f"{port.mac}, {next(known, port.pci_id or 'unknown')}"


def _gpus(job: _Job) -> Iterator[Difference]:
    wanted = job.node.gpus
    if wanted is None:
        return
    ordered = f"{wanted.count} x {wanted.product}"
    if job.found.pci is None:
        yield job.untold("gpus", "GPUs", ordered)
        return
    names = {pci: gpu.product for gpu in job.catalogue.gpus.values() for pci in gpu.pci_ids}
    right = set(job.catalogue.gpus[wanted.key].pci_ids)
    gpus = [pci for pci in job.found.pci if pci in names]
    if sum(pci in right for pci in gpus) < wanted.count:
        strange = [pci for pci in job.found.pci if pci.startswith(DISPLAY) and pci not in names]
        # NVSwitches and audio functions are NVIDIA's too: only where no GPU at all is known they help.
        seen = _counted(names.get(pci, pci) for pci in (gpus or strange))
        hint = "reseat the card and its power cable, or have what is missing delivered; lspci -d 10de: on the server"
        if any(pci not in right for pci in gpus):
            hint = "another GPU than ordered: state it at the server's `gpus`, or have it exchanged"
        yield job.differs("gpus", "GPUs", ordered, seen, hint)


def _firmware(job: _Job) -> Iterator[Difference]:
    found = job.found.firmware
    for name, minimum in job.firmware.items():
        for version in _versions(job, name, found):
            if _order(version) < _order(minimum):
                hint = f"update it through the iDRAC (Maintenance, System Update) to {minimum} or later"
                yield job.differs("firmware", f"firmware {name}", f"{minimum} or later", version, hint)
                break


def _versions(job: _Job, name: str, found: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The installed versions of a component of the baseline, oldest first; none where it isn't in this server."""
    if name in job.catalogue.nics:
        # An adapter that the profile has no port of is none of ours.
        mine = {port.product for port in job.facts.ports.values()}
        ids = job.catalogue.nics[name].pci_ids if name in mine else ()
        versions = [version for pci in ids for version in found.get(pci, ())]
    elif name in job.catalogue.gpus:
        versions = list(found.get("gpu", ())) if job.node.gpus and job.node.gpus.key == name else []
    else:
        versions = list(found.get(name, ()))
    return tuple(sorted(versions, key=_order))


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Numbers by their value, the rest as text: ``52.26.0-5179`` < ``52.28.0-4682``."""
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[^0-9A-Za-z]+", version)
    )


_LOOKS = (_service_tag, _product, _cpu, _memory, _drives, _nics, _gpus, _firmware)


def table(differences: Iterable[Difference]) -> str:
    """The differences as a table of text, one line each with its hint below; empty text where there are none."""
    heads = ("server", "part", "ordered", "found", "severity")
    made = list(differences)
    rows = [(one.node, one.what, one.ordered, one.found, _weight(one)) for one in made]
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(heads, widths, strict=True)).rstrip()]
    for row, one in zip(rows, made, strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        lines.append(f"    {f'accepted: {one.waived}' if one.waived else f'hint: {one.hint}'}")
    return "\n".join(lines) + "\n"


def _weight(one: Difference) -> str:
    return "waived" if one.waived else one.severity


def as_json(differences: Iterable[Difference]) -> str:
    """The differences as a JSON list of objects with the fields of ``Difference`` and ``blocks``."""
    return json.dumps([{**asdict(one), "blocks": one.blocks} for one in differences], indent=2)
