"""Rules of ports: which a server has, how fast they are, and how a switch's are split."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.hardware import BOND_PORTS, STORAGE_PORTS
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

TABLES = "tables 4 to 7"
BREAKOUTS = "chapter 4, network infrastructure"


class ServerPort(Rule):
    id = "server-port"
    what = "A server's ports are those of its profile."
    why = "Other names are nobody's: their cables and addresses would never be set up."
    mend = "Name the ports as catalog/servers.yml does: lom1, lom2, ocp1, ocp2, nic1, nic2."
    source = TABLES

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            known = facts.catalogue.servers[server.profile].ports
            for name in server.ports:
                if name not in known:
                    message = f"'{name}' is not a port of profile {server.profile}"
                    yield Fault((*at, "ports", name), message, did_you_mean(name, known), key=True)


class FirstBondPort(Rule):
    id = "first-bond-port"
    what = f"A server has the port {BOND_PORTS[0]}."
    why = "It is the first of the bond that carries every network but oob, and lends it its MAC address."
    mend = f"State {BOND_PORTS[0]} with its MAC address."
    source = TABLES

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            if BOND_PORTS[0] not in server.ports:
                message = f"{server.name} has no port {BOND_PORTS[0]}: it carries the management network"
                yield Fault((*at, "ports"), message, f"add {BOND_PORTS[0]} with its MAC address", key=True)


class FirstAdapterPort(Rule):
    id = "first-adapter-port"
    what = f"A server with the port {STORAGE_PORTS[1]} has {STORAGE_PORTS[0]} too."
    why = "They are one adapter's: the bond of both begins with the first."
    mend = f"State {STORAGE_PORTS[0]} with its MAC address."
    source = TABLES

    def check(self, facts: Facts) -> Iterator[Fault]:
        first, second = STORAGE_PORTS
        for at, server in facts.servers:
            if second in server.ports and first not in server.ports:
                message = f"{server.name} has {second}, but no {first} of the same adapter"
                yield Fault(
                    (*at, "ports", second), message, f"add {first}, or call the port {first}", key=True
                )


class OobPort(Rule):
    id = "oob-port"
    what = "A server with an oob address has the port lom1."
    why = "Nothing else is connected to that network."
    mend = "State lom1 with its MAC address, or remove the address."
    source = TABLES

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            if server.addresses.oob is not None and "lom1" not in server.ports:
                message = f"{server.name} has an oob address, but no port lom1 to carry it"
                yield Fault((*at, "addresses", "oob"), message, "add lom1, or remove the address", key=True)


class BootPort(Rule):
    id = "boot-port"
    severity = "warning"
    what = "A server has the port lom1."
    why = "It boots over it for the first time, and is recognised by its MAC address."
    mend = "State lom1 with its MAC address."
    source = TABLES

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            # With an oob address it is an error, and another rule's.
            if "lom1" not in server.ports and server.addresses.oob is None:
                message = f"{server.name} has no port lom1: it can't be installed over the network"
                yield Fault((*at, "ports"), message, "add lom1 with its MAC address", key=True)


class AdapterUnused(Rule):
    id = "adapter-unused"
    severity = "warning"
    what = f"A server with {STORAGE_PORTS[0]} and {STORAGE_PORTS[1]} has an address on the storage network."
    why = "The adapter carries nothing else: without one its ports, cables and switch ports lie idle."
    mend = "State addresses.storage, or leave the adapter out."
    source = TABLES

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            if STORAGE_PORTS[0] in server.ports and server.addresses.storage is None:
                message = f"{server.name} has an adapter for storage, but no address on the storage network"
                hint = facts.free_address("storage") or "add networks.storage, and the address"
                yield Fault((*at, "addresses"), message, hint, key=True)


class PortSpeed(Rule):
    id = "port-speed"
    what = "A server's port and the switch's at the other end of its cable have a speed in common."
    why = "The link never comes up: a 25 Gbit/s port in a 100 Gbit/s one needs a breakout."
    mend = "Cable it to a port of its speed, or break the switch's port out."
    source = "chapter 4, network infrastructure"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            known = facts.catalogue.servers[server.profile].ports
            for name, cable in server.ports.items():
                switch = facts.switch_of.get(cable.switch or "")
                if switch is None or cable.port is None or name not in known:
                    continue
                takes = _speeds(facts, switch.name, cable.port)
                wanted = known[name].speed_gbps
                if takes and wanted not in takes:
                    rates = " or ".join(str(speed) for speed in takes)
                    message = (
                        f"{server.name} {name} has {wanted} Gbit/s, {switch.name} {cable.port} takes {rates}"
                    )
                    hint = _remedy(facts, switch.name, cable.port, wanted)
                    if name.startswith("lom"):
                        hint = f"leave 'switch' and 'port' out: {name} goes to the oob network's own switch"
                    yield Fault((*at, "ports", name, "port"), message, hint)


def _speeds(facts: Facts, switch: str, port: str) -> tuple[int, ...]:
    """What a port takes; nothing where it isn't there."""
    speeds = facts.port_speeds.get(switch, {})
    if port not in speeds:
        return ()
    group = facts.port_groups[switch].get(port)
    return group.all_speeds if group is not None else (speeds[port],)


