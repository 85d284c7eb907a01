"""Which line of a factory's list is which server of the site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rackwright.importing.factory import FactoryList, Row
from rackwright.importing.names import product_key
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


def unmade_names(document: Document) -> bool:
    """Whether the site has ranges of servers that stand for nothing yet: for want of lines in its hardware file."""
    ranges = document.data.get("server_ranges")
    made = {origin.path for origin in document.origins.values()}
    known = range(len(ranges) if isinstance(ranges, list) else 0)
    return isinstance(document.data.get("hardware"), str) and any(
        ("server_ranges", n) not in made for n in known
    )


def match(
    made: FactoryList,
    servers: Sequence[Stated],
    products: Mapping[str, str],
    in_order: bool,
    new_names: bool = False,
) -> list[tuple[Row, Stated]]:
    """Pairs; what can't be matched ends up in the list's findings.

    A row is found by its name, else by rack and unit, else by a service tag that the site knows already; with
    ``in_order`` the rows of each model are given to the servers of that profile in the order of the site.
    ``products`` is product by profile. With ``new_names`` rows of unknown names are of servers yet to be made:
    they are left to the caller.
    """
    pairs = _in_order(made, servers, products) if in_order else _by_keys(made, servers, new_names)
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


def _by_keys(made: FactoryList, servers: Sequence[Stated], new_names: bool) -> list[tuple[Row, Stated]]:
    names = {server.name: server for server in servers}
    places = {(server.text("rack").lower(), server.text("unit")): server for server in servers}
    tags = {server.text("service_tag").upper(): server for server in servers if server.text("service_tag")}
    pairs = []
    for row in made.rows:
        server = None
        if row.name is not None:
            server = names.get(row.name.lower()) or names.get(row.name.lower().partition(".")[0])
            if server is None:
                if not new_names:
                    made.fault(
                        row.line, f"the site has no server '{row.name}'", did_you_mean(row.name, names)
                    )
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
    waiting: dict[str, list[Stated]] = defaultdict(list)
    for server in servers:
        waiting[server.text("profile")].append(server)
    only = next(iter(waiting)) if len(waiting) == 1 else None
    pairs = []
    for row in made.rows:
        profile = product_key(row.model, products) if row.model else only
        if profile is None:
            message = (
                f"'{row.model}' is no profile of the catalogue" if row.model else "the line names no model"
            )
            made.fault(row.line, message, did_you_mean(row.model or "", list(waiting)))
        elif not waiting[profile]:
            message = f"the site has no further server of profile {profile} for this line"
            made.fault(row.line, message, "the list has more of them than the site file")
        else:
            pairs.append((row, waiting[profile].pop(0)))
    return pairs


def _right_model(made: FactoryList, row: Row, server: Stated, products: Mapping[str, str]) -> bool:
    key = product_key(row.model, products) if row.model else None
    if key is None or key == server.text("profile"):
        return True
    message = f"the list says {row.model}, the site says {server.text('profile')} ({server.name})"
    made.fault(row.line, message, "compare with the machine, then mend the one that is wrong")
    return False
