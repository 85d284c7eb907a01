"""The report as one page: everything in it, nothing fetched from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rackwright import __version__
from rackwright.checks.base import LAYERS
from rackwright.derive.documents import elevations
from rackwright.report import gantt, looks, racks, topology
from rackwright.report.components import Fidelity
from rackwright.report.data import Report, scrub
from rackwright.rollout.history import clock

PAGE = Path(__file__).with_name("page.html.j2")
KINDS: tuple[tuple[str, Fidelity, str], ...] = (
    ("Real", "real", "The program itself, installed and run as it would be on site."),
    ("Emulated", "emulated", "Imitated: what it shows is right, what it can't show is said."),
    ("Not exercised", "not_exercised", "Part of the site, but this run says nothing about it."),
)


def page(report: Report) -> str:
    """The whole page as HTML text, scrubbed of anything that looks like a secret."""
    data = report.to_dict()
    environment = Environment(
        loader=FileSystemLoader(PAGE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = {node["name"]: node["result"] for node in data["nodes"]}
    # The drawings are made of escaped parts (rackwright.report.svg); the template escapes everything else.
    return scrub(
        environment.get_template(PAGE.name).render(
            data=data,
            rehearsal=report.rehearsal,
            passed=sum(check["result"] == "passed" for check in data["checks"]),
            changed=sum(phase["changed"] for phase in data["phases"]),
            topology=Markup(topology.topology(report.model, results)),  # noqa: S704
            racks=Markup(racks.side_by_side(elevations(report.model), report.model.name)),  # noqa: S704
            timeline=Markup(gantt.timeline(report)),  # noqa: S704
            nodes=_nodes(report),
            layers=_layers(report),
            fidelity=[
                (t, about, [c for c in report.components if c.fidelity == kind]) for t, kind, about in KINDS
            ],
            clock=clock,
            version=__version__,
        )
    )


def _nodes(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "name": node.name,
            "machine": looks.short(node.product),
            "gpus": looks.gpu_text(node),
            "roles": ", ".join(sorted(role.replace("_", " ") for role in node.roles)),
            "address": str(node.address),
            "bmc": str(node.bmc.address),
            "result": report.node_result(node.name),
        }
        for node in report.model.nodes
    ]


def _layers(report: Report) -> list[dict[str, Any]]:
    layers = []
    for layer in LAYERS:
        checks = [check for check in report.checks if check.layer == layer]
        if checks:
            passed = sum(check.result == "passed" for check in checks)
            kinds = ", ".join(dict.fromkeys(check.id.split(".", 1)[1].replace("-", " ") for check in checks))
            failed = passed < len(checks)
            layers.append(
                {"name": layer, "checks": checks, "passed": passed, "failed": failed, "kinds": kinds}
            )
    return layers
