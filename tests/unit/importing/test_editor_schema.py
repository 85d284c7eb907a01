"""The JSON Schema for editors: it is current, takes every example site, and refuses what the grammar refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rackwright.intent.json_schema import FOLDER, schemas
from rackwright.paths import checkout

SITES = sorted((checkout() / "inventories").glob("*/site.yml"))
RACKS = sorted((checkout() / "inventories").glob("*/racks/*.yml"))


def validator(name: str) -> Draft202012Validator:
    made = json.loads(schemas()[name])
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("name", schemas())
def test_the_committed_schema_is_current(name: str) -> None:
    hint = "run: python -m rackwright.intent.json_schema"
    assert (checkout() / FOLDER / name).read_text(encoding="utf-8") == schemas()[name], hint


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.parent.name)
def test_every_example_site_is_accepted(path: Path) -> None:
    assert [
        error.message for error in validator("site.schema.json").iter_errors(yaml.safe_load(path.read_text()))
    ] == []


def test_files_of_racks_are_accepted() -> None:
    minimal = yaml.safe_load((checkout() / "inventories/minimal/site.yml").read_text())
    part = {"servers": minimal["servers"], "switches": minimal["switches"]}
    parts = [part, *(yaml.safe_load(path.read_text()) for path in RACKS)]
    for one in parts:
        assert list(validator("rack.schema.json").iter_errors(one)) == []
    assert list(validator("rack.schema.json").iter_errors({"serving": {}}))


def _set(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


def _drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return change


BROKEN = {
    "unknown section": (_set("serverz", value=[]), ""),
    "unknown field": (_set("servers", 0, "colour", value="blue"), "servers/0"),
    "no service tag": (_drop("servers", 1, "service_tag"), "servers/1"),
    "short service tag": (_set("servers", 0, "service_tag", value="ABC"), "servers/0/service_tag"),
    "MAC of five pairs": (_set("servers", 0, "bmc", "mac", value="b0:7b:25:40:0b"), "servers/0/bmc/mac"),
    "address of three numbers": (_set("kubernetes", "api_vip", value="10.40.0"), "kubernetes/api_vip"),
    "network without length": (_set("networks", "oob", "cidr", value="10.40.3.0"), "networks/oob/cidr"),
    "range of one address": (_set("serving", "vip_range", value="10.40.1.200"), "serving/vip_range"),
    "unknown role": (_set("servers", 0, "roles", value=["boss"]), "servers/0/roles/0"),
    "no role": (_set("servers", 0, "roles", value=[]), "servers/0/roles"),
    "unit 0": (_set("servers", 0, "unit", value=0), "servers/0/unit"),
    "unit as text": (_set("servers", 0, "unit", value="top"), "servers/0/unit"),
    "unknown release": (_set("site", "release", value="1999.01"), "site/release"),
    "capital letters in a name": (_set("servers", 0, "name", value="R660_1"), "servers/0/name"),
    "three switches of one cable": (
        _set("interconnects", 0, "switches", value=["leaf-a", "leaf-b", "leaf-c"]),
        "interconnects/0/switches",
    ),
    "another plugin": (_set("plugin", value="ini"), "plugin"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_the_grammar_refuses_is_refused_at_its_place(case: str) -> None:
    change, place = BROKEN[case]
    data = yaml.safe_load((checkout() / "inventories/minimal/site.yml").read_text())
    change(data)
    errors = list(validator("site.schema.json").iter_errors(data))
    assert ["/".join(map(str, error.absolute_path)) for error in errors] == [place]


def test_a_site_with_its_own_products_is_accepted() -> None:
    data = yaml.safe_load((checkout() / "inventories/minimal/site.yml").read_text())
    data["servers"][3]["profile"] = "r7625"
    # YAML takes these for numbers where they have no quotes; Rackwright takes them for text.
    data["servers"][3]["service_tag"], data["servers"][3]["rack"], data["site"]["release"] = (
        1234567,
        12,
        2026.11,
    )
    assert list(validator("site.schema.json").iter_errors(data)) == []


def test_editors_can_say_what_a_field_means() -> None:
    made = json.loads(schemas()["site.schema.json"])
    blocks = [made, *made["$defs"].values()]
    for block in blocks:
        for name, field in block.get("properties", {}).items():
            meant = made["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            assert field.get("description") or meant.get("description"), name
