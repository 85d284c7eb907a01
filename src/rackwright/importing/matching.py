"""Which line of a factory's list is which server of the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rackwright.importing.factory import FactoryList, Row
from rackwright.importing.names import product_keys
from rackwright.intent.document import Document, Path_
from rackwright.intent.explain import did_you_mean


@dataclass(frozen=True)
class Stated:
    """A server as the site's files state it, sound or not."""

    path: Path_
    name: str
    data: Mapping[str, Any]

    def text(self, key: str) -> str:
        """A field that is one word; empty where it is missing."""
        value = self.data.get(key)
        return value if isinstance(value, str) else ""


def stated_servers(document: Document) -> list[Stated]:
    """The servers in the order of the files."""
    servers = document.data.get("servers")
    found = []
    for index, data in enumerate(servers if isinstance(servers, list) else []):
        if isinstance(data, dict) and isinstance(data.get("name"), str):
            found.append(Stated(("servers", index), data["name"], data))
    return found


def match(
    made: FactoryList, servers: Sequence[Stated], products: Mapping[str, str], in_order: bool
) -> list[tuple[Row, Stated]]:
    """Pairs; what can't be matched ends up in the list's findings.

    A row is found by its name, else by rack and unit, else by a service tag that the site knows already; with
    ``in_order`` the rows of each model are given to the servers of that product in the order of the site.
    ``products`` is product by profile.
    """
    pairs = _in_order(made, servers, products) if in_order else _by_keys(made, servers)
    taken: dict[str, int] = {}
    sound = []
    for row, server in pairs:
        first = taken.setdefault(server.name, row.line)
        if first != row.line:
            hint = "a server has one line: remove one of the two"
            made.fault(row.line, f"{server.name} is named in line {first} too", hint)
        elif _right_model(made, row, server, products):
            sound.append((row, server))
    return sound


def _by_keys(made: FactoryList, servers: Sequence[Stated]) -> list[tuple[Row, Stated]]:
    names = {server.name: server for server in servers}
    places = {(server.text("rack").lower(), server.text("unit")): server for server in servers}
    tags = {server.text("service_tag").upper(): server for server in servers if server.text("service_tag")}
    pairs = []
    for row in made.rows:
        server = None
        if row.name is not None:
            server = names.get(row.name.lower()) or names.get(row.name.lower().partition(".")[0])
            if server is None:
                message = f"the site has no server '{row.name}'"
                made.fault(row.line, message, did_you_mean(row.name, names))
                continue
        elif row.rack is not None and row.unit is not None:
            server = places.get((row.rack.lower(), str(row.unit)))
            if server is None:
                hint = "the unit is the lowest that the server takes, as in the site file"
                message = f"no server of the site stands in rack {row.rack} unit {row.unit}"
                made.fault(row.line, message, hint)
                continue
        elif row.service_tag is not None:
            server = tags.get(row.service_tag)
        if server is None:
            what = f"service tag {row.service_tag}" if row.service_tag else "the line"
            hint = "add a column Name, or Rack and Unit; or give --in-order to assign the lines one after the other"
            made.fault(row.line, f"{what} belongs to no server of the site", hint)
            continue
        pairs.append((row, server))
    return pairs


def _in_order(
    made: FactoryList, servers: Sequence[Stated], products: Mapping[str, str]
) -> list[tuple[Row, Stated]]:
    waiting: dict[str, Stated] = {server.name: server for server in servers}
    profiles = tuple(dict.fromkeys(server.text("profile") for server in servers))
    only = profiles if len({products.get(profile) for profile in profiles}) == 1 else ()
    pairs = []
    for row in made.rows:
        fitting = product_keys(row.model, products) if row.model else only
        server = next((one for one in waiting.values() if one.text("profile") in fitting), None)
        if not fitting:
            message = (
                f"'{row.model}' is no profile of the catalogue" if row.model else "the line names no model"
            )
            made.fault(row.line, message, did_you_mean(row.model or "", profiles))
        elif server is None:
            message = f"the site has no further server of profile {' or '.join(fitting)} for this line"
            made.fault(row.line, message, "the list has more of them than the site file")
        else:
            pairs.append((row, waiting.pop(server.name)))
    return pairs


def _right_model(made: FactoryList, row: Row, server: Stated, products: Mapping[str, str]) -> bool:
    fitting = product_keys(row.model, products) if row.model else ()
    if not fitting or server.text("profile") in fitting:
        return True
    message = f"the list says {row.model}, the site says {server.text('profile')} ({server.name})"
    made.fault(row.line, message, "compare with the machine, then mend the one that is wrong")
    return False
