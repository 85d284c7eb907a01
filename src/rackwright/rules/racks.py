"""Rules of racks: who stands where, and whether the feeds bear it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rackwright.intent.document import Path_
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts, Machine, spelling
from rackwright.rules.names import RENAME, Unique

#: The highest rack that is sold, where the site says nothing of its racks.
TALLEST = 52
PLACE = "operations, rack planning"


def _units(facts: Facts) -> dict[str, int]:
    """Height of each stated rack."""
    return {rack.name: rack.units for _, rack in facts.racks}


class RackUnits(Rule):
    id = "rack-unit"
    what = "No two machines take the same rack unit."
    why = "They would not fit, and the report would send somebody to the wrong machine."
    mend = "Move one of the two; 'unit' is the lowest one that a machine takes."
    source = PLACE

    def check(self, facts: Facts) -> Iterator[Fault]:
        taken: dict[tuple[str, int], Machine] = {}
        for machine in facts.machines:
            units = range(machine.unit, machine.unit + machine.height)
            clash = next((taken[machine.rack, u] for u in units if (machine.rack, u) in taken), None)
            if clash is not None:
                path: Path_ = (*machine.path, "unit")
                where = facts.line_of((*clash.path, "unit"), path)
                message = f"{machine.name} takes {_span(machine)}, of which some are {clash.name}'s ({where})"
                yield Fault(path, message, _free_unit(facts, machine))
                continue
            for number in units:
                taken[machine.rack, number] = machine


class RackHeight(Rule):
    id = "rack-height"
    what = "A machine ends below the top of its rack."
    why = "It would stand out of the rack."
    mend = "Move it down; 'unit' is the lowest one that a machine takes."
    source = PLACE
    needs = frozenset({"racks"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        heights = _units(facts)
        for machine in facts.machines:
            top = heights.get(machine.rack, TALLEST)
            if machine.unit + machine.height - 1 > top:
                message = f"{machine.name} takes {_span(machine)}, beyond the top unit {top}"
                yield Fault((*machine.path, "unit"), message, _free_unit(facts, machine))


def _span(machine: Machine) -> str:
    top = machine.unit + machine.height - 1
    units = f"unit {machine.unit}" if machine.height == 1 else f"units {machine.unit} to {top}"
    return f"{units} of rack {machine.rack}"


def _free_unit(facts: Facts, machine: Machine) -> str:
    used = {u for m in facts.in_rack[machine.rack] for u in range(m.unit, m.unit + m.height)}
    highest = _units(facts).get(machine.rack, 42) + 1 - machine.height
    places = [u for u in range(1, highest + 1) if not used & set(range(u, u + machine.height))]
    if not places:
        return f"rack {machine.rack} has no {machine.height} free units in a row"
    nearest = min(places, key=lambda u: (abs(u - machine.unit), u))
    return f"the nearest free place for it is unit {nearest}"


class UnknownRack(Rule):
    id = "unknown-rack"
    what = "Where racks are stated, every machine stands in one of them."
    why = "Its height and its power are the rack's: elsewhere they can't be checked."
    mend = "Name a rack of 'racks', or add it there."
    source = PLACE
    needs = frozenset({"racks"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        known = _units(facts)
        if not known:
            return
        for machine in facts.machines:
            if machine.rack not in known:
                message = f"{machine.name} stands in rack '{machine.rack}', which 'racks' doesn't hold"
                yield Fault((*machine.path, "rack"), message, facts.alike(machine.rack, known))


class DuplicateRack(Unique):
    id = "duplicate-rack"
    what = "Racks have different names."
    why = "A machine's rack would be either of them."
    mend = "Rename one of the two."
    source = PLACE
    label = "the rack name"
    hint = RENAME

    def stated(self, facts: Facts) -> Iterable[tuple[Path_, str, str]]:
        for at, rack in facts.racks:
            yield (*at, "name"), rack.name, ""


class RackNamesAlike(Rule):
    id = "rack-names-alike"
    severity = "warning"
    what = "Racks' names differ in more than case and punctuation."
    why = "Most often it is one rack, written in two ways; and Ansible's group of both is the same."
    mend = "Write a rack the same way everywhere."
    source = "operations, Ansible"
    # Where racks are stated, the other spelling is unknown: that rule's.

    def check(self, facts: Facts) -> Iterator[Fault]:
        seen: dict[str, str] = {}
        for name, machines in facts.in_rack.items():
            first = seen.setdefault(spelling(name), name)
            if first != name and not facts.racks:
                others = f" and {len(machines) - 1} more" if len(machines) > 1 else ""
                message = f"rack '{name}' of {machines[0].name}{others} is written '{first}' elsewhere"
                yield Fault((*machines[0].path, "rack"), message, "write it the same way everywhere")


class RackPower(Rule):
    id = "rack-power"
    what = "What stands in a rack draws no more than its feeds give."
    why = "A fuse takes the whole rack out, at full load: when the models are busiest."
    mend = "Move a server to another rack, or order stronger feeds."
    source = "operations, power (table 2 and the catalogue's figures)"
    needs = frozenset({"racks", "servers", "switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, rack in facts.racks:
            machines = facts.in_rack.get(rack.name, [])
            needed = sum(machine.power_w or 0 for machine in machines)
            if rack.power_w is not None and needed > rack.power_w:
                largest = max(machines, key=lambda machine: machine.power_w or 0)
                message = f"rack {rack.name} draws up to {needed} W, {needed - rack.power_w} W more than its feeds give"
                room = _with_room(facts, rack.name, largest)
                where = (
                    f"move it, {room}" if room else "no other rack bears it: raise 'power_w', or add a rack"
                )
                hint = f"{largest.name} draws most ({largest.power_w} W): {where}"
                yield Fault((*at, "power_w"), message, hint)


def _with_room(facts: Facts, full: str, machine: Machine) -> str:
    """Which stated racks have the power and the units for a machine too; empty where none has."""
    found = []
    for _, rack in facts.racks:
        machines = facts.in_rack.get(rack.name, [])
        used = {u for m in machines for u in range(m.unit, m.unit + m.height)}
        places = range(1, rack.units + 2 - machine.height)
        if rack.name == full or all(used & set(range(u, u + machine.height)) for u in places):
            continue
        needed = sum(one.power_w or 0 for one in machines) + (machine.power_w or 0)
        if rack.power_w is None:
            found.append(f"rack {rack.name} (its power isn't stated)")
        elif needed <= rack.power_w:
            found.append(f"rack {rack.name} ({rack.power_w - needed} W would be left)")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"such as to {', '.join(found[:3])}{more}" if found else ""


class RackPowerUnknown(Rule):
    id = "rack-power-unknown"
    severity = "warning"
    what = "What a rack with a power budget holds is in the catalogue with its power."
    why = "The budget can't be checked otherwise."
    mend = "State cpu.power_w and base_power_w of the server in catalog/servers.yml beside the site."
    source = "operations, power"
    needs = frozenset({"racks", "servers", "switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, rack in facts.racks:
            unknown = [m.name for m in facts.in_rack.get(rack.name, []) if m.power_w is None]
            if rack.power_w is not None and unknown:
                more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
                message = f"the power of {unknown[0]}{more} in rack {rack.name} isn't known"
                hint = "state cpu.power_w and base_power_w in catalog/servers.yml beside the site"
                yield Fault((*at, "power_w"), message, hint)


class RackEmpty(Rule):
    id = "rack-empty"
    severity = "warning"
    what = "A stated rack holds a machine."
    why = "Most often the name is a slip."
    mend = "Remove the rack, or put its machines into it."
    source = PLACE
    needs = frozenset({"racks", "servers", "switches"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, rack in facts.racks:
            if rack.name not in facts.in_rack:
                message, hint = f"nothing stands in rack {rack.name}", "remove it, or name it at its machines"
                yield Fault((*at, "name"), message, hint)


RULES: tuple[type[Rule], ...] = (
    RackUnits,
    RackHeight,
    UnknownRack,
    DuplicateRack,
    RackNamesAlike,
    RackPower,
    RackPowerUnknown,
    RackEmpty,
)
