"""What has to be ordered to connect the machines: cables, the transceivers at their ends, and NVLink bridges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright import catalog
from rackwright.derive.model import Cable, CableEnd, SiteModel

Parts = Counter[tuple[str, str, str]]
# The plug of a connector at the speeds in use here, where it isn't called like the connector.
PLUGS = {"QSFP28-DD": "QSFP28", "QSFP56": "QSFP28"}
# Bridges that connect one pair of H100 PCIe: NVIDIA's product brief of the H100 PCIe names three.
BRIDGES = 3


@dataclass(frozen=True)
class _Ends:
    """Looking up what stands at a cable's end: racks by device, switches' and servers' facts."""

    racks: Mapping[str, str]
    switches: Mapping[str, catalog.Switch]
    servers: Mapping[str, catalog.Server]
    nics: Mapping[str, catalog.Nic]

    def together(self, cable: Cable) -> bool:
        """Whether both ends are in one rack."""
        return self.racks[cable.a.device] == self.racks[cable.b.device]

    def plug(self, end: CableEnd) -> str:
        """The kind of plug that a port takes."""
        if end.device in self.switches:
            group = self.switches[end.device].group(end.port)
            connector = group.connector if group is not None else ""
        else:
            nic = self.nics.get(self.servers[end.device].ports[end.port].product)
            connector = nic.connector if nic is not None else ""
        return PLUGS.get(connector, connector) or "any"


def _ends(model: SiteModel, catalogue: catalog.Catalogue) -> _Ends:
    products = {facts.product: facts for facts in catalogue.switches.values()}
    return _Ends(
        {one.name: one.rack for one in model.nodes} | {one.name: one.rack for one in model.switches},
        {switch.name: products[switch.product] for switch in model.switches},
        {node.name: catalogue.servers[node.profile] for node in model.nodes},
        catalogue.nics,
    )


def cable_parts(model: SiteModel, catalogue: catalog.Catalogue) -> Parts:
    """(kind, item, description) → how many.

    Within a rack cables are direct attach copper, with their plugs; between racks fibres with a transceiver
    at each end. The parts of one broken-out port share one cable. The oob network's are counted without
    lengths: its switches aren't the site file's.
    """
    ends = _ends(model, catalogue)
    parts: Parts = Counter()
    broken: dict[CableEnd, list[Cable]] = {}
    for cable in model.cables:
        port = _broken_port(cable)
        if port is not None:
            broken.setdefault(port, []).append(cable)
        else:
            _count(parts, cable, ends)
    ways = Counter(
        CableEnd(switch.name, port.name.partition(":")[0])
        for switch in model.switches
        for port in switch.ports
        if ":" in port.name
    )
    for port, cables in broken.items():
        _count_breakout(parts, port, ways[port], cables, ends)
    used = len(model.nodes) + len(model.switches)
    used += sum(1 for node in model.nodes for one in node.interfaces if one.network == "oob")
    parts["Cable", "1 Gbit/s, RJ45", "to the oob network: iDRACs, boot ports, switches' management"] += used
    return parts


def bridge_parts(model: SiteModel) -> Parts:
    """NVLink bridges between PCIe GPUs; GPUs on one board need none."""
    parts: Parts = Counter()
    for node in model.nodes:
        if node.gpus is not None and node.gpus.interconnect == "nvlink_bridge":
            pairs = node.gpus.count // node.gpus.span
            text = f"for pairs of {node.gpus.product}, {BRIDGES} each"
            parts["NVLink bridge (in the servers)", "NVLink bridge", text] += pairs * BRIDGES
    return parts


def _count(parts: Parts, cable: Cable, ends: _Ends) -> None:
    """A cable from port to port."""
    speed = cable.speed_gbps
    plugs = sorted(ends.plug(end) for end in (cable.a, cable.b))
    if ends.together(cable):
        kind = " to ".join(sorted(set(plugs)))
        parts["Cable", f"{speed} Gbit/s, {kind}", "direct attach copper, within a rack"] += 1
        return
    parts["Cable", f"{speed} Gbit/s, fibre", "between racks"] += 1
    for plug in plugs:
        parts["Transceiver", f"{plug}, {speed} Gbit/s", "for fibres between racks"] += 1


def _count_breakout(parts: Parts, port: CableEnd, ways: int, cables: list[Cable], ends: _Ends) -> None:
    """One cable with a plug at the switch and one for each part of its port, used or not."""
    speed = cables[0].speed_gbps
    far = [end for cable in cables for end in (cable.a, cable.b) if end.device != port.device]
    plug, plugs = ends.plug(port), "/".join(sorted({ends.plug(end) for end in far}))
    item = f"{ways * speed} Gbit/s, {plug} to {ways} x {speed} Gbit/s {plugs}"
    if all(ends.together(cable) for cable in cables):
        parts["Cable", item, "direct attach breakout copper, within a rack"] += 1
        return
    parts["Cable", item, "breakout fibre, between racks"] += 1
    parts["Transceiver", f"{plug}, {ways * speed} Gbit/s", "for breakout fibres"] += 1
    for end in far:
        parts["Transceiver", f"{ends.plug(end)}, {speed} Gbit/s", "for breakout fibres"] += 1


def _broken_port(cable: Cable) -> CableEnd | None:
    """The whole port of which the cable takes a part."""
    for end in (cable.a, cable.b):
        whole, part, _ = end.port.partition(":")
        if part:
            return CableEnd(end.device, whole)
    return None
