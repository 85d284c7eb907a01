"""What the hardware file brings to a site: the values that servers leave out, each with its cell's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rackwright.errors import Finding
from rackwright.intent.document import Document, Mark, Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.hardware_csv import BMC_MAC, SERVICE_TAG, Hardware, read_hardware

RULE = "range"


class Cells(Mapping[Path_, Mark]):
    """The places of a server's cells in the hardware file, looked up when somebody asks."""

    def __init__(self, hardware: Hardware | None, name: str, columns: Mapping[Path_, str]) -> None:
        self._hardware, self._name, self._columns = hardware, name, columns

    def __getitem__(self, path: Path_) -> Mark:
        if self._hardware is None:
            raise KeyError(path)
        return self._hardware.mark(self._name, self._columns[path])

    def __iter__(self) -> Iterator[Path_]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def hardware_of(document: Document, site_file: Path, shown: str) -> tuple[Hardware | None, list[Finding]]:
    """The hardware file that a site names; None, with a finding, where it isn't there."""
    name = document.data.get("hardware")
    if not isinstance(name, str):
        return None, []
    path = site_file.parent / name
    if not path.is_file():
        there = sorted(file.name for file in site_file.parent.glob("*.csv"))
        message = f"there is no file '{name}' beside the site file"
        like = did_you_mean(name, there).partition("known here")[0]
        hint = like or "make it from the factory's list: rackwright import csv LIST SITE --write"
        return None, [document.finding(RULE, ("hardware",), message, hint)]
    hardware = read_hardware(path, str(Path(shown).parent / name))
    return hardware, list(hardware.findings)


def fill(document: Document, hardware: Hardware) -> None:
    """Give servers that are written out singly what they leave empty and their lines have.

    ``document.filled`` gets the cells' places. What a server states by itself stays.
    """
    servers = document.data.get("servers")
    for index, server in enumerate(servers if isinstance(servers, list) else ()):
        name = server.get("name") if isinstance(server, dict) else None
        if not isinstance(name, str) or name not in hardware.rows:
            continue
        for path, column in _shipped(server):
            holder: Any = server
            for step in path[:-1]:
                holder = holder.get(step) if isinstance(holder, dict) else None
            value = hardware.cell(name, column)
            if value is not None and isinstance(holder, dict) and holder.get(path[-1]) is None:
                holder[path[-1]] = value
                document.filled["servers", index, *path] = hardware.mark(name, column)


def _shipped(server: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path and column of whatever the factory knows of a server."""
    yield ("service_tag",), SERVICE_TAG
    yield ("bmc", "mac"), BMC_MAC
    ports = server.get("ports")
    for port in ports if isinstance(ports, dict) else ():
        yield ("ports", port, "mac"), port
