"""The site book as one HTML page: nothing fetched, no scripts, the same bytes for the same site."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rackwright import __version__, catalog
from rackwright.book import drawings
from rackwright.book.placement import budgets, placements
from rackwright.catalog import Catalogue
from rackwright.derive import documents
from rackwright.derive.documents import CableRow, PortMap, PortRow
from rackwright.derive.model import SiteModel
from rackwright.errors import Finding
from rackwright.report import looks, racks, topology

#: What every book begins with.
DOCTYPE = "<!doctype html>"
FOLDERS = (Path(__file__).parent, Path(racks.__file__).parent)
USES = {
    "management": "ssh, installation, Kubernetes between the nodes",
    "external": "users and served models",
    "storage": "external storage",
    "oob": "iDRACs, switches' management ports, PXE",
}


@dataclass(frozen=True)
class Book:
    """What a book is made from. ``date`` is any text for the cover; without one the book names no day."""

    model: SiteModel
    catalogue: Catalogue
    warnings: Sequence[Finding] = ()
    date: str = ""


def digest(model: SiteModel) -> str:
    """SHA-256 of all that is derived for the site, wherever its file lies."""
    data = {key: value for key, value in model.to_dict().items() if key != "path"}
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def page(book: Book) -> str:
    """The whole book as HTML text."""
    environment = Environment(
        loader=FileSystemLoader(FOLDERS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"short": looks.short, "gpus": looks.gpu_text, "anchor": anchor}
    return environment.get_template("book.html.j2").render(_content(book)) + "\n"


def anchor(kind: str, name: str) -> str:
    """The id of a part of the page; different for different names."""
    return f"{kind}-" + re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found.group()):x}_", name)


def _content(book: Book) -> dict[str, Any]:
    model, catalogue = book.model, book.catalogue
    elevations = documents.elevations(model, documents.power(model, catalogue))
    cables = documents.cable_list(model)
    ports = documents.port_maps(model)
    # The drawings are made of escaped parts (rackwright.report.svg); the template escapes everything else.
    return {
        "model": model,
        "date": book.date,
        "digest": digest(model),
        "version": __version__,
        "figures": _figures(model),
        "topology": Markup(topology.topology(model, {})),  # noqa: S704
        "networks": [
            (name, model.networks[name], _use(model, name), looks.network_text(model.networks[name]))
            for name in looks.buses(model)
        ],
        "racks": [(rack, Markup(racks.single(rack))) for rack in elevations],  # noqa: S704
        "addresses": documents.address_plan(model),
        "cables": _by_rack(cables),
        "cable_count": len(cables),
        "switches": [(one, Markup(drawings.panel(one)), free_ports(one)) for one in ports],  # noqa: S704
        "parts": documents.bill_of_materials(model, catalogue),
        "placements": [
            (row, Markup(drawings.bar(row.share)))  # noqa: S704
            for row in placements(model, catalogue)
        ],
        "budgets": budgets(model, catalogue),
        "warnings": book.warnings,
        "components": _components(model.release),
    }


def _use(model: SiteModel, network: str) -> str:
    store = model.storage
    if network != "storage" or store is None:
        return USES[network]
    return f"{store.product}: {store.protocol} {store.address}:{store.export}"


def _figures(model: SiteModel) -> list[tuple[int, str]]:
    counts = (
        (len({node.rack for node in model.nodes} | {switch.rack for switch in model.switches}), "rack"),
        (len(model.nodes), "server"),
        (sum(node.gpus.count for node in model.nodes if node.gpus), "GPU"),
        (len(model.switches), "switch"),
        (len(model.cables), "cable"),
        (len(model.serving), "served model"),
    )
    return [(count, word if count == 1 else _plural(word)) for count, word in counts]


def _plural(word: str) -> str:
    return f"{word}es" if word.endswith("ch") else f"{word}s"


def _by_rack(cables: Sequence[CableRow]) -> list[tuple[str, list[CableRow]]]:
    """The cables by the rack of their first end."""
    ordered = sorted(cables, key=lambda cable: cable.a.rack)
    return [(rack, list(rows)) for rack, rows in groupby(ordered, key=lambda cable: cable.a.rack)]


def free_ports(ports: PortMap) -> list[str]:
    """The ports without a cable as runs: ``25 Gbit/s: ethernet1/1/12 to 48 (37)``."""
    runs: list[list[PortRow]] = []
    last = -2
    for index, port in enumerate(ports.ports):
        if port.far is not None:
            continue
        stem = port.name.rpartition("/")[0]
        joined = index == last + 1 and runs[-1][0].speed_gbps == port.speed_gbps
        if joined and runs[-1][0].name.rpartition("/")[0] == stem:
            runs[-1].append(port)
        else:
            runs.append([port])
        last = index
    said = []
    for run in runs:
        end = f" to {run[-1].name.rpartition('/')[2]} ({len(run)})" if len(run) > 1 else ""
        said.append(f"{run[0].speed_gbps} Gbit/s: {run[0].name}{end}")
    return said


def _components(release: str) -> list[tuple[str, str, str]]:
    """Name, version and end of life of each part of the release."""
    facts: Mapping[str, Mapping[str, Any]] = catalog.releases()[release].components
    return [
        (name.replace("_", " "), str(one["version"]), str(one.get("end_of_life", "")))
        for name, one in sorted(facts.items())
    ]