def _remedy(facts: Facts, switch: str, port: str, wanted: int) -> str:
    whole = port.partition(":")[0]
    group = facts.port_groups[switch].get(whole)
    for kind in group.breakouts if group is not None else ():
        if kind.endswith(f"x{wanted}"):
            return f"break it out ({whole}: {kind} in 'breakouts' of {switch}) and name a part: {whole}:1"
    return "cable it to a port of its speed"


class InterconnectSpeed(Rule):
    id = "interconnect-speed"
    what = "The two ports of a cable between switches have the same speed."
    why = "The link never comes up."
    mend = "Take ports of one speed."
    source = "chapter 4, network infrastructure"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, link in facts.interconnects:
            one, other = (facts.port_speeds.get(switch, {}) for switch in link.switches)
            near, far = link.switches
            for place, (port, end) in enumerate(link.ends()):
                if port not in one or end not in other or one[port] == other[end]:
                    continue
                message = f"{near} {port} has {one[port]} Gbit/s, {far} {end} has {other[end]}"
                if link.far_ports is None:
                    message = f"{port} has {one[port]} Gbit/s at {near}, {other[end]} at {far}"
                path: Path_ = (*at, *link.places(place)[1])
                yield Fault(path, message, "connect ports of one speed")


class BreakoutKind(Rule):
    id = "breakout-kind"
    what = "A switch's port is broken out only as its product can."
    why = "The switch refuses the configuration."
    mend = "Take another port, or another way to split it."
    source = BREAKOUTS

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, switch in facts.switches:
            groups = facts.port_groups.get(switch.name)
            if groups is None:
                continue
            for port, kind in switch.breakouts.items():
                group = groups.get(port)
                path: Path_ = (*at, "breakouts", port)
                if group is None:
                    able = [name for name, range_ in groups.items() if range_.breakouts]
                    message = f"'{port}' is not a port of {switch.name} ({switch.product})"
                    yield Fault(path, message, f"it can break out {_listed(able)}", key=True)
                elif kind not in group.breakouts:
                    message = f"{switch.name} {port} can't be broken out as {kind}"
                    ways = ", ".join(group.breakouts)
                    hint = f"it takes {ways}" if ways else "this port can't be broken out at all"
                    yield Fault(path, message, hint)


def _listed(ports: list[str]) -> str:
    return f"{ports[0]} to {ports[-1]}" if ports else "no port"


class BreakoutPart(Rule):
    id = "breakout-part"
    what = "A cable ends at a part of a port only where the port is broken out."
    why = "The part isn't there."
    mend = "Break the port out at its switch, or name the whole port."
    source = BREAKOUTS

    def check(self, facts: Facts) -> Iterator[Fault]:
        for end in facts.ends:
            whole, colon, _ = end.port.partition(":")
            speeds = facts.port_speeds.get(end.switch, {})
            if colon and whole in speeds:
                message = f"{end.owner} ends at {end.switch} {end.port}, but {whole} isn't broken out"
                hint = f"add {whole} to 'breakouts' of {end.switch}, or name the whole port"
                yield Fault(end.path, message, hint)


class BreakoutWhole(Rule):
    id = "breakout-whole"
    what = "A port that is broken out isn't used whole."
    why = "It is either one fast port or several slow ones."
    mend = "Name a part of it, or remove the breakout."
    source = BREAKOUTS

    def check(self, facts: Facts) -> Iterator[Fault]:
        told: set[Path_] = set()
        for end in facts.ends:
            switch = facts.switch_of.get(end.switch)
            if switch is None or end.path in told:
                continue
            if end.port in switch.breakouts and end.switch in facts.port_speeds:
                # A link's port stands for both ends.
                told.add(end.path)
                kind = switch.breakouts[end.port]
                message = f"{end.owner} ends at {end.switch} {end.port}, which is broken out as {kind}"
                yield Fault(end.path, message, f"name a part, such as {end.port}:1")


class BreakoutUnused(Rule):
    id = "breakout-unused"
    severity = "warning"
    what = "A port that is broken out has a cable at one of its parts."
    why = "The fast port is given up for nothing; most often a cable is stated at another port by mistake."
    mend = "Remove the breakout, or name its parts at the servers' ports."
    source = BREAKOUTS
    needs = frozenset({"servers", "interconnects"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, switch in facts.switches:
            used = facts.used_ports.get(switch.name, set())
            whole = {port.partition(":")[0] for port in used}
            for port, kind in switch.breakouts.items():
                group = facts.port_groups.get(switch.name, {}).get(port)
                # A breakout that can't be is another rule's.
                if group is not None and kind in group.breakouts and port not in whole:
                    message = f"{switch.name} {port} is broken out, but none of its parts has a cable"
                    hint = "remove it, or name its parts at the servers' ports"
                    yield Fault((*at, "breakouts", port), message, hint, key=True)


RULES: tuple[type[Rule], ...] = (
    ServerPort,
    FirstBondPort,
    FirstAdapterPort,
    OobPort,
    BootPort,
    AdapterUnused,
    PortSpeed,
    InterconnectSpeed,
    BreakoutKind,
    BreakoutPart,
    BreakoutWhole,
    BreakoutUnused,
)
