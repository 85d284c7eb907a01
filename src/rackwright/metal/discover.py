"""Which of the BMCs that were found are the site's: known, missing, swapped, differing, unknown."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rackwright.derive.model import Node, SiteModel

Verdict = Literal["known", "swapped", "differs", "missing", "unknown"]

#: What a BMC's ``state`` means to people.
STATES = {
    "claimed": "claimed",
    "factory": "not claimed yet",
    "locked": "refuses to say who it is",
    "silent": "no answer over https",
}


@dataclass(frozen=True)
class Found:
    """A BMC that answered. What it didn't tell is empty. ``state``: a key of ``STATES``, or empty."""

    address: str
    mac: str = ""
    service_tag: str = ""
    product: str = ""
    fingerprint: str = ""
    state: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Found:
        """From the probe's JSON; keys that aren't known are left out."""
        names = {field.name for field in dataclasses.fields(cls)}
        told = {key: str(value or "") for key, value in data.items() if key in names}
        told["mac"] = told.get("mac", "").lower()
        told["service_tag"] = told.get("service_tag", "").upper()
        told["product"] = told.get("product", "").replace("Integrated Dell Remote Access Controller", "iDRAC")
        return cls(**told)


@dataclass(frozen=True)
class Match:
    """What is said of a server of the site, or of a BMC that is none's (``node`` is empty then).

    ``address``, ``mac`` and ``service_tag`` are what was found; of a missing one, what the site says.
    """

    verdict: Verdict
    node: str
    address: str
    mac: str
    service_tag: str
    product: str
    state: str
    message: str
    hint: str


