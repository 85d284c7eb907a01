"""Ranges written out: plain racks, switches and servers, as if each had been stated by itself.

Runs before the rules and before the grammar of the single machines, so both judge what a range stands for;
what they find is shown at the range's own field, or at the hardware file's line.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rackwright.errors import Finding
from rackwright.intent.document import Document, Mark, Origin, Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.fields import FieldError
from rackwright.intent.hardware_csv import BMC_MAC, SERVICE_TAG, Hardware
from rackwright.intent.schema_ranges import AddressSeries, MacSeries, RackRange, ServerRange, SwitchRange
from rackwright.intent.series import address_after, filled, has_placeholder, mac_after, series, tag_after
from rackwright.intent.shipped import RULE, Cells

#: Section of ranges → the sections that it adds to.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "rack_ranges": ("racks",),
    "switch_ranges": ("switches", "interconnects"),
    "server_ranges": ("servers",),
}
_PLACE = ("name", "rack", "unit")
_RENAMED: Mapping[Path_, Path_] = {(key,): (f"{key}s",) for key in _PLACE}
_LINKS: Mapping[Path_, Path_] = {("switches",): ("names",), ("ports",): ("interlinks",)}


@dataclass(frozen=True)
class Spot:
    """A machine's place within its range, counted from 0, and its placeholders' values."""

    number: int
    rack: int
    slot: int
    values: Mapping[str, str]


@dataclass
class _Range:
    """One entry on its way: where it stands, and what is wrong with it."""

    document: Document
    path: Path_
    findings: list[Finding] = field(default_factory=list)

    def fault(self, where: Path_, message: str, hint: str, *, key: bool = False) -> None:
        self.findings.append(self.document.finding(RULE, (*self.path, *where), message, hint, key=key))

    def series(self, where: Path_, text: str, *, key: bool = False) -> list[str]:
        """A field's series; empty, with a finding, where it is none."""
        try:
            return series(text)
        except FieldError as error:
            self.fault(where, str(error), error.hint, key=key)
            return []

    def spots(self, names: str, racks: str, units: Sequence[int]) -> list[Spot]:
        """Every machine's place, by name; empty, with findings, where the counts don't match."""
        named, racked = self.series(("names",), names), self.series(("racks",), racks)
        if any(has_placeholder(rack) for rack in racked):
            self.fault(("racks",), "the racks' names can't depend on the machines", "write them as r{01..32}")
            return []
        if not named or not racked:
            return []
        places, each = len(racked) * len(units), len(units)
        by_place = has_placeholder(names)
        if places % len(named) if by_place else places != len(named):
            racks_ = f"{_count(len(racked), 'rack')} with {_count(each, 'unit')}{' each' * (len(racked) > 1)}"
            message = f"{_count(len(named), 'name')} for {_count(places, 'place')}: {racks_}"
            if by_place:
                message = f"{_count(len(named), 'name')} by place for {_count(each, 'place')} of each rack"
            hint = (
                "in each of 'racks' a machine stands at each of 'units': make names, racks and units match; "
                "put what is left over into a range of its own"
            )
            self.fault(("names",), message, hint)
            return []
        found: list[Spot] = []
        for number in range(places):
            rack, slot = divmod(number, each)
            values = {
                "rack": racked[rack],
                "rack_n": str(rack + 1),
                "slot": str(slot + 1),
                "unit": str(units[slot]),
                "n": str(number + 1),
            }
            text = named[number % len(named)]
            if "{name}" in text:
                self.fault(("names",), "a name can't hold {name}", "use {n}, or {rack} and {slot}")
                return []
            found.append(Spot(number, rack, slot, {**values, "name": filled(text, values)}))
        return self._different(("names",), found)

    def _different(self, where: Path_, spots: list[Spot]) -> list[Spot]:
        twice = [name for name, times in Counter(spot.values["name"] for spot in spots).items() if times > 1]
        if not twice:
            return spots
        more = f" and {len(twice) - 1} other names" if len(twice) > 1 else ""
        self.fault(where, f"'{twice[0]}'{more} would be given twice", "add {n}, or {rack} and {slot}")
        return []

    def text(self, where: Path_, text: str, spots: Sequence[Spot]) -> list[str]:
        """A text field's value for each machine; empty, with a finding, where it doesn't fit."""
        choices = self.series(where, text)
        each, racks = 1 + max(spot.slot for spot in spots), 1 + max(spot.rack for spot in spots)
        if len(choices) not in (0, 1, each, racks, len(spots)):
            message = f"'{text}' gives {len(choices)} values for {racks} racks of {each}, {len(spots)} in all"
            fitting = ["one", *(str(n) for n in dict.fromkeys((each, racks, len(spots))) if n > 1)]
            self.fault(where, message, " or ".join(f"give {', '.join(fitting)}".rsplit(", ", 1)))
            return []
        if len(choices) == racks != each:
            return [filled(choices[spot.rack], spot.values) for spot in spots]
        return [filled(choices[spot.number % len(choices)], spot.values) for spot in spots] if choices else []

    def keyed(self, where: Path_, given: Mapping[str, str]) -> tuple[dict[str, str], dict[Path_, Path_]]:
        """A block whose keys may be series, written out; and the path of the series by that of each key."""
        values: dict[str, str] = {}
        paths: dict[Path_, Path_] = {}
        for text, value in given.items():
            for key in self.series((*where, text), text, key=True):
                if key in values:
                    hint = "leave it out of one of the two"
                    self.fault((*where, text), f"'{key}' is stated twice", hint, key=True)
                    return values, paths
                values[key] = value
                paths[*where, key] = (*where, text)
        return values, paths

    def addresses(self, where: Path_, given: AddressSeries, spots: Sequence[Spot]) -> list[str]:
        """An address for each machine."""

        def steps(spot: Spot) -> int:
            if given.rack_step is None:
                return spot.number * given.step
            return spot.rack * given.rack_step + spot.slot * given.step

        each = 1 + max(spot.slot for spot in spots)
        if given.rack_step is not None and (each - 1) * given.step >= given.rack_step:
            message = f"rack_step {given.rack_step} is too small for {each} machines in steps of {given.step}"
            self.fault((*where, "rack_step"), message, f"{(each - 1) * given.step + 1} at least")
            return []
        return self._all(where, "addresses", (address_after(given.first, steps(spot)) for spot in spots))

    def macs(self, where: Path_, given: MacSeries, spots: Sequence[Spot]) -> list[str]:
        """A MAC address for each server."""
        found = (mac_after(given.first, spot.number * given.step) for spot in spots)
        return self._all(where, "MAC addresses", found)

    def tags(self, where: Path_, first: str, spots: Sequence[Spot]) -> list[str]:
        """A service tag for each server."""
        return self._all(where, "service tags", (tag_after(first, spot.number) for spot in spots))

    def _all(self, where: Path_, what: str, values: Iterable[str | None]) -> list[str]:
        found = list(values)
        there = [value for value in found if value is not None]
        if len(there) < len(found):
            message = f"the {what} run out after {len(there)} of {len(found)} machines"
            self.fault(where, message, "begin lower, or make smaller steps")
            return []
        return there


