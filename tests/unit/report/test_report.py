"""The report: its published schema, its page, what it says of fidelity, and that no secret gets in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from sample import BEGAN, leave, timeline

from rackwright.derive.documents import elevations
from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.paths import checkout
from rackwright.report import gantt, racks, topology
from rackwright.report.components import components
from rackwright.report.data import Rehearsal, gather, read_rehearsal, scrub
from rackwright.report.write import write_report
from rackwright.rollout.timeline import PHASES
from rackwright.site import load_site

SCHEMA = json.loads((checkout() / "docs/reference/schemas/report.schema.json").read_text())
EVERYTHING = frozenset(PHASES)
SECRETS = (
    "abcdef.0123456789abcdef",
    "--password=correct-horse-battery",
    "https://admin:hunter22@registry.example/",
    "-----BEGIN EC PRIVATE KEY-----",
)


@pytest.fixture(params=["reference", "minimal"])
def model(request: pytest.FixtureRequest) -> SiteModel:
    return load_site(request.param)


def valid(data: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert list(Draft202012Validator(SCHEMA).iter_errors(data)) == []


def test_a_passed_rehearsal_is_reported_as_published(model: SiteModel, tmp_path: Path) -> None:
    leave(tmp_path, model)
    report = write_report(model, tmp_path, None)
    data = json.loads((tmp_path / "report.json").read_text())
    valid(data)
    assert list(data) == SCHEMA["required"]
    assert data["result"] == report.result == "passed"
    assert [phase["name"] for phase in data["phases"]] == list(PHASES)
    assert {node["result"] for node in data["nodes"]} == {"passed"}
    assert {endpoint["protocol"] for endpoint in data["endpoints"]} == {"http", "stream", "grpc"}
    assert {artefact["path"] for artefact in data["artefacts"]} >= {
        "checks.json",
        "timeline.json",
        "logs/rollout.log",
    }


def test_a_failed_check_fails_the_report_and_its_node(tmp_path: Path) -> None:
    model = load_site("minimal")
    leave(tmp_path, model, failing=("nodes.ready",))
    data = write_report(model, tmp_path, None).to_dict()
    valid(data)
    assert data["result"] == "failed"
    assert {node["result"] for node in data["nodes"]} == {"failed"}
    assert all(check["hint"] for check in data["checks"] if check["result"] == "failed")


def test_a_rollout_that_stopped_half_way_is_reported_too(tmp_path: Path) -> None:
    model = load_site("minimal")
    timeline(model, failing="kubernetes").write(tmp_path / "timeline.json")
    Rehearsal(BEGAN, 99.0, None, failure="failed: kubernetes: Have a cluster").write(
        tmp_path / "rehearsal.json"
    )
    data = write_report(model, tmp_path, None).to_dict()
    valid(data)
    assert data["result"] == "failed"
    assert data["checks"] == data["endpoints"] == []
    fidelity = {part["name"]: part["fidelity"] for part in data["components"]}
    assert fidelity["triton"] == fidelity["cilium"] == "not_exercised"
    assert fidelity["dnsmasq" if "dnsmasq" in fidelity else "debian"] == "real"
    page = (tmp_path / "report.html").read_text()
    assert "Have a cluster" in page


def test_a_failure_before_any_playbook_is_reported(tmp_path: Path) -> None:
    model = load_site("minimal")
    Rehearsal(BEGAN, 3.0, None, failure="no bundle").write(tmp_path / "rehearsal.json")
    valid(write_report(model, tmp_path, None).to_dict())


def test_a_part_of_the_phases_passes_when_no_more_was_wanted(tmp_path: Path) -> None:
    model = load_site("minimal")
    timeline(model, until="nodes").write(tmp_path / "timeline.json")
    Rehearsal(BEGAN, 50.0, until="nodes").write(tmp_path / "rehearsal.json")
    assert gather(model, tmp_path, None).result == "passed"
    Rehearsal(BEGAN, 50.0, until="gpu").write(tmp_path / "rehearsal.json")
    assert gather(model, tmp_path, None).result == "failed"


def test_nothing_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        gather(load_site("minimal"), tmp_path, None)


def test_no_secret_gets_into_a_report(tmp_path: Path) -> None:
    model = load_site("minimal")
    leave(tmp_path, model, failing=("os.hostname",), evidence=" ".join(SECRETS))
    Rehearsal(BEGAN, 9.0, failure=scrub(" ".join(SECRETS))).write(tmp_path / "rehearsal.json")
    write_report(model, tmp_path, None)
    for name in ("report.json", "report.html", "rehearsal.json"):
        text = (tmp_path / name).read_text()
        assert "[secret removed]" in text
        for secret in ("0123456789abcdef", "correct-horse", "hunter22", "PRIVATE KEY"):
            assert secret not in text


def test_the_page_needs_nothing_from_elsewhere(model: SiteModel, tmp_path: Path) -> None:
    leave(tmp_path, model, failing=("dns.names",))
    write_report(model, tmp_path, None)
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", page)
    for outside in re.findall(r"https?://[^\s\"'<)]+", page):
        assert outside.startswith("http://www.w3.org/") or model.domain in outside or "10.40." in outside


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    model = load_site("minimal")
    leave(tmp_path, model, failing=("os.hostname",), evidence="<script>alert(1)</script>")
    write_report(model, tmp_path, None)
    assert "<script>" not in (tmp_path / "report.html").read_text()


def test_the_drawings_are_well_formed_and_show_everything(model: SiteModel, tmp_path: Path) -> None:
    leave(tmp_path, model)
    report = gather(model, tmp_path, None)
    front = racks.side_by_side(elevations(model), model.name)
    whole = topology.topology(model, {}), front, gantt.timeline(report)
    for drawn in whole:
        ElementTree.fromstring(drawn)  # noqa: S314  # our own
    for name in [node.name for node in model.nodes] + [switch.name for switch in model.switches]:
        assert name in whole[0]
        assert name in whole[1]
    for phase in PHASES:
        assert phase in whole[2]


def test_accepted_warnings_are_shown_with_their_reasons(tmp_path: Path) -> None:
    model = load_site("l40")
    leave(tmp_path, model)
    write_report(model, tmp_path, None)
    data = json.loads((tmp_path / "report.json").read_text())
    valid(data)
    assert [(one["rule"], one["reason"]) for one in data["waived"]] == [
        ("model-not-shipped", "The site is planned for a model whose owner delivers the weights.")
    ]
    page = (tmp_path / "report.html").read_text()
    assert "Accepted warnings" in page
    assert data["waived"][0]["reason"] in page


def test_a_rehearsal_says_what_it_imitates(model: SiteModel) -> None:
    parts = {part.name: part for part in components(model, True, EVERYTHING, None)}
    assert parts["kubernetes"].fidelity == parts["cilium"].fidelity == parts["triton"].fidelity == "real"
    assert parts["gpu_operator"].fidelity == parts["gpu_driver"].fidelity == "emulated"
    hardware = {name: part.fidelity for name, part in parts.items() if not part.version}
    assert hardware["network ports, bonds and VLANs"] == "emulated"
    assert hardware["BMC (iDRAC), power and firmware"] == "not_exercised"
    assert any("switches" in name and fidelity == "not_exercised" for name, fidelity in hardware.items())
    assert ("NVSwitch fabric" in hardware) is any(node.gpus and node.gpus.fabric for node in model.nodes)


def test_a_rollout_on_machines_is_real() -> None:
    parts = {part.name: part for part in components(load_site("reference"), False, EVERYTHING, None)}
    assert parts["NVSwitch fabric"].fidelity == parts["network ports, bonds and VLANs"].fidelity == "real"


def test_what_a_rehearsal_notes_is_read_back(tmp_path: Path) -> None:
    noted = Rehearsal(BEGAN, 9.0, 123, failure="x", until="gpu")
    noted.write(tmp_path / "r.json")
    assert read_rehearsal(tmp_path / "r.json") == noted
    assert read_rehearsal(tmp_path / "none.json") is None