class _Site:
    """The site's servers by what a BMC may tell of itself."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = tuple(nodes)
        self.by_tag = {node.service_tag.upper(): node for node in self.nodes}
        self.by_mac = {node.bmc.mac.lower(): node for node in self.nodes}
        self.by_address = {str(node.bmc.address): node for node in self.nodes}

    def owner(self, found: Found) -> Node | None:
        """Whose BMC it is: the tag is the server's own, the MAC its BMC's, the address only lent to it."""
        if found.service_tag:
            return self.by_tag.get(found.service_tag)
        if found.mac:
            return self.by_mac.get(found.mac)
        return self.by_address.get(found.address)


def match(model: SiteModel, found: Iterable[Found | Mapping[str, Any]]) -> tuple[Match, ...]:
    """Every server of the site in the order of names, then what is not of the site, by address.

    A head node that wasn't found isn't told of: the search comes from it.
    """
    site = _Site(model.nodes)
    told = (one if isinstance(one, Found) else Found.of(one) for one in found)
    # An address where nothing is, or something that is no BMC.
    bmcs = [
        one
        for one in told
        if one.service_tag
        or one.mac
        or one.state in ("claimed", "factory")
        or (one.state == "locked" and one.address in site.by_address)
    ]
    mine: dict[str, list[Found]] = {}
    strange: list[Found] = []
    for one in bmcs:
        owner = site.owner(one)
        if owner is None:
            strange.append(one)
        else:
            mine.setdefault(owner.name, []).append(one)
    at = {one.address: one for one in bmcs}
    judged: list[Match] = []
    for node in site.nodes:
        own = mine.get(node.name, [])
        if own:
            judged.append(_judge(site, node, own, at))
        elif not node.is_head:
            judged.append(_missing(site, node, at))
    replaced = {one.address for one in judged if one.verdict == "differs" and one.node}
    judged += [
        _unknown(site, one)
        for one in sorted(strange, key=lambda one: tuple(int(part) for part in one.address.split(".")))
        if one.address not in replaced
    ]
    return tuple(judged)


def _said(one: Found, verdict: Verdict, node: str, message: str, hint: str = "") -> Match:
    return Match(verdict, node, one.address, one.mac, one.service_tag, one.product, one.state, message, hint)


def _judge(site: _Site, node: Node, own: Sequence[Found], at: Mapping[str, Found]) -> Match:
    """A server whose BMC was found, by its tag where that was told."""
    wanted, mac = str(node.bmc.address), node.bmc.mac.lower()
    one = next((bmc for bmc in own if bmc.address == wanted), own[0])
    if len(own) > 1:
        others = ", ".join(bmc.address for bmc in own)
        hint = "an address in use twice, or a BMC with two ports: unplug one and look again"
        return _said(one, "differs", node.name, f"answers at {others}", hint)
    if one.address != wanted:
        other = site.by_address.get(one.address)
        here = at.get(wanted)
        if other is not None and here is not None and site.owner(here) is other:
            hint = (
                f"exchange the BMC cables, or in the site file the two servers' tags and MACs: "
                f"which of them stands in rack {node.rack}, unit {node.unit}?"
            )
            return _said(
                one, "swapped", node.name, f"is at {other.name}'s address, {other.name} at its own", hint
            )
        if other is not None:
            hint = f"look at both servers' BMC addresses: {other.name} should answer here"
            return _said(one, "swapped", node.name, f"is at {other.name}'s address", hint)
        hint = (
            "its BMC has an address of its own: let it take DHCP, or set the site's"
            if one.mac in ("", mac)
            else f"put its MAC {one.mac} into the site file, and into the DHCP service with it"
        )
        return _said(one, "differs", node.name, f"is at {one.address}, not at {wanted}", hint)
    if one.mac and one.mac != mac:
        other = site.by_mac.get(one.mac)
        if other is not None and other is not node:
            hint = "exchange the two BMC MACs in the site file; the tags tell which server is which"
            return _said(one, "swapped", node.name, f"has the BMC MAC of {other.name}", hint)
        hint = "put this MAC into the site file: a new system board, or a slip of the pen"
        return _said(one, "differs", node.name, f"has the BMC MAC {one.mac}, not {mac}", hint)
    # Who doesn't log in is told the BMC's product, not the server's.
    if "PowerEdge" in one.product and node.product.lower() not in one.product.lower():
        hint = "name the profile of what is there, or look at the tag in the site file"
        return _said(one, "differs", node.name, f"is a {one.product}, not a {node.product}", hint)
    if one.state == "silent":
        hint = "wait until it has started (3 minutes), or reset it: hold the i button for 16 seconds"
        return _said(one, "differs", node.name, "is there, but doesn't answer over https", hint)
    if one.state == "locked":
        hint = (
            "is Redfish switched off in it? look at it with a browser, or reset it to the factory's settings"
        )
        return _said(one, "differs", node.name, "answers, but doesn't say who it is", hint)
    if not one.service_tag:
        hint = "its certificate and address are right; the tag is compared once it is claimed"
        return _said(one, "known", node.name, "doesn't tell its service tag yet", hint)
    return _said(one, "known", node.name, "")


def _missing(site: _Site, node: Node, at: Mapping[str, Found]) -> Match:
    """A server that no BMC says it is; perhaps another stands in its place."""
    wanted, mac = str(node.bmc.address), node.bmc.mac.lower()
    there = at.get(wanted) or next((one for one in at.values() if one.mac == mac), None)
    if there is not None:
        other = site.owner(there)
        if other is None:
            message = (
                f"at its address is {there.service_tag or there.mac or 'another BMC'}, not {node.service_tag}"
            )
            hint = "replaced? put the new service tag and MACs into the site file: only this server changes"
            return _said(there, "differs", node.name, message, hint)
    place = f"rack {node.rack}, unit {node.unit}"
    hint = f"is it plugged in and cabled to the oob network? look at the BMC port in {place}"
    return Match(
        "missing",
        node.name,
        wanted,
        mac,
        node.service_tag,
        node.product,
        "",
        "no BMC of this tag or MAC",
        hint,
    )


def _unknown(site: _Site, one: Found) -> Match:
    at = site.by_address.get(one.address)
    place = f"at {at.name}'s address" if at else "at an address that the site gives nobody"
    hint = "add it to the site file, or take it off the oob network"
    return _said(one, "unknown", "", f"{place}; the site has no such service tag or MAC", hint)


def faultless(matches: Iterable[Match]) -> bool:
    """Whether everything is where the site says."""
    return all(one.verdict == "known" for one in matches)


def summary(matches: Sequence[Match]) -> str:
    """``6 known, 2 swapped, 1 missing``."""
    counts = Counter(one.verdict for one in matches)
    order: tuple[Verdict, ...] = ("known", "swapped", "differs", "missing", "unknown")
    return (
        ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]) or "nothing found"
    )


def table(matches: Sequence[Match]) -> str:
    """A line for each, what is wrong and the hint below it."""
    heads = ("server", "", "address", "service tag", "MAC", "BMC")
    rows = [
        (
            one.node or "-",
            one.verdict,
            one.address,
            one.service_tag or "?",
            one.mac or "?",
            ", ".join(filter(None, (one.product, STATES.get(one.state, one.state)))),
        )
        for one in matches
    ]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(heads, widths, strict=True)).rstrip()]
    for row, one in zip(rows, matches, strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if one.message:
            lines.append(f"    {one.message}")
        if one.hint:
            lines.append(f"    hint: {one.hint}")
    return "\n".join(lines) + "\n"


def as_json(matches: Iterable[Match]) -> str:
    """The matches as a JSON list of objects with the fields of ``Match``."""
    return json.dumps([asdict(one) for one in matches], indent=2)
