"""What the lab knows of bare machines, as plain data: their ports, disks and memory, and the switches between."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rackwright import catalog
from rackwright.checks.machine import judge_memory
from rackwright.derive.model import Node, SiteModel
from rackwright.errors import UsageError

MIB = 2**20
#: An emulated machine: enough for the deployment's ramdisk, and for a control plane or an imitated GPU worker.
CPUS = 2
MEMORY_MIB = 3072
#: What the emulator takes beside the machine's memory: translated code, the firmware, the BMC.
OVERHEAD_MIB = 1024
#: Disks are sparse, and smaller than the server's: the first holds the operating system.
SYSTEM_DISK_GB = 16
OTHER_DISK_GB = 16
DEVICE_NAME_LIMIT = 15
#: Where a site doesn't say which switch a port is cabled to.
SOME_SWITCH = "fabric"
#: Processors of this machine that the containers take, and that an emulated GPU worker or control plane does. A control
#: plane with one for itself did not come up: its API server was restarted again and again, as it answered too late.
CONTAINERS, WORKER, CONTROL_PLANE = 0.5, 0.75, 2.0


@dataclass(frozen=True)
class PortSpec:
    """A machine's network port: a tap in the lab's namespace, in ``bridge``; ``mtu`` in bytes.

    ``speed_gbps`` is what it shows, not what it does.
    On a switch it lets untagged frames through where ``native`` is true, and those of ``vlans``; with ``vlans`` None
    it is on no switch, and everything passes.
    """

    name: str
    mac: str
    tap: str
    bridge: str
    mtu: int
    native: bool = True
    vlans: tuple[int, ...] | None = None
    speed_gbps: int = 1


@dataclass(frozen=True)
class DiskSpec:
    """A disk: ``size_gb`` in GiB; ``kind`` is ``nvme`` or ``virtio``.

    ``raid``: a RAID controller's volume, there once the BMC was told to make one.
    """

    size_gb: int
    kind: str
    raid: bool = False


@dataclass(frozen=True)
class MachineSpec:
    """A bare machine and its BMC.

    ``hardware`` is what the BMC states beside the profile's parts (``rackwright.lab.bmc.hardware``); the emulator's
    are others.
    """

    profile: str
    product: str
    ports: tuple[PortSpec, ...]
    disks: tuple[DiskSpec, ...]
    memory_mib: int = MEMORY_MIB
    cpus: int = CPUS
    hardware: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FabricSpec:
    """The switches that the machines' ports are cabled to, in a row, and the networks on the first one's trunk.

    ``networks``: purpose and VLAN, None for the untagged one; ``mtu`` of the switches' ports in bytes.
    """

    switches: tuple[str, ...]
    networks: tuple[tuple[str, int | None], ...]
    mtu: int


def short(prefix: str, *parts: str) -> str:
    """A network device name of at most 15 characters: stable, and unique for ``parts``."""
    return prefix + hashlib.sha256("/".join(parts).encode()).hexdigest()[: 12 - len(prefix)]


def named(prefix: str, name: str) -> str:
    """``prefix-name`` where a network device can be called so, else a short name that is as unique."""
    whole = f"{prefix}-{name}"
    return whole if len(whole) <= DEVICE_NAME_LIMIT else short(prefix, name)


def check(model: SiteModel, metal: Iterable[str]) -> frozenset[str]:
    """The names, if these nodes can be bare machines; else UsageError."""
    wanted = frozenset(metal)
    known = {node.name: node for node in model.nodes}
    for name in sorted(wanted):
        if name not in known:
            raise UsageError(f"site {model.name} has no node {name!r}", f"its nodes: {', '.join(known)}")
        if known[name].is_head:
            raise UsageError(
                f"{name} is a head node, from which the others are installed: it can't be a bare machine here",
                "leave it out of --metal",
            )
        if all(interface.network != "oob" for interface in known[name].interfaces):
            raise UsageError(
                f"{name} has no port on the oob network, over which bare machines boot",
                f"state its lom1, or leave {name} out of --metal",
            )
    return wanted


def choose(model: SiteModel, available: int, processors: int) -> tuple[tuple[str, ...], str]:
    """The nodes that ``--metal`` without names means, and why: all but the head, or as many as there is room for.

    ``available`` bytes of memory, ``processors`` of this machine. GPU workers come first, then control planes. UsageError
    where there is no room for one.
    """
    able = [node for node in model.nodes if not node.is_head]
    able.sort(key=lambda node: (not node.is_gpu_worker, node.name))
    each = (MEMORY_MIB + OVERHEAD_MIB) * MIB
    fits = [n for n in range(1, len(able) + 1) if judge_memory(available, len(model.nodes), n, each).ok]
    by_memory, by_processors, left = max(fits, default=0), 0, processors - CONTAINERS
    for node in able:
        left -= CONTROL_PLANE if node.is_control_plane else WORKER
        by_processors += left >= 0
    names = tuple(sorted(node.name for node in able[: min(by_memory, by_processors)]))
    if len(names) == len(able):
        return names, "all servers but the head"
    limit = (
        f"{processors} processors, of which a control plane takes {CONTROL_PLANE:g} and another {WORKER:g}"
    )
    if by_memory < by_processors:
        limit = judge_memory(available, len(model.nodes), len(names) + 1, each).evidence
    if not names:
        raise UsageError(
            f"no room for an emulated machine: {limit}", "free some memory, or name one: --metal NODE"
        )
    return names, f"{len(names)} of the {len(able)} servers beside the head, for {limit}"


def machine(model: SiteModel, node: Node) -> MachineSpec:
    """The bare machine that stands for a server."""
    facts = catalog.builtin().servers.get(node.profile)
    names = {port.interface: name for name, port in facts.ports.items()} if facts is not None else {}
    speeds = {name: port.speed_gbps for name, port in facts.ports.items()} if facts is not None else {}
    ports = tuple(replace(port, speed_gbps=speeds.get(port.name, 1)) for port in _ports(model, node, names))
    return MachineSpec(
        profile=node.profile,
        product=node.product,
        ports=ports,
        disks=_disks(facts),
        hardware=_hardware(node, ports),
    )


def fabric(model: SiteModel, machines: Iterable[MachineSpec]) -> FabricSpec | None:
    """The switches between these machines and the site's networks; None where no machine is cabled to one."""
    used = {port.bridge for one in machines for port in one.ports if port.vlans is not None}
    if not used:
        return None
    carried = [n for n in model.networks.values() if n.purpose == "management" or n.vlan is not None]
    networks = tuple(
        (n.purpose, None if n.purpose == "management" else n.vlan) for n in carried if n.purpose != "oob"
    )
    return FabricSpec(tuple(sorted(used)), networks, max(n.mtu for n in carried))