class Expansion:
    """Adds to a document's lists what its ranges stand for; ``findings`` are what is wrong with them.

    With ``undelivered``, what the hardware file doesn't say (yet) stays empty.
    """

    def __init__(self, document: Document, hardware: Hardware | None, undelivered: bool = False) -> None:
        self.findings: list[Finding] = []
        self._undelivered = undelivered
        self._document = document
        self._hardware = hardware

    def racks(self, path: Path_, entry: RackRange) -> None:
        """Add the racks of a range."""
        where = _Range(self._document, path)
        for name in where.series(("names",), entry.names):
            if has_placeholder(name):
                where.fault(("names",), "a rack's name depends on nothing else", "write it as r{01..32}")
                break
            item = {"name": name, "units": entry.units, "power_w": entry.power_w}
            self._add("racks", _without_none(item), Origin(path, name, _RENAMED))
        self.findings += where.findings

    def switches(self, path: Path_, entry: SwitchRange) -> None:
        """Add the switches of a range, and the cables between those of each rack."""
        where = _Range(self._document, path)
        spots = where.spots(entry.names, entry.racks, entry.units)
        addresses = where.addresses(("address",), entry.address, spots) if spots else []
        if entry.interlinks and len(entry.units) % 2:
            message = f"interlinks need pairs of switches, but there are {len(entry.units)} in each rack"
            where.fault(("interlinks",), message, "leave them out, or state an even number of units")
        breakouts, parted = where.keyed(("breakouts",), entry.breakouts)
        far = {
            (port, key): where.text(("uplinks", port, key), getattr(link, key), spots) if spots else []
            for port, link in entry.uplinks.items()
            for key in ("switch", "port")
        }
        self.findings += where.findings
        if where.findings:
            return
        renamed = {**_RENAMED, **parted}
        for spot, address in zip(spots, addresses, strict=True):
            item = {
                **_placed(spot),
                "product": entry.product,
                "address": address,
                "breakouts": breakouts,
            }
            self._add("switches", item, Origin(path, spot.values["name"], renamed))
        if entry.interlinks:
            for one, other in zip(spots[::2], spots[1::2], strict=True):
                names = [one.values["name"], other.values["name"]]
                link = {"switches": names, "ports": list(entry.interlinks)}
                self._add("interconnects", link, Origin(path, " - ".join(names), _LINKS))
        for port in entry.uplinks:
            marks = self._uplink_marks((*path, "uplinks", port))
            for spot, switch, end in zip(spots, far[port, "switch"], far[port, "port"], strict=True):
                names = [spot.values["name"], switch]
                link = {"switches": names, "ports": [port], "far_ports": [end]}
                self._add("interconnects", link, Origin(path, " - ".join(names), _LINKS, marks))

    def _uplink_marks(self, at: Path_) -> dict[Path_, Mark]:
        """The places of an uplink's two ends: its own port is a key."""
        mark = self._document.mark
        return {
            ("ports", 0): mark(at, key=True),
            ("far_ports", 0): mark((*at, "port")),
            ("switches", 1): mark((*at, "switch")),
        }

    def servers(self, path: Path_, entry: ServerRange) -> None:
        """Add the servers of a range."""
        where = _Range(self._document, path)
        spots = where.spots(entry.names, entry.racks, entry.units)
        if not spots:
            self.findings += where.findings
            return
        columns: dict[Path_, list[str]] = {}
        for purpose, given in entry.addresses:
            if given is not None:
                at = ("addresses", purpose)
                columns[at] = where.addresses(at, given, spots)
        columns["bmc", "address"] = where.addresses(("bmc", "address"), entry.bmc.address, spots)
        shipped: dict[Path_, str] = {}
        if entry.service_tag is None:
            shipped["service_tag",] = SERVICE_TAG
        else:
            columns["service_tag",] = where.tags(("service_tag",), entry.service_tag, spots)
        macs: dict[Path_, tuple[MacSeries | None, str]] = {("bmc", "mac"): (entry.bmc.mac, BMC_MAC)}
        for name, port in entry.ports.items():
            macs["ports", name, "mac"] = (port.mac, name)
        for place, (mac, column) in macs.items():
            if mac is None:
                shipped[place] = column
            else:
                columns[place] = where.macs(place, mac, spots)
        for name, port in entry.ports.items():
            for key, text in (("switch", port.switch), ("port", port.port)):
                if text is not None:
                    columns["ports", name, key] = where.text(("ports", name, key), text, spots)
        unread = bool(shipped) and not self._undelivered and self._unread()
        if not unread and not self._undelivered:
            self._check_hardware(where, shipped, spots)
        self.findings += where.findings
        if where.findings or unread:
            return
        for spot in spots:
            self._server(path, entry, spot, columns, shipped)

    def _server(
        self,
        path: Path_,
        entry: ServerRange,
        spot: Spot,
        columns: Mapping[Path_, list[str]],
        shipped: Mapping[Path_, str],
    ) -> None:
        name, marks = spot.values["name"], Cells(self._hardware, spot.values["name"], shipped)
        item: dict[str, Any] = {
            **_placed(spot),
            "profile": entry.profile,
            "roles": list(entry.roles),
            "bmc": {},
            "addresses": {},
            "ports": {port: {} for port in entry.ports},
        }
        if entry.gpus is not None:
            item["gpus"] = entry.gpus.model_dump()
        for at, values in columns.items():
            _put(item, at, values[spot.number])
        for at, column in shipped.items():
            _put(item, at, self._hardware.cell(name, column) if self._hardware else None)
        self._add("servers", item, Origin(path, name, _RENAMED, marks))

    def _unread(self) -> bool:
        """Whether the site names a hardware file that can't be read: that is said once, not of each range."""
        if self._hardware is None:
            return isinstance(self._document.data.get("hardware"), str)
        return bool(self._hardware.findings) and not self._hardware.rows

    def _check_hardware(self, where: _Range, shipped: Mapping[Path_, str], spots: Sequence[Spot]) -> None:
        """Whether the hardware file has whatever is to come from it."""
        hardware = self._hardware
        if hardware is None:
            for at in shipped:
                message = f"the range states no {_words(at)}, and the site has no hardware file"
                hint = "name one in 'hardware', or state the first one's here"
                where.fault(at, message, hint)
            return
        missing = [column for column in shipped.values() if column not in hardware.columns]
        for column in missing:
            message = f"the file has no column '{column}'"
            wanted = did_you_mean(column, hardware.columns)
            where.findings.append(
                hardware.fault(1, 1, message, f"add it, or state it in the range; {wanted}")
            )
        wanted_columns = [column for column in shipped.values() if column not in missing]
        names = [spot.values["name"] for spot in spots]
        without = [name for name in names if name not in hardware.rows]
        if without and shipped:
            more = f" and {len(without) - 1} more" if len(without) > 1 else ""
            message = f"{hardware.file} has no line for {without[0]}{more}"
            where.fault(("names",), message, "add the lines, or correct the names")
        for name in names:
            for column in wanted_columns:
                if name in hardware.rows and hardware.cell(name, column) is None:
                    mark = hardware.mark(name, column)
                    message = f"{name} has no '{column}'"
                    where.findings.append(hardware.fault(mark.line, mark.column, message, "fill in the cell"))

    def _add(self, section: str, item: dict[str, Any], origin: Origin) -> None:
        items = self._document.data.setdefault(section, [])
        if isinstance(items, list):
            self._document.origins[section, len(items)] = origin
            items.append(item)


