"""Reading a site's files: all faults of grammar at once, and whatever parsed for the rules to look at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rackwright.errors import Finding
from rackwright.intent import schema
from rackwright.intent.document import Document, Path_, read_document
from rackwright.intent.explain import findings_of

M = TypeVar("M", bound=BaseModel)


@dataclass
class Intent:
    """What parsed of a site.

    Lists pair each item with its path; ``broken`` names the sections of which something didn't parse.
    """

    document: Document
    site: schema.Site | None = None
    networks: dict[str, schema.Network] = field(default_factory=dict)
    access: schema.Access = field(default_factory=schema.Access)
    dns: schema.Dns = field(default_factory=schema.Dns)
    ntp: schema.Ntp = field(default_factory=schema.Ntp)
    kubernetes: schema.Kubernetes | None = None
    switches: list[tuple[Path_, schema.Switch]] = field(default_factory=list)
    interconnects: list[tuple[Path_, schema.Interconnect]] = field(default_factory=list)
    servers: list[tuple[Path_, schema.Server]] = field(default_factory=list)
    serving: schema.Serving | None = None
    models: list[tuple[Path_, schema.ModelService]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


def load_intent(path: Path) -> tuple[Intent, list[Finding]]:
    """The intent of a site file and of ``racks/*.yml`` beside it, with every fault of syntax and grammar."""
    document = read_document(path, shown(path))
    if not document.data:
        return Intent(document, broken={"file"}), document.findings
    findings: list[Finding] = []
    for rack in rack_files(path):
        part = read_document(rack, shown(rack))
        sections = tuple(schema.RackFile.model_fields)
        # Its lists are looked at as parts of the whole site, below.
        rest = {
            key: value
            for key, value in part.data.items()
            if key not in sections or not isinstance(value, list)
        }
        findings += _faults(part, schema.RackFile, rest)
        document.absorb(part, sections)
    findings += _faults(document, schema.SiteFile, document.data)
    broken = {_section(finding) for finding in findings}
    broken |= {_section(finding) for finding in document.findings}
    if set(document.data) - set(schema.SiteFile.model_fields):
        # An unknown section may be a misspelt one: don't judge by its absence.
        broken |= set(schema.SiteFile.model_fields) - set(document.data)
    return _salvage(document, broken), document.findings + findings


def rack_files(path: Path) -> list[Path]:
    """The files of ``racks/`` beside a site file, in the order of their names."""
    return sorted((path.parent / "racks").glob("*.yml"))


def shown(path: Path) -> str:
    """A path as messages show it: relative to the working directory where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _section(finding: Finding) -> str:
    return finding.path.split(".")[0] if finding.path else "file"


def _faults(document: Document, grammar: type[BaseModel], data: Mapping[str, Any]) -> list[Finding]:
    try:
        grammar.model_validate(data)
    except ValidationError as error:
        return findings_of(document, error.errors(), grammar)
    return []


def _salvage(document: Document, broken: set[str]) -> Intent:
    data = document.data
    intent = Intent(document, broken=broken)
    intent.site = _part(schema.Site, data.get("site"))
    intent.kubernetes = _part(schema.Kubernetes, data.get("kubernetes"))
    intent.access = _part(schema.Access, data.get("access")) or intent.access
    intent.dns = _part(schema.Dns, data.get("dns")) or intent.dns
    intent.ntp = _part(schema.Ntp, data.get("ntp")) or intent.ntp
    for purpose in schema.PURPOSES:
        networks = data.get("networks")
        network = _part(schema.Network, networks.get(purpose) if isinstance(networks, dict) else None)
        if network is not None:
            intent.networks[purpose] = network
    intent.switches = _items(schema.Switch, data, ("switches",))
    intent.interconnects = _items(schema.Interconnect, data, ("interconnects",))
    intent.servers = _items(schema.Server, data, ("servers",))
    serving = data.get("serving")
    if isinstance(serving, dict):
        intent.models = _items(schema.ModelService, serving, ("serving", "models"))
        intent.serving = _part(
            schema.Serving, {key: value for key, value in serving.items() if key != "models"}
        )
    return intent


def _part(grammar: type[M], data: Any) -> M | None:
    try:
        return grammar.model_validate(data)
    except ValidationError:
        return None


def _items(grammar: type[M], data: Mapping[str, Any], path: Path_) -> list[tuple[Path_, M]]:
    items = data.get(str(path[-1]))
    if not isinstance(items, list):
        return []
    parsed = ((index, _part(grammar, item)) for index, item in enumerate(items))
    return [((*path, index), item) for index, item in parsed if item is not None]
