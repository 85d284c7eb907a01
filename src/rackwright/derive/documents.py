"""What people build a site from: cables, ports, racks, addresses and parts, as typed rows.

Pure functions of the model and the catalogue; how the rows look (HTML, CSV, text) is other modules' business.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from rackwright.catalog import Catalogue
from rackwright.derive.cabling import bridge_parts, cable_parts
from rackwright.derive.model import Cable, CableEnd, Node, SiteModel, Switch


@dataclass(frozen=True)
class End:
    """One end of a cable: the device's port, and where the device stands. ``unit`` is its lowest rack unit."""

    device: str
    port: str
    rack: str
    unit: int

    @property
    def place(self) -> str:
        """``a/U42 leaf-a ethernet1/1/1``."""
        return f"{self.rack}/U{self.unit} {self.device} {self.port}"


@dataclass(frozen=True)
class CableRow:
    """A cable and the texts of its two labels.

    A label is read at its own end: that end first, then the other one. It holds no running number, so labels
    stay true when a server is added.
    """

    a: End
    b: End
    speed_gbps: int

    @property
    def label_a(self) -> str:
        return f"{self.a.place} → {self.b.place}"

    @property
    def label_b(self) -> str:
        return f"{self.b.place} → {self.a.place}"

    @property
    def within_rack(self) -> bool:
        return self.a.rack == self.b.rack


@dataclass(frozen=True)
class PortRow:
    """A port of a switch; ``far`` is what is plugged in, or None."""

    name: str
    speed_gbps: int
    far: End | None


@dataclass(frozen=True)
class PortMap:
    """A switch and all of its ports, in the order of the front panel."""

    switch: Switch
    ports: tuple[PortRow, ...]

    @property
    def used(self) -> int:
        return sum(port.far is not None for port in self.ports)


@dataclass(frozen=True)
class Slot:
    """A device in a rack. ``unit`` is its lowest one; ``power_w`` in watts, None where nothing is known."""

    name: str
    product: str
    unit: int
    height: int
    service_tag: str | None
    node: Node | None
    power_w: int | None

    @property
    def top(self) -> int:
        """The highest unit that it takes."""
        return self.unit + self.height - 1


@dataclass(frozen=True)
class Elevation:
    """A rack from the front: what stands in it, from the top down.

    ``units`` is the rack's height, ``budget_w`` what its feeds can give (None: not stated).
    """

    rack: str
    units: int
    budget_w: int | None
    slots: tuple[Slot, ...]

    @property
    def free(self) -> tuple[tuple[int, int], ...]:
        """Runs of free units as (lowest, highest), from the top down."""
        taken = {unit for slot in self.slots for unit in range(slot.unit, slot.top + 1)}
        runs: list[tuple[int, int]] = []
        for unit in range(self.units, 0, -1):
            if unit in taken:
                continue
            if runs and runs[-1][0] == unit + 1:
                runs[-1] = (unit, runs[-1][1])
            else:
                runs.append((unit, unit))
        return tuple(runs)

    @property
    def free_units(self) -> int:
        return sum(high - low + 1 for low, high in self.free)

    @property
    def power_w(self) -> int:
        """The sum of what is known, in watts."""
        return sum(slot.power_w or 0 for slot in self.slots)

    @property
    def unknown_power(self) -> tuple[str, ...]:
        """Names of the devices whose power the catalogue doesn't know."""
        return tuple(slot.name for slot in self.slots if slot.power_w is None)


@dataclass(frozen=True)
class AddressRow:
    """An address in use: whose it is, what for, and the hardware address it goes with where there is one."""

    address: IPv4Address
    owner: str
    use: str
    mac: str | None = None


@dataclass(frozen=True)
class PartRow:
    """A line of the bill of materials."""

    kind: str
    item: str
    description: str
    quantity: int


# The bill of materials, in this order.
KINDS = (
    "Server",
    "GPU (in the servers)",
    "NVLink bridge (in the servers)",
    "Network adapter (in the servers)",
    "Switch",
    "Cable",
    "Transceiver",
)


def _places(model: SiteModel) -> Mapping[str, tuple[str, int]]:
    """Rack and unit by the device's name."""
    devices: tuple[Node | Switch, ...] = (*model.nodes, *model.switches)
    return {device.name: (device.rack, device.unit) for device in devices}


def cable_list(model: SiteModel) -> tuple[CableRow, ...]:
    """Every cable with its ends' places, in the model's order."""
    places = _places(model)

    def end(stated: CableEnd) -> End:
        return End(stated.device, stated.port, *places[stated.device])

    return tuple(CableRow(end(cable.a), end(cable.b), cable.speed_gbps) for cable in model.cables)


def port_maps(model: SiteModel) -> tuple[PortMap, ...]:
    """Each switch's ports with what is plugged in, switches by name."""
    places = _places(model)

    def far(peer: str | None) -> End | None:
        if peer is None:
            return None
        device, _, port = peer.partition(":")
        return End(device, port, *places[device])

    return tuple(
        PortMap(switch, tuple(PortRow(p.name, p.speed_gbps, far(p.peer)) for p in switch.ports))
        for switch in model.switches
    )