def _ports(model: SiteModel, node: Node, names: Mapping[str, str]) -> Iterable[PortSpec]:
    """Every physical port: the one on oob, and the bonds' members on their switches."""
    bonds = {member: bond for bond in node.interfaces if bond.kind == "bond" for member in bond.members}
    for interface in node.interfaces:
        if interface.kind != "physical":
            continue
        name = names.get(interface.name, interface.name)
        tap, mac = short("t", node.name, name), interface.mac.lower()
        bond = bonds.get(interface.name)
        if bond is None:
            yield PortSpec(name, mac, tap, named("br", str(interface.network)), interface.mtu)
            continue
        vlans = tuple(i.vlan for i in node.interfaces if i.parent == bond.name and i.vlan is not None)
        bridge = named("sw", _switch(model, node.name, name))
        mtu = max([interface.mtu, *(n.mtu for n in model.networks.values() if n.purpose != "oob")])
        yield PortSpec(name, mac, tap, bridge, mtu, bond.network is not None, vlans)


def _switch(model: SiteModel, node: str, port: str) -> str:
    """The switch at the other end of a port's cable."""
    for cable in model.cables:
        for end, far in ((cable.a, cable.b), (cable.b, cable.a)):
            if (end.device, end.port) == (node, port):
                return far.device
    return SOME_SWITCH


def _disks(facts: catalog.Server | None) -> tuple[DiskSpec, ...]:
    """The disks that the operating system sees; of those behind a RAID controller, one volume."""
    if facts is None or facts.disks.raid:
        return (DiskSpec(SYSTEM_DISK_GB, "virtio", raid=facts is not None),)
    others = (DiskSpec(OTHER_DISK_GB, "nvme") for _ in range(facts.disks.count - 1))
    return (DiskSpec(SYSTEM_DISK_GB, "nvme"), *others)


def _hardware(node: Node, ports: Iterable[PortSpec]) -> dict[str, Any]:
    """What differs from the profile's usual hardware in this server: its ports' addresses, and its own GPUs."""
    hardware: dict[str, Any] = {"macs": {port.name: port.mac for port in ports}}
    if node.gpus is not None:
        known = catalog.builtin().gpus.get(node.gpus.key)
        gpu = {"product": node.gpus.product, "memory_mib": node.gpus.memory_mib}
        if known is not None and known.pci_ids:
            gpu["pci_id"] = known.pci_ids[0]
        hardware["gpus"] = [gpu] * node.gpus.count
    return hardware


def from_dict(data: Mapping[str, Any]) -> MachineSpec:
    """The machine that ``asdict`` described, after JSON; KeyError where it is not one."""
    return MachineSpec(
        profile=data["profile"],
        product=data["product"],
        ports=tuple(PortSpec(**{**p, "vlans": _tuple(p["vlans"])}) for p in data["ports"]),
        disks=tuple(DiskSpec(**d) for d in data["disks"]),
        memory_mib=data["memory_mib"],
        cpus=data["cpus"],
        hardware=data["hardware"],
    )


def fabric_from_dict(data: Mapping[str, Any]) -> FabricSpec:
    """The switches that ``asdict`` described, after JSON; KeyError where they are not."""
    networks = tuple((purpose, vlan) for purpose, vlan in data["networks"])
    return FabricSpec(tuple(data["switches"]), networks, data["mtu"])


def _tuple(value: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)
