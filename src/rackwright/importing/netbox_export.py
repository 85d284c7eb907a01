"""Reading what NetBox's REST API gives: lists saved to files as they are, or several of them in one file.

Field names are those of NetBox's serializers (dcim: devices, interfaces, cables, racks; ipam: ip-addresses,
prefixes) from version 2.11 to 4.x.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rackwright.errors import Finding, UsageError
from rackwright.intent.load import shown

RULE = "import-netbox"
Item = dict[str, Any]
#: The lists that are of use, and the fields by which their items are told where they have no ``url``.
KINDS = {
    "devices": {"device_type"},
    "interfaces": {"device", "mac_address"},
    "cables": {"a_terminations"},
    "racks": {"u_height", "site"},
    "ip_addresses": {"address", "assigned_object"},
    "prefixes": {"prefix"},
}
_URL = re.compile(r"/api/(?:dcim|ipam)/([a-z-]+)/")


@dataclass
class Export:
    """The items of all files by kind, and what is wrong with the files."""

    items: dict[str, list[Item]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    files: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def fault(self, kind: str, path: str, message: str, hint: str, severity: str = "warning") -> None:
        """Note what is wrong with an item, in the file that its kind came from."""
        where = f"{kind}.{path}" if path else kind
        self.findings.append(Finding(RULE, severity, self.files.get(kind, ""), 1, 1, where, message, hint))


def read_export(paths: Sequence[Path]) -> Export:
    """Everything in the files; faults of JSON are errors. UsageError where a file isn't there."""
    made = Export()
    for path in paths:
        if not path.is_file():
            raise UsageError(
                f"no file '{path}'", "save what /api/dcim/devices/?limit=0 gives, and name that file"
            )
        try:
            data = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number or a nesting without end
            line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            message = f"this is not JSON: {getattr(error, 'msg', error)}"
            hint = "save the API's answer as it is, with ?format=json"
            made.findings.append(Finding(RULE, "error", shown(path), line, column, "", message, hint))
            continue
        _take(made, data, shown(path))
    if not made.items["devices"] and not made.findings:
        made.fault("devices", "", "the files hold no devices", "save /api/dcim/devices/?limit=0 too", "error")
    return made


def _take(made: Export, data: object, file: str) -> None:
    if isinstance(data, dict) and not isinstance(data.get("results"), list):
        # Several lists in one file, by name.
        for name, part in data.items():
            if name.replace("-", "_") in KINDS:
                _take(made, part, file)
        return
    items = data.get("results") if isinstance(data, dict) else data
    if not isinstance(items, list):
        return
    for item in items:
        if isinstance(item, dict) and (kind := _kind(item)) is not None:
            made.items[kind].append(item)
            made.files.setdefault(kind, file)
    if isinstance(data, dict) and data.get("next"):
        kind = next((_kind(item) for item in items if isinstance(item, dict)), None) or "devices"
        message = f"the file holds {len(items)} of {data.get('count', 'more')} {kind}: one page of several"
        made.fault(
            kind, "", message, "ask for all of them with ?limit=0, or name the other pages too", "error"
        )


def _kind(item: Item) -> str | None:
    url = _URL.search(str(item.get("url", "")))
    if url:
        kind = url.group(1).replace("-", "_")
        return kind if kind in KINDS else None
    return next((kind for kind, fields in KINDS.items() if fields <= set(item)), None)


def name_of(value: object) -> str:
    """The name of a nested object, or the value itself where it is text; empty where there is none."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("display") or ""
    return str(value) if value is not None else ""


def number_of(value: object) -> float | None:
    """A number, or text that is one; None where it is neither."""
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None


def items_of(value: object) -> list[Any]:
    """The items of a list; none of anything else."""
    return value if isinstance(value, list) else []


def words_of(value: object, keys: Iterable[str]) -> list[str]:
    """The texts of a nested object's fields, as far as it has them."""
    if isinstance(value, dict):
        return [str(value[key]) for key in keys if value.get(key)]
    return [str(value)] if value else []


def pairs(export: Export) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Each connection once, as two (device, interface), by name: from cables and from what interfaces say."""
    by_id = {str(item.get("id")): item for item in export.items["interfaces"]}
    found: set[tuple[tuple[str, str], tuple[str, str]]] = set()

    def end(item: object) -> tuple[str, str] | None:
        if isinstance(item, dict) and "device" in item:
            return name_of(item["device"]), name_of(item.get("name"))
        return None

    def note(one: tuple[str, str] | None, other: tuple[str, str] | None) -> None:
        if one is not None and other is not None and one != other:
            found.add((min(one, other), max(one, other)))

    def terminations(cable: Item, side: str) -> list[tuple[str, str]]:
        listed = cable.get(f"{side}_terminations")
        if not isinstance(listed, list):
            return [e for e in [end(cable.get(f"termination_{side}"))] if e]
        ends = []
        for one in listed:
            if isinstance(one, dict) and one.get("object_type", "dcim.interface") == "dcim.interface":
                ends.append(end(one.get("object")) or end(by_id.get(str(one.get("object_id")))))
        return [e for e in ends if e]

    for cable in export.items["cables"]:
        for one in terminations(cable, "a"):
            for other in terminations(cable, "b"):
                note(one, other)
    for item in export.items["interfaces"]:
        far = (
            item.get("connected_endpoints") or item.get("connected_endpoint") or item.get("link_peers") or []
        )
        for peer in far if isinstance(far, list) else [far]:
            note(end(item), end(peer))
    return sorted(found)