def elevations(model: SiteModel, power: Mapping[str, int] | None = None) -> tuple[Elevation, ...]:
    """The racks by name. ``power`` is watts by the device's name, as far as known."""
    watts = power or {}
    slots: dict[str, list[Slot]] = defaultdict(list)
    for node in model.nodes:
        slots[node.rack].append(
            Slot(
                node.name,
                node.product,
                node.unit,
                node.height,
                node.service_tag,
                node,
                watts.get(node.name),
            )
        )
    for switch in model.switches:
        slots[switch.rack].append(
            Slot(
                switch.name,
                switch.product,
                switch.unit,
                switch.height,
                None,
                None,
                watts.get(switch.name),
            )
        )
    return tuple(
        Elevation(
            rack.name,
            rack.units,
            rack.power_w,
            tuple(sorted(slots[rack.name], key=lambda slot: -slot.unit)),
        )
        for rack in model.racks
    )


def power(model: SiteModel, catalogue: Catalogue) -> Mapping[str, int]:
    """Watts at full load by the device's name; those that the catalogue knows nothing of are missing."""
    watts: dict[str, int] = {}
    for node in model.nodes:
        gpu = (node.gpus.key, node.gpus.count) if node.gpus else (None, 0)
        parts = catalogue.power_parts(node.profile, *gpu)
        if parts is not None:
            watts[node.name] = sum(parts.values())
    drawn = {facts.product: facts.power_w for facts in catalogue.switches.values()}
    for switch in model.switches:
        known = drawn.get(switch.product)
        if known is not None:
            watts[switch.name] = known
    return watts


def address_plan(model: SiteModel) -> Mapping[str, tuple[AddressRow, ...]]:
    """Every address in use by network, in ascending order."""
    plan: dict[str, list[AddressRow]] = {purpose: [] for purpose in model.networks}
    for purpose, network in model.networks.items():
        if network.gateway is not None:
            plan[purpose].append(AddressRow(network.gateway, "gateway", "router"))
    plan["management"].append(AddressRow(model.api_vip, model.api_fqdn, "Kubernetes API, shared address"))
    if model.head_vip is not None:
        plan["management"].append(
            AddressRow(model.head_vip, f"head.{model.domain}", "head node, shared address")
        )
    if model.storage is not None:
        plan["storage"].append(AddressRow(model.storage.address, model.storage.name, model.storage.product))
    for switch in model.switches:
        plan["oob"].append(AddressRow(switch.address, switch.name, "switch management"))
    for node in model.nodes:
        plan["oob"].append(AddressRow(node.bmc.address, node.name, "iDRAC", node.bmc.mac))
        for interface in node.interfaces:
            if interface.network is not None and interface.address is not None:
                row = AddressRow(interface.address.ip, node.name, interface.name, interface.mac)
                plan[interface.network].append(row)
    for served in model.serving:
        plan["external"].append(AddressRow(served.vip, served.name, "served model, shared address"))
    return {purpose: tuple(sorted(rows, key=lambda row: row.address)) for purpose, rows in plan.items()}


def bill_of_materials(model: SiteModel, catalogue: Catalogue) -> tuple[PartRow, ...]:
    """What the site is made of: servers with what is in them, switches, cables."""
    parts: Counter[tuple[str, str, str]] = Counter()
    cabled = _cabled_ports(model.cables)
    for node in model.nodes:
        parts["Server", node.product, _configuration(node, catalogue)] += 1
        if node.gpus is not None:
            gpu = catalogue.gpus[node.gpus.key]
            memory = f"{gpu.form_factor}, {gpu.memory_gb} GB"
            parts["GPU (in the servers)", node.gpus.product, memory] += node.gpus.count
        for adapter in _adapters(node, catalogue, cabled[node.name]):
            parts["Network adapter (in the servers)", *adapter] += 1
    for switch in model.switches:
        parts["Switch", switch.product, _panel(switch)] += 1
    parts += bridge_parts(model) + cable_parts(model, catalogue)
    order = {kind: number for number, kind in enumerate(KINDS)}
    lines = sorted(parts.items(), key=lambda line: (order[line[0][0]], line[0]))
    return tuple(PartRow(kind, item, text, quantity) for (kind, item, text), quantity in lines)


def _configuration(node: Node, catalogue: Catalogue) -> str:
    facts = catalogue.servers[node.profile]
    disks = f"{facts.disks.count} x {facts.disks.size_gb} GB {facts.disks.kind}"
    parts = [f"{facts.cpu.sockets} x {facts.cpu.product}", f"{facts.memory_gb} GB memory", disks]
    if node.gpus is not None:
        parts.append(f"{node.gpus.count} x {node.gpus.product}")
    return ", ".join(parts)


def _cabled_ports(cables: Iterable[Cable]) -> Mapping[str, set[str]]:
    ports: dict[str, set[str]] = defaultdict(set)
    for cable in cables:
        for end in (cable.a, cable.b):
            ports[end.device].add(end.port)
    return ports


def _adapters(node: Node, catalogue: Catalogue, cabled: set[str]) -> list[tuple[str, str]]:
    """Product and ports of each adapter of which a port is cabled: ``ocp1`` and ``ocp2`` are one adapter."""
    groups: dict[str, list[str]] = defaultdict(list)
    facts = catalogue.servers[node.profile].ports
    for name in facts:
        groups[name.rstrip("0123456789")].append(name)
    return [
        (
            catalogue.nics[facts[names[0]].product].product,
            f"{len(names)} x {facts[names[0]].speed_gbps} Gbit/s",
        )
        for names in groups.values()
        if cabled & set(names)
    ]


def _panel(switch: Switch) -> str:
    speeds = Counter(port.speed_gbps for port in switch.ports)
    return ", ".join(f"{count} x {speed} Gbit/s" for speed, count in speeds.items())
