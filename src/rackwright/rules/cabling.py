"""Rules of switches, ports and cables."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.hardware import BOND_PORTS
from rackwright.intent.load import Intent
from rackwright.rules.base import Fault, Rule, line_of

ADD_SWITCH = "add it to 'switches'"


class UnknownSwitchProduct(Rule):
    id = "unknown-switch-product"
    what = "A switch's product is in the catalogue."
    why = "Its ports and its height come from there."
    mend = "Take a key of catalog/switches.yml."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, switch in intent.switches:
            if switch.product not in intent.catalogue.switches:
                hint = did_you_mean(switch.product, intent.catalogue.switches)
                message = f"'{switch.product}' is not a switch of the catalogue"
                yield Fault((*at, "product"), message, hint)


class ServerPorts(Rule):
    id = "server-ports"
    what = "A server has ports that its profile has, and the first of the bond at least."
    why = "The bond of ocp1 and ocp2 carries every network but oob; other names are nobody's."
    mend = "Name the ports as catalog/servers.yml does: lom1, lom2, ocp1, ocp2."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, server in intent.servers:
            known = intent.catalogue.servers[server.profile].ports
            for name in server.ports:
                if name not in known:
                    message = f"'{name}' is not a port of profile {server.profile}"
                    yield Fault((*at, "ports", name), message, did_you_mean(name, known), key=True)
            if BOND_PORTS[0] not in server.ports:
                message = f"{server.name} has no port {BOND_PORTS[0]}: it carries the management network"
                yield Fault((*at, "ports"), message, f"add {BOND_PORTS[0]} with its MAC address", key=True)
            if server.addresses.oob is not None and "lom1" not in server.ports:
                message = f"{server.name} has an oob address, but no port lom1 to carry it"
                yield Fault((*at, "addresses", "oob"), message, "add lom1, or remove the address", key=True)


class CableEnds(Rule):
    id = "cable-end"
    what = "A cable ends at a port that is there: both the switch and its port are stated and known."
    why = "The switches' configuration and the cabling check are made from it."
    mend = "Name a switch of the site and a port of its product."
    needs = frozenset({"switches"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        products = {switch.name: switch.product for _, switch in intent.switches}
        for at, server in intent.servers:
            for name, port in server.ports.items():
                path: Path_ = (*at, "ports", name)
                if port.switch is None and port.port is None:
                    continue
                if port.switch is None or port.port is None:
                    missing, given = ("port", "switch") if port.port is None else ("switch", "port")
                    message = f"{server.name} {name} has a '{given}', but no '{missing}'"
                    yield Fault((*path, given), message, f"state '{missing}' too, or neither", key=True)
                elif port.switch not in products:
                    message = f"{server.name} {name}: the site has no switch '{port.switch}'"
                    yield Fault((*path, "switch"), message, did_you_mean(port.switch, products) or ADD_SWITCH)
                else:
                    yield from _known_port(
                        intent, products[port.switch], port.switch, port.port, (*path, "port")
                    )
        for at, link in intent.interconnects:
            if link.switches[0] == link.switches[1]:
                yield Fault((*at, "switches"), f"{link.switches[0]} is cabled to itself", "name two switches")
            for index, switch in enumerate(link.switches):
                if switch not in products:
                    message = f"the site has no switch '{switch}'"
                    yield Fault(
                        (*at, "switches", index), message, did_you_mean(switch, products) or ADD_SWITCH
                    )
                    continue
                for place, port_name in enumerate(link.ports):
                    yield from _known_port(intent, products[switch], switch, port_name, (*at, "ports", place))


def _known_port(intent: Intent, product: str, switch: str, port: str, path: Path_) -> Iterator[Fault]:
    facts = intent.catalogue.switches.get(product)
    if facts is not None and port not in facts.speeds():
        ranges = ", ".join(f"{group.names()[0]} to {group.names()[-1]}" for group in facts.ports)
        yield Fault(path, f"'{port}' is not a port of {switch} ({facts.product})", f"it has {ranges}")


class PortTwice(Rule):
    id = "port-twice"
    what = "A switch's port takes one cable."
    why = "One of the two cables can't be there."
    mend = "Look which of the two it is, and give the other a free port."

    def check(self, intent: Intent) -> Iterator[Fault]:
        seen: dict[tuple[str, str], tuple[Path_, str]] = {}
        for path, switch, port, owner in _ends(intent):
            if (switch, port) not in seen:
                seen[switch, port] = (path, owner)
                continue
            first_path, first = seen[switch, port]
            where = line_of(intent, first_path, path)
            message = f"{switch} {port} takes the cable of {owner}, but has that of {first} already ({where})"
            yield Fault(path, message, _free_port(intent, switch, port))


def _ends(intent: Intent) -> Iterator[tuple[Path_, str, str, str]]:
    """Path, switch, port and whose cable it is, of each end at a switch."""
    for at, link in intent.interconnects:
        for place, port_name in enumerate(link.ports):
            for switch in dict.fromkeys(link.switches):
                yield (*at, "ports", place), switch, port_name, f"the link {' - '.join(link.switches)}"
    for at, server in intent.servers:
        for name, port in server.ports.items():
            if port.switch is not None and port.port is not None:
                yield (*at, "ports", name, "port"), port.switch, port.port, f"{server.name} {name}"


def _free_port(intent: Intent, switch: str, like: str) -> str:
    product = next((s.product for _, s in intent.switches if s.name == switch), "")
    facts = intent.catalogue.switches.get(product)
    speeds = facts.speeds() if facts else {}
    used = {port for _, at, port, _ in _ends(intent) if at == switch}
    free = [port for port, speed in speeds.items() if port not in used and speed == speeds.get(like)]
    return f"{free[0]} is free" if free else f"{switch} has no free port of that speed"


class CablingRedundancy(Rule):
    id = "cabling-redundancy"
    severity = "warning"
    what = "A server's bond has two cables, to two switches."
    why = "One cable, one transceiver or one switch would take the server out of service."
    mend = "Cable ocp2 to the other switch."
    needs = frozenset({"switches"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        if not intent.switches:
            return
        for at, server in intent.servers:
            ends = {name: server.ports[name].switch for name in BOND_PORTS if name in server.ports}
            switches = {switch for switch in ends.values() if switch is not None}
            if len(ends) < 2 or None in ends.values():
                cabled = sum(switch is not None for switch in ends.values())
                message = f"the bond of {server.name} has {cabled} cable{'' if cabled == 1 else 's'}, not two"
                yield Fault((*at, "ports"), message, "cable ocp1 and ocp2 to different switches", key=True)
            elif len(switches) < 2:
                message = f"both cables of {server.name}'s bond go to {next(iter(switches))}"
                hint = "cable ocp2 to the other switch"
                yield Fault((*at, "ports", BOND_PORTS[1], "switch"), message, hint)


RULES: tuple[type[Rule], ...] = (UnknownSwitchProduct, ServerPorts, CableEnds, PortTwice, CablingRedundancy)
