"""Rules of the switches: in pairs, each pair joined, and all pairs one network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.intent import schema
from rackwright.intent.document import Path_
from rackwright.intent.hardware import BOND_PORTS, STORAGE_PORTS
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

NETWORK = "operations, cabling"
PAIR = "table 8"
#: The ports that share a bond, and what people call it.
BONDS = ((BOND_PORTS, "the bond"), (STORAGE_PORTS, "the storage bond"))
#: So many names of a part of the network are enough to recognise it.
SHOWN = 4


@dataclass(frozen=True)
class Bond:
    """A bond whose two cables end at two switches of the site."""

    at: Path_
    server: schema.Server
    ports: tuple[str, str]
    name: str
    switches: tuple[str, str]


def bond_switches(server: schema.Server, ports: tuple[str, str]) -> tuple[str | None, str | None]:
    """The two switches of a bond, None where there is no cable."""
    one, other = (server.ports[name].switch if name in server.ports else None for name in ports)
    return one, other


def _shared(facts: Facts) -> dict[frozenset[str], list[Bond]]:
    """Every two known switches that bonds share, and the bonds."""
    found: dict[frozenset[str], list[Bond]] = {}
    for at, server in facts.servers:
        for ports, name in BONDS:
            one, other = bond_switches(server, ports)
            if one in facts.switch_of and other in facts.switch_of and one != other:
                bond = Bond(at, server, ports, name.removeprefix("the "), (str(one), str(other)))
                found.setdefault(frozenset(bond.switches), []).append(bond)
    return found


def _joined(facts: Facts) -> dict[frozenset[str], int]:
    """Switches that cables join, and how many cables."""
    found: dict[frozenset[str], int] = {}
    for _, link in facts.interconnects:
        pair = frozenset(link.switches)
        found[pair] = found.get(pair, 0) + len(link.ports)
    return found


def pairs(facts: Facts) -> dict[frozenset[str], list[Bond]]:
    """The pairs of switches, and the bonds of each.

    A switch is of one pair only: where bonds say more, it is that which most of them share, then that with
    more cables between the two. What the others say is ``BondOfTwoPairs``'.
    """
    shared, joined = _shared(facts), _joined(facts)
    found: dict[frozenset[str], list[Bond]] = {}
    taken: set[str] = set()
    for pair in sorted(shared, key=lambda pair: (-len(shared[pair]), -joined.get(pair, 0))):
        if not pair & taken:
            taken |= pair
            found[pair] = shared[pair]
    return {pair: found[pair] for pair in shared if pair in found}


def _misnamed(facts: Facts) -> bool:
    """Whether a link has a wrong name: then it may be the missing one."""
    ends = (set(link.switches) for _, link in facts.interconnects)
    return any(len(names) < 2 or not names <= facts.switch_of.keys() for names in ends)


def _later(facts: Facts, pair: frozenset[str]) -> Path_:
    """The path of that switch of a pair that is stated last."""
    return [at for at, switch in facts.switches if switch.name in pair][-1]


def _and_more(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


class BondOfTwoPairs(Rule):
    id = "bond-of-two-pairs"
    what = "The two cables of a bond go to the two switches of one pair, and a switch is of one pair only."
    why = "Two switches act as one at a bond's other end (VLT), and a switch does so with one other: one cable lies idle."
    mend = "Cable the server to the two switches of one pair."
    source = PAIR
    needs = frozenset({"switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        right = pairs(facts)
        beside: dict[str, tuple[str, Bond]] = {}
        for pair, bonds in right.items():
            one, other = pair
            beside |= {one: (other, bonds[0]), other: (one, bonds[0])}
        for pair, bonds in _shared(facts).items():
            if pair in right:
                continue
            for bond in bonds:
                # The cable whose other end is of a known pair stays.
                kept = 0 if bond.switches[0] in beside else 1
                here, moved = bond.switches[kept], bond.ports[1 - kept]
                partner, example = beside[here]
                message = (
                    f"the cables of {bond.server.name}'s {bond.name} go to {' and '.join(bond.switches)}, "
                    f"but {here} is the pair of {partner} for {example.server.name}"
                )
                hint = f"cable {moved} to {partner}"
                far = beside.get(bond.switches[1 - kept])
                if far is not None:
                    hint += f", or {bond.ports[kept]} to {far[0]}"
                yield Fault((*bond.at, "ports", moved, "switch"), message, hint)


class LeafInterconnect(Rule):
    id = "leaf-interconnect"
    severity = "warning"
    what = "Two switches that share servers' bonds are cabled to each other."
    why = "When a server's cable to the one fails, others reach it through the other only over that link."
    mend = "State the cables between them in 'interconnects'."
    source = NETWORK
    needs = frozenset({"switches", "interconnects"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if _misnamed(facts):
            return
        joined = _joined(facts)
        for pair, bonds in pairs(facts).items():
            if pair not in joined:
                one, other = sorted(pair)
                servers = len({bond.server.name for bond in bonds})
                s = "" if servers == 1 else "s"
                message = f"{one} and {other} share the bonds of {servers} server{s}, but no cable joins them"
                yield Fault(_later(facts, pair), message, "add their cables to 'interconnects'")


class InterconnectSingle(Rule):
    id = "interconnect-single"
    severity = "warning"
    what = "Two cables at least join a pair of switches that share servers' bonds."
    why = "With one, its failure divides the pair, and both switches think that they are alone."
    mend = "Add a second cable."
    source = NETWORK
    needs = frozenset({"switches", "interconnects"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        known, joined = pairs(facts), _joined(facts)
        for at, link in facts.interconnects:
            pair = frozenset(link.switches)
            if pair in known and joined[pair] == 1:
                message = f"one cable joins {link.switches[0]} and {link.switches[1]}"
                yield Fault((*at, "ports"), message, "add a second port that connects them")


class PairAlike(Rule):
    id = "switch-pair-alike"
    severity = "warning"
    what = "Two switches that share servers' bonds are the same product."
    why = "Paired switches are configured as one; the design validated two alike."
    mend = "Take two switches of one product."
    source = PAIR
    needs = frozenset({"switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        known = facts.catalogue.switches
        for pair in pairs(facts):
            one, other = (facts.switch_of[name] for name in sorted(pair))
            if one.product != other.product and one.product in known and other.product in known:
                message = f"{one.name} is of product {one.product}, {other.name} beside it of {other.product}"
                yield Fault((*_later(facts, pair), "product"), message, "take two switches of one product")


class PairInOneRack(Rule):
    id = "pair-in-one-rack"
    severity = "warning"
    what = "The two switches of a pair stand in two racks, where servers of other racks depend on them."
    why = "The pair is there so that one of them may fail: one rack's feeds would take both, and all those servers with them."
    mend = "Move one of the two to another rack, or accept it where the rack is the network's own."
    source = "operations, rack planning"
    needs = frozenset({"switches", "servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for pair, bonds in pairs(facts).items():
            one, other = (facts.switch_of[name] for name in sorted(pair))
            away = list(dict.fromkeys(b.server.name for b in bonds if b.server.rack != one.rack))
            if one.rack == other.rack and away:
                more = f" and {len(away) - 1} more" if len(away) > 1 else ""
                message = f"{one.name} and {other.name} both stand in rack {one.rack}, but carry {away[0]}{more} of other racks"
                hint = "move one of the two to another rack, or accept it where the rack is the network's own"
                yield Fault((*_later(facts, pair), "rack"), message, hint)


def _spines(facts: Facts) -> dict[str, set[str]]:
    """The spines that each switch with servers is cabled to; empty where the site has none."""
    leaves = {port.switch for _, server in facts.servers for port in server.ports.values()}
    found: dict[str, set[str]] = {}
    for _, link in facts.interconnects:
        for near, far in (link.switches, link.switches[::-1]):
            if near in leaves and far not in leaves:
                found.setdefault(near, set()).add(far)
    return found


class LeafUplinks(Rule):
    id = "leaf-uplinks"
    severity = "warning"
    what = "Where switches are cabled to spines, each switch that servers are cabled to has cables to two of them."
    why = "One cable, one spine or its next software would cut the rack's servers off from all others."
    mend = "State its cables to a second spine in 'interconnects', or in the range's 'uplinks'."
    source = NETWORK
    needs = frozenset({"switches", "servers", "interconnects"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if _misnamed(facts):
            return
        leaves = {port.switch for _, server in facts.servers for port in server.ports.values()}
        spines = _spines(facts)
        for at, switch in facts.switches:
            above = sorted(spines.get(switch.name, ()))
            if spines and switch.name in leaves and len(above) < 2:
                message = (
                    f"{switch.name} is cabled to {f'one spine only, {above[0]}' if above else 'no spine'}"
                )
                yield Fault((*at, "name"), message, "cable it to two spines")


class LeavesApart(Rule):
    id = "leaves-apart"
    severity = "warning"
    what = "The switches that servers' bonds are cabled to are one network: cables lead from each to every other."
    why = "Servers of one part don't reach those of another: no cluster comes up."
    mend = (
        "State the cables between the pairs, or to spines, in 'interconnects'; accept it where switches that aren't "
        "the site's join them."
    )
    source = NETWORK
    needs = frozenset({"switches", "servers", "interconnects"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if _misnamed(facts):
            return
        # A missing cable within a pair, and a leaf without spines among others that have them, are other rules'.
        part = _parts([*_joined(facts), *pairs(facts)])
        spines = _spines(facts)
        ends = {name for _, server in facts.servers for name in bond_switches(server, BOND_PORTS)}
        groups: dict[str, list[str]] = {}
        places: dict[str, Path_] = {}
        for at, switch in facts.switches:
            if switch.name in ends and (not spines or switch.name in spines):
                place = part.get(switch.name, switch.name)
                groups.setdefault(place, []).append(switch.name)
                places.setdefault(place, at)
        if len(groups) > 1:
            first, second, *rest = groups
            message = f"no cable leads from {_and_more(groups[first])} to {_and_more(groups[second])}"
            if rest:
                message += f", nor to {len(rest)} further part{'s' if len(rest) > 1 else ''}"
            hint = "state in 'interconnects' what joins them, directly or over spines; or accept it, if it isn't the site's"
            yield Fault((*places[second], "name"), message, hint)


def _parts(edges: list[frozenset[str]]) -> dict[str, str]:
    """What hangs together: each switch that has an edge, with one name for its part."""
    near: dict[str, set[str]] = {}
    for edge in edges:
        for name in edge:
            near.setdefault(name, set()).update(edge)
    found: dict[str, str] = {}
    for start in near:
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = start
                waiting += near[name]
    return found


class SwitchUnused(Rule):
    id = "switch-unused"
    severity = "warning"
    what = "A switch has a cable of a server or of another switch."
    why = "Most often its name is a slip in the cables, or the cables were forgotten."
    mend = "State its cables, or remove it."
    source = NETWORK
    needs = frozenset({"servers", "interconnects"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        # A cable to a switch that isn't there may be this one's.
        if not facts.used_ports or not facts.used_ports.keys() <= facts.switch_of.keys():
            return
        for at, switch in facts.switches:
            if switch.name not in facts.used_ports:
                message = f"no cable ends at {switch.name}"
                yield Fault((*at, "name"), message, "state its cables, or remove it")


RULES: tuple[type[Rule], ...] = (
    BondOfTwoPairs,
    LeafInterconnect,
    InterconnectSingle,
    PairAlike,
    PairInOneRack,
    LeafUplinks,
    LeavesApart,
    SwitchUnused,
)
