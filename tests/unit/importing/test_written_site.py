"""What docs/how-to/write-a-site.md says, done: the site of the page becomes valid by the page's own steps."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from rackwright.catalog.reference import PAGE, catalogue_reference
from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.site import load_site

HOW_TO = checkout() / "docs/how-to/write-a-site.md"
NAMES = (
    *("ctl-1", "ctl-2", "ctl-3", "h100-1", "h100-2", "l40-1", "l40-2"),
    *("xe8640-1", "xe8640-2", "xe9680-1", "xe9680-2", "xe9680-3"),
)


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found.group(1)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "dc9/site.yml"
    path.parent.mkdir()
    path.write_text(block("yaml"))
    return path


def delivery(site: Path) -> str:
    heads, first = block("csv").splitlines()
    lines = [heads]
    for number, name in enumerate(NAMES, start=1):
        line = first.replace("ctl-1", name).replace("7ABCD01", f"7ABCD{number:02}")
        lines.append(line.replace(":90:01:", f":90:{number:02x}:"))
    path = site.with_name("delivery.csv")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_the_pages_site_is_valid_after_its_steps(site: Path) -> None:
    assert main(["validate", str(site)]) == 2
    before = site.read_text()
    assert main(["import", "csv", delivery(site), str(site), "--write"]) == 0
    assert main(["validate", str(site)]) == 0
    model = load_site(site)
    assert sorted(NAMES) == [node.name for node in model.nodes]
    assert Counter(node.profile for node in model.nodes) == {"r660": 3, "r760xa": 4, "xe8640": 2, "xe9680": 3}
    assert {node.gpus.key for node in model.nodes if node.gpus} == {"h100-pcie", "h100-sxm", "l40"}
    kept = [line.split("#")[1] for line in before.splitlines() if "#" in line]
    assert kept == [line.split("#")[1] for line in site.read_text().splitlines() if "#" in line]


def test_the_hardware_file_alone_is_enough(site: Path) -> None:
    """Also for the server that stands by itself; an import then goes where the values stand."""
    heads = "name,service_tag,bmc_mac,lom1,ocp1,ocp2"
    before, table = site.read_text(), site.with_name("hardware.csv")
    lines = Path(delivery(site)).read_text().splitlines()[1:]
    table.write_text("\n".join([heads, *lines]) + "\n")
    first = load_site(site)
    assert first.node("ctl-1").service_tag == "7ABCD01"
    later = site.with_name("later.csv")
    later.write_text(block("csv").splitlines()[0] + "\n" + lines[0].replace("7ABCD01", "7ABCD99") + "\n")
    assert main(["import", "csv", str(later), str(site), "--write"]) == 0
    assert site.read_text() == before
    assert load_site(site).node("ctl-1").service_tag == "7ABCD99"


def test_without_the_delivery_only_what_it_brings_is_missing(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["validate", str(site)])
    said = capsys.readouterr().err
    assert len(re.findall("hardware.csv", said)) == 1
    assert "rackwright import csv" in said
    # The tag and the four MAC addresses of the one server that stands by itself, and the file.
    assert said.count(": error: ") == 6


def test_the_catalogues_page_is_current() -> None:
    hint = "run: python -m rackwright.catalog.reference"
    assert (checkout() / PAGE).read_text(encoding="utf-8") == catalogue_reference(), hint


def test_a_schema_takes_the_imported_site(site: Path) -> None:
    assert main(["import", "csv", delivery(site), str(site), "--write"]) == 0
    made = json.loads((checkout() / "docs/reference/schemas/site.schema.json").read_text())
    assert list(Draft202012Validator(made).iter_errors(yaml.safe_load(site.read_text()))) == []
