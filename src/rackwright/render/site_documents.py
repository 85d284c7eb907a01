"""Documents of the whole site, as text: what people plug, order and mount by, and what later phases read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rackwright.catalog import Catalogue
from rackwright.derive import documents
from rackwright.derive.documents import Elevation, PortRow
from rackwright.derive.model import SiteModel
from rackwright.render.artefacts.head import leases, records
from rackwright.render.engine import render_text
from rackwright.render.monitoring import prometheus_names, targets
from rackwright.render.options import role_defaults
from rackwright.serving.plan import candidates, services

WIDTH = 46


def site_documents(
    model: SiteModel, catalogue: Catalogue, options: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Relative path → text; the same text for the same site. ``options`` are role triton's, else its defaults."""
    texts = {
        "cabling.csv": _table(
            ("from", "label at from", "to", "label at to", "Gbit/s", "within a rack"),
            (
                (
                    f"{row.a.device} {row.a.port}",
                    row.label_a,
                    f"{row.b.device} {row.b.port}",
                    row.label_b,
                    row.speed_gbps,
                    "yes" if row.within_rack else "no",
                )
                for row in documents.cable_list(model)
            ),
        ),
        "ports.csv": _table(
            ("switch", "port", "Gbit/s", "connected to", "rack", "unit"),
            (
                (ports.switch.name, port.name, port.speed_gbps, *_far(port))
                for ports in documents.port_maps(model)
                for port in ports.ports
            ),
        ),
        "racks.txt": _racks(documents.elevations(model, documents.power(model, catalogue))),
        "parts.csv": _table(
            ("kind", "item", "description", "quantity"),
            (
                (row.kind, row.item, row.description, row.quantity)
                for row in documents.bill_of_materials(model, catalogue)
            ),
        ),
        "addresses.csv": _table(
            ("network", "address", "owner", "use", "MAC address"),
            (
                (purpose, row.address, row.owner, row.use, row.mac or "")
                for purpose, rows in documents.address_plan(model).items()
                for row in rows
            ),
        ),
        "dns.csv": _table(
            ("address", "name", "further names"),
            [
                *((record.address, record.names[0], " ".join(record.names[1:])) for record in records(model)),
                (model.head_address, model.mirror_fqdn, model.registry.rpartition(":")[0]),
            ],
        ),
        "dhcp.csv": _table(
            ("MAC address", "address", "name"), ((one.mac, one.address, one.name) for one in leases(model))
        ),
        "prometheus/prometheus.yml": render_text("prometheus/prometheus.yml.j2", prometheus_names(model)),
    }
    for job, groups in targets(model).items():
        texts[f"prometheus/targets/{job}.json"] = _json(groups)
    return texts | dict(_triton(model, {**role_defaults("triton"), **(options or {})}))


def _far(port: PortRow) -> tuple[object, ...]:
    if port.far is None:
        return "", "", ""
    return f"{port.far.device} {port.far.port}", port.far.rack, port.far.unit


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _racks(elevations: Iterable[Elevation]) -> str:
    return "\n".join("".join(f"{line}\n" for line in _rack(elevation)) for elevation in elevations)


def _rack(elevation: Elevation) -> Iterator[str]:
    """One line a unit, from the top; a device's name at its top unit."""
    budget = f" of {elevation.budget_w} W" if elevation.budget_w is not None else ""
    yield f"rack {elevation.rack}: {elevation.units} units, {elevation.power_w} W{budget} at full load"
    tops = {slot.top: slot for slot in elevation.slots}
    bottoms = {slot.unit for slot in elevation.slots}
    taken = {unit for slot in elevation.slots for unit in range(slot.unit, slot.top + 1)}
    edge = "     +" + "-" * WIDTH + "+"
    yield edge
    for unit in range(elevation.units, 0, -1):
        slot = tops.get(unit)
        tag = f" {slot.service_tag}" if slot is not None and slot.service_tag else ""
        text = f" {slot.name}: {slot.product}{tag}" if slot is not None else ""
        yield f" {unit:3} |{text[:WIDTH]:{WIDTH}}|"
        # A line where a device ends or begins.
        if unit in bottoms or (unit - 1 in tops and unit not in taken) or unit == 1:
            yield edge


def _triton(model: SiteModel, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where each served model runs, and its configuration for Triton."""
    placement: list[Mapping[str, Any]] = []
    for service in services(model):
        served = service.served
        placement.append(
            {
                "name": served.name,
                "model": served.model,
                "product": served.facts.product,
                "replicas": served.replicas,
                "gpus": served.gpus,
                "instances": service.spread.instances,
                "tensor_parallel": service.spread.tensor_parallel,
                "max_batch": service.spread.max_batch,
                "memory_gb": served.facts.memory_gb,
                "replicas_on_different_nodes": service.required,
                "nodes": [node.name for node in candidates(model, served)],
                "address": str(served.vip),
                "in_the_bundle": served.facts.shipped,
            }
        )
        for triton in service.models:
            names = {**options, "service": service, "triton": triton, "model": model}
            yield f"triton/{triton.name}/config.pbtxt", render_text("triton/config.pbtxt.j2", names)
    if placement:
        yield "triton/placement.json", _json(placement)