def gathered(document: Document, findings: Iterable[Finding]) -> list[Finding]:
    """What one rule says of many machines at one place of a range, as one finding: the first, and how many more."""
    first: dict[tuple[str, str, int, int], tuple[Finding, list[str]]] = {}
    kept: list[Finding] = []
    for finding in dict.fromkeys(findings):
        origin = document.of_range.get(finding)
        if origin is None:
            kept.append(finding)
            continue
        place = (finding.rule, finding.file, finding.line, finding.column)
        first.setdefault(place, (finding, []))[1].append(origin.name)
    for finding, names in first.values():
        others = [name for name in dict.fromkeys(names) if name != names[0]]
        if others:
            more = f"; and {len(others)} more of the range, to {others[-1]}"
            # The path of them all, as a waiver takes it.
            path = document.of_whole_range(finding) or finding.path
            finding = dataclasses.replace(finding, path=path, message=finding.message + more)
        kept.append(finding)
    return kept


def _placed(spot: Spot) -> dict[str, Any]:
    return {key: spot.values[key] for key in _PLACE}


def _put(item: dict[str, Any], path: Path_, value: Any) -> None:
    here: Any = item
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value


def _without_none(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _words(path: Path_) -> str:
    return "service tag" if path == ("service_tag",) else f"MAC address of {path[-2]}"
