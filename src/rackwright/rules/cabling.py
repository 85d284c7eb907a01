"""Rules of cables: both ends are there, each port takes one, and none of them alone carries a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations

from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.rules import fabric
from rackwright.rules.base import Fault, Rule
from rackwright.rules.fabric import BONDS, NETWORK, bond_switches, pairs
from rackwright.rules.facts import End, Facts

ADD_SWITCH = "add it to 'switches'"


class UnknownSwitchProduct(Rule):
    id = "unknown-switch-product"
    what = "A switch's product is in the catalogue."
    why = "Its ports and its height come from there."
    mend = "Take a key of catalog/switches.yml, or add the product in catalog/switches.yml beside the site."
    source = "chapter 4, network infrastructure"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, switch in facts.switches:
            if switch.product not in facts.catalogue.switches:
                hint = did_you_mean(switch.product, facts.catalogue.switches)
                message = f"'{switch.product}' is not a switch of the catalogue"
                yield Fault((*at, "product"), message, hint)


class CableHalf(Rule):
    id = "cable-half"
    what = "A cable is stated with both the switch and its port, or not at all."
    why = "Half a cable can be neither configured nor checked."
    mend = "State the other half, or neither."
    source = NETWORK

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            for name, cable in server.ports.items():
                if (cable.switch is None) != (cable.port is None):
                    missing, given = ("port", "switch") if cable.port is None else ("switch", "port")
                    message = f"{server.name} {name} has a '{given}', but no '{missing}'"
                    path: Path_ = (*at, "ports", name, given)
                    yield Fault(path, message, f"state '{missing}' too, or neither", key=True)


class CableEnds(Rule):
    id = "cable-end"
    what = "A cable ends at a switch of the site, at a port of its product."
    why = "The switches' configuration and the cabling check are made from it."
    mend = "Name a switch of the site and a port of its product."
    source = NETWORK
    needs = frozenset({"switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            for name, cable in server.ports.items():
                if cable.switch is None or cable.port is None:
                    continue
                path: Path_ = (*at, "ports", name)
                if cable.switch not in facts.switch_of:
                    message = f"{server.name} {name}: the site has no switch '{cable.switch}'"
                    hint = facts.alike(cable.switch, facts.switch_of) or ADD_SWITCH
                    yield Fault((*path, "switch"), message, hint)
                else:
                    yield from _known_port(facts, cable.switch, cable.port, (*path, "port"))
        for at, link in facts.interconnects:
            for index, switch in enumerate(link.switches):
                if switch not in facts.switch_of:
                    message = f"the site has no switch '{switch}'"
                    hint = facts.alike(switch, facts.switch_of) or ADD_SWITCH
                    yield Fault((*at, "switches", index), message, hint)
            for place, ports in enumerate(link.ends()):
                told: dict[Path_, Fault] = {}
                for switch, port, where in zip(link.switches, ports, link.places(place), strict=True):
                    if switch in facts.switch_of:
                        for fault in _known_port(facts, switch, port, (*at, *where)):
                            # A port may stand for both ends: one of them is enough to say.
                            told.setdefault(fault.path, fault)
                yield from told.values()


def _known_port(facts: Facts, switch: str, port: str, path: Path_) -> Iterator[Fault]:
    groups = facts.port_groups.get(switch)
    # Whole ports that are broken out, and parts of ports that aren't, are other rules'.
    whole = port.partition(":")[0]
    if groups is None or port in groups or port in facts.port_speeds[switch]:
        return
    product = facts.catalogue.switches[facts.switch_of[switch].product]
    if whole in groups:
        kind = facts.switch_of[switch].breakouts.get(whole)
        if kind is not None:
            message = f"{switch} {whole} is broken out as {kind}: it has no part '{port}'"
            yield Fault(path, message, f"its parts are {whole}:1 to {whole}:{kind.partition('x')[0]}")
        return
    ranges = ", ".join(f"{group.names()[0]} to {group.names()[-1]}" for group in product.ports)
    yield Fault(path, f"'{port}' is not a port of {switch} ({product.product})", f"it has {ranges}")


class InterconnectEnds(Rule):
    id = "interconnect-ends"
    what = "An interconnect names as many ports at the one end as at the other."
    why = "A cable has two ends."
    mend = "Complete 'ports' or 'far_ports'; leave far_ports out where the ports are the same."
    source = NETWORK

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, link in facts.interconnects:
            if link.far_ports is not None and len(link.ports) != len(link.far_ports):
                near, far = link.switches
                message = f"{len(link.ports)} ports of {near}, but {len(link.far_ports)} of {far}"
                hint = "name for each of 'ports' the one at the other end, in the same order"
                yield Fault((*at, "far_ports"), message, hint)


class InterconnectSelf(Rule):
    id = "interconnect-self"
    what = "An interconnect joins two different switches."
    why = "A loop at one switch takes the network down."
    mend = "Name two switches."
    source = NETWORK

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, link in facts.interconnects:
            if link.switches[0] == link.switches[1]:
                yield Fault((*at, "switches"), f"{link.switches[0]} is cabled to itself", "name two switches")


class PortTwice(Rule):
    id = "port-twice"
    what = "A switch's port takes one cable."
    why = "One of the two cables can't be there."
    mend = "Look which of the two it is, and give the other a free port."
    source = NETWORK

    def check(self, facts: Facts) -> Iterator[Fault]:
        seen: dict[tuple[str, str], End] = {}
        told: set[Path_] = set()
        offered: set[tuple[str, str]] = set()
        beside: dict[str, str] | None = None
        for end in facts.ends:
            first = seen.setdefault((end.switch, end.port), end)
            if first is not end and end.path not in told:
                # A link's port stands for both ends.
                told.add(end.path)
                where = facts.line_of(first.path, end.path)
                place = f"{end.switch} {end.port}"
                message = (
                    f"{place} takes the cable of {end.owner}, but has that of {first.owner} already ({where})"
                )
                if beside is None:
                    beside = {one: other for pair in pairs(facts) for one, other in permutations(pair)}
                hint = _wrong_switch(facts, end, beside) or _wrong_switch(facts, first, beside)
                yield Fault(end.path, message, hint or _free_port(facts, end, offered))


def _wrong_switch(facts: Facts, end: End, beside: Mapping[str, str]) -> str:
    """A hint where the bond's other cable goes to the same switch: then the switch is wrong, not the port.

    ``beside``: the switch that shares servers with each one.
    """
    server = facts.server_at.get(end.path[:2])
    if server is None:
        return ""
    for ports, bond in BONDS:
        one, other = bond_switches(server, ports)
        if end.path[3] in ports and one == other:
            where, name = beside.get(end.switch, "another switch"), bond.removeprefix("the ")
            return f"both cables of {server.name}'s {name} go to {one}: should {end.path[3]} go to {where}?"
    return ""


def _free_port(facts: Facts, end: End, offered: set[tuple[str, str]]) -> str:
    """A hint to a free port as fast as the end's; it is not offered again."""
    switch, speeds = end.switch, facts.port_speeds.get(end.switch, {})
    used = facts.used_ports[switch]
    for port, speed in speeds.items():
        if port not in used and speed == speeds.get(end.port) and (switch, port) not in offered:
            offered.add((switch, port))
            return f"{port} is free"
    return f"{switch} has no free port of that speed" + (" beside those named" if offered else "")


