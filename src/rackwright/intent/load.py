"""Reading a site's files: all faults of grammar at once, and whatever parsed for the rules to look at."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rackwright import catalog
from rackwright.errors import Finding
from rackwright.intent import schema
from rackwright.intent.document import Document, Path_, read_document
from rackwright.intent.explain import findings_of
from rackwright.intent.hardware_csv import Hardware
from rackwright.intent.own_catalogue import load_catalogue, yaml_files
from rackwright.intent.ranges import TARGETS, Expansion
from rackwright.intent.shipped import fill, hardware_of

M = TypeVar("M", bound=BaseModel)


@dataclass
class Intent:
    """What parsed of a site.

    Lists pair each item with its path; ``broken`` names the sections of which something didn't parse;
    ``file`` is the whole, where all of it parsed; ``hardware`` the hardware file, where there is one.
    """

    document: Document
    catalogue: catalog.Catalogue
    file: schema.SiteFile | None = None
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
    head: schema.Head | None = None
    racks: list[tuple[Path_, schema.Rack]] = field(default_factory=list)
    storage: schema.Storage | None = None
    waivers: list[tuple[Path_, schema.Waiver]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    hardware: Hardware | None = None


def load_intent(path: Path, undelivered: bool = False) -> tuple[Intent, list[Finding]]:
    """The intent of a site file and of ``racks/*.yml`` beside it, with every fault of syntax and grammar.

    Its ranges are written out: to whatever looks at the intent, each of their machines is stated by itself.
    """
    document = read_document(path, shown(path))
    catalogue, findings = load_catalogue(path, Path(shown(path)).parent)
    if not document.data:
        return Intent(document, catalogue, broken={"file"}), document.findings + findings
    # An entry of one's own with a fault is told there, not of each server that is of it.
    damaged = {f.path.split(".")[0] for f in findings if Path(f.file).name == "servers.yml" and f.path}
    context = {"profiles": catalogue.servers, "damaged": damaged - catalogue.servers.keys()}
    for rack in rack_files(path):
        part = read_document(rack, shown(rack))
        sections = tuple(schema.RackFile.model_fields)
        # Its lists are looked at as parts of the whole site, below.
        rest = {
            key: value
            for key, value in part.data.items()
            if key not in sections or not isinstance(value, list)
        }
        findings += _parse(part, schema.RackFile, rest, context)[1]
        document.absorb(part, sections)
    hardware, faults = hardware_of(document, path, shown(path))
    findings += faults
    if hardware is not None:
        fill(document, hardware)
    findings += _write_out(document, Expansion(document, hardware, undelivered), context)
    # The ranges have been looked at one by one.
    single = {k: v for k, v in document.data.items() if k not in TARGETS or not isinstance(v, list)}
    whole, faults = _parse(document, schema.SiteFile, single, context)
    findings += [*faults, *document.findings]
    errors = [finding for finding in findings if finding.severity == "error"]
    if whole is not None and not errors:
        return replace(_complete(document, catalogue, whole), hardware=hardware), findings
    broken = {section for finding in errors for section in _sections(finding)}
    if context["damaged"]:
        broken |= {"servers", "serving"}
    if set(document.data) - set(schema.SiteFile.model_fields):
        # An unknown section may be a misspelt one: don't judge by its absence.
        broken |= set(schema.SiteFile.model_fields) - set(document.data)
    return replace(_salvage(document, catalogue, broken, context), hardware=hardware), findings


def rack_files(path: Path) -> list[Path]:
    """The files of ``racks/`` beside a site file, in the order of their names."""
    return yaml_files(path.parent / "racks")


def shown(path: Path) -> str:
    """A path as messages show it: relative to the working directory where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def site_files(path: Path) -> list[Path]:
    """Every file that the site is stated in: the site file, ``racks/*.yml``, and tables beside it."""
    return [path, *rack_files(path), *sorted(path.parent.glob("*.csv"))]


def _sections(finding: Finding) -> tuple[str, ...]:
    """The sections that a finding leaves incomplete: a range's, those that it adds to."""
    section = finding.path.split(".")[0] if finding.path else "file"
    return (section, *TARGETS.get(section, ("servers",) if section == "hardware" else ()))


def _parse(
    document: Document, grammar: type[M], data: Any, context: Mapping[str, Any], at: Path_ = ()
) -> tuple[M | None, list[Finding]]:
    try:
        return grammar.model_validate(data, context=context), []
    except ValidationError as error:
        told = context.get("damaged", ())
        errors = [
            one for one in error.errors() if one["type"] != "unknown_choice" or one["input"] not in told
        ]
        return None, findings_of(document, errors, grammar, at)


def _write_out(document: Document, expansion: Expansion, context: Mapping[str, Any]) -> list[Finding]:
    """Add to the document's lists what its ranges stand for."""
    findings: list[Finding] = []
    ranges: tuple[tuple[str, type[BaseModel], Callable[[Path_, Any], None]], ...] = (
        ("rack_ranges", schema.RackRange, expansion.racks),
        ("switch_ranges", schema.SwitchRange, expansion.switches),
        ("server_ranges", schema.ServerRange, expansion.servers),
    )
    for section, grammar, write_out in ranges:
        entries = document.data.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            parsed, faults = _parse(document, grammar, entry, context, (section, index))
            findings += faults
            if parsed is not None:
                write_out((section, index), parsed)
    return findings + expansion.findings


def _complete(document: Document, catalogue: catalog.Catalogue, whole: schema.SiteFile) -> Intent:
    networks = {purpose: getattr(whole.networks, purpose) for purpose in schema.PURPOSES}
    return Intent(
        document,
        catalogue,
        whole,
        site=whole.site,
        networks={purpose: network for purpose, network in networks.items() if network is not None},
        access=whole.access,
        dns=whole.dns,
        ntp=whole.ntp,
        kubernetes=whole.kubernetes,
        switches=_paths(("switches",), whole.switches),
        interconnects=_paths(("interconnects",), whole.interconnects),
        servers=_paths(("servers",), whole.servers),
        serving=whole.serving,
        models=_paths(("serving", "models"), whole.serving.models if whole.serving else ()),
        head=whole.head,
        racks=_paths(("racks",), whole.racks),
        storage=whole.storage,
        waivers=_paths(("waive",), whole.waive),
    )


def _paths(path: Path_, items: Iterable[M]) -> list[tuple[Path_, M]]:
    return [((*path, index), item) for index, item in enumerate(items)]


def _salvage(
    document: Document, catalogue: catalog.Catalogue, broken: set[str], context: Mapping[str, Any]
) -> Intent:
    """Part by part what parses of a file with faults, so that the rules can look at the rest."""
    data = document.data
    intent = Intent(document, catalogue, broken=broken)
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
    intent.switches = _items(schema.Switch, data, ("switches",), context)
    intent.interconnects = _items(schema.Interconnect, data, ("interconnects",), context)
    intent.servers = _items(schema.Server, data, ("servers",), context)
    intent.head = _part(schema.Head, data.get("head"))
    intent.racks = _items(schema.Rack, data, ("racks",), context)
    intent.storage = _part(schema.Storage, data.get("storage"))
    intent.waivers = _items(schema.Waiver, data, ("waive",), context)
    serving = data.get("serving")
    if isinstance(serving, dict):
        intent.models = _items(schema.ModelService, serving, ("serving", "models"), context)
        intent.serving = _part(
            schema.Serving, {key: value for key, value in serving.items() if key != "models"}
        )
    return intent


def _part(grammar: type[M], data: Any, context: Mapping[str, Any] | None = None) -> M | None:
    try:
        return grammar.model_validate(data, context=context)
    except ValidationError as error:
        rest = _without_unknown(grammar, data, error)
    return None if rest is None else _part(grammar, rest, context)


def _without_unknown(grammar: type[BaseModel], data: Any, error: ValidationError) -> Any:
    """The data without its unknown fields; None where that isn't its only fault.

    None too where one may be meant to be a field that isn't stated: its absence would be judged.
    """
    faults = error.errors()
    if not isinstance(data, dict) or any(
        fault["type"] != "extra_forbidden" or len(fault["loc"]) != 1 for fault in faults
    ):
        return None
    unknown = {str(fault["loc"][0]) for fault in faults}
    left_out = [name for name in grammar.model_fields if name not in data]
    if any(difflib.get_close_matches(name, left_out, n=1, cutoff=0.5) for name in unknown):
        return None
    return {key: value for key, value in data.items() if key not in unknown}


def _items(
    grammar: type[M], data: Mapping[str, Any], path: Path_, context: Mapping[str, Any]
) -> list[tuple[Path_, M]]:
    items = data.get(str(path[-1]))
    if not isinstance(items, list):
        return []
    parsed = ((index, _part(grammar, item, context)) for index, item in enumerate(items))
    return [((*path, index), item) for index, item in parsed if item is not None]