class BondCables(Rule):
    id = "bond-cables"
    severity = "warning"
    what = "A bond has two cables."
    why = "One cable or one transceiver would take the server out of service."
    mend = "Cable the second port of the adapter too."
    source = NETWORK
    needs = frozenset({"switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if not facts.switches:
            return
        for at, server in facts.servers:
            known = facts.catalogue.servers[server.profile].ports
            for ports, bond in BONDS:
                # A misspelt port may be the missing one, and half a cable is one: other rules'.
                if ports[0] not in server.ports or not server.ports.keys() <= known.keys():
                    continue
                stated = (server.ports[name] for name in ports if name in server.ports)
                cabled = sum((cable.switch or cable.port) is not None for cable in stated)
                if cabled < 2:
                    s = "" if cabled == 1 else "s"
                    message = f"{bond} of {server.name} has {cabled} cable{s}, not two"
                    hint = f"cable {ports[0]} and {ports[1]} to different switches"
                    yield Fault((*at, "ports"), message, hint, key=True)


class CablingRedundancy(Rule):
    id = "cabling-redundancy"
    severity = "warning"
    what = "The two cables of a bond go to two switches."
    why = "One switch, or the restart for its next software, would take the server out of service."
    mend = "Cable the second port to the other switch."
    source = NETWORK
    needs = frozenset({"switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            for ports, bond in BONDS:
                one, other = bond_switches(server, ports)
                if one is not None and one == other:
                    message = f"both cables of {server.name}'s {bond.removeprefix('the ')} go to {one}"
                    hint = f"cable {ports[1]} to the other switch"
                    yield Fault((*at, "ports", ports[1], "switch"), message, hint)


RULES: tuple[type[Rule], ...] = (
    UnknownSwitchProduct,
    CableHalf,
    CableEnds,
    InterconnectEnds,
    InterconnectSelf,
    PortTwice,
    BondCables,
    CablingRedundancy,
    *fabric.RULES,
)
