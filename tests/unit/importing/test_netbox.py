"""NetBox: what the API gives of a site becomes that site again; what it doesn't know is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netbox_shape
import pytest
import yaml

from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.site import load_site


@pytest.fixture
def lists() -> netbox_shape.Lists:
    return netbox_shape.export(load_site("reference"))


def save(folder: Path, lists: netbox_shape.Lists) -> list[str]:
    files = []
    for kind, items in lists.items():
        path = folder / f"{kind}.json"
        path.write_text(json.dumps(netbox_shape.results(items)))
        files.append(str(path))
    return files


def taken(folder: Path, files: list[str]) -> dict[str, Any]:
    main(["import", "netbox", *files, "--output", str(folder / "new")])
    data: dict[str, Any] = yaml.safe_load((folder / "new/site.yml").read_text())
    return data


@pytest.mark.parametrize("merged", [False, True])
def test_a_site_comes_back_as_it_was(lists: netbox_shape.Lists, tmp_path: Path, merged: bool) -> None:
    if merged:
        path = tmp_path / "all.json"
        path.write_text(json.dumps({kind: netbox_shape.results(items) for kind, items in lists.items()}))
        files = [str(path)]
    else:
        files = save(tmp_path, lists)
    made = taken(tmp_path, files)
    stated = yaml.safe_load((checkout() / "inventories/reference/site.yml").read_text())
    assert made["servers"] == stated["servers"]
    assert made["switches"] == stated["switches"]
    assert made["interconnects"] == stated["interconnects"]
    assert made["racks"] == [{"name": "a", "units": 42}, {"name": "b", "units": 42}]
    for purpose, network in stated["networks"].items():
        assert made["networks"][purpose]["cidr"] == network["cidr"]
        assert made["networks"][purpose].get("vlan") == network.get("vlan")


def test_filled_in_it_is_valid(lists: netbox_shape.Lists, tmp_path: Path) -> None:
    made = taken(tmp_path, save(tmp_path, lists))
    made["site"]["domain"] = "reference.example"
    made["networks"]["external"]["gateway"] = "10.40.1.1"
    made["kubernetes"] = {
        "api_vip": "10.40.0.10",
        "pod_cidr": "10.244.0.0/16",
        "service_cidr": "10.96.0.0/16",
    }
    path = tmp_path / "new/site.yml"
    path.write_text(yaml.safe_dump(made, sort_keys=False))
    model = load_site(path)
    assert model.nodes == load_site("reference").nodes
    assert model.cables == load_site("reference").cables


def test_what_is_missing_is_named_at_its_place(
    lists: netbox_shape.Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = lists["devices"][2]
    first["serial"] = ""
    files = save(tmp_path, lists)
    assert main(["import", "netbox", *files, "--output", str(tmp_path / "new")]) == 1
    said = capsys.readouterr().err
    lines = (tmp_path / "new/site.yml").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text == f"  - name: {first['name']}")
    assert f"site.yml:{line}:" in said
    assert f"servers.{first['name']} has no 'service_tag'" in said
    assert "has no 'kubernetes'" in said
    assert "kubernetes (api_vip" in lines[3]


def test_a_second_time_changes_nothing_and_nothing_is_written_over(
    lists: netbox_shape.Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = save(tmp_path, lists)
    taken(tmp_path, files)
    path = tmp_path / "new/site.yml"
    before = path.read_bytes()
    taken(tmp_path, files)
    assert path.read_bytes() == before
    path.write_text("---\nplugin: rackwright_site\n")
    assert main(["import", "netbox", *files, "--output", str(tmp_path / "new")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == "---\nplugin: rackwright_site\n"


def _older(lists: netbox_shape.Lists) -> None:
    """NetBox before 3.3: device_role, one termination a side, connected_endpoint."""
    for device in lists["devices"]:
        device["device_role"] = device.pop("role")
    for cable in lists["cables"]:
        for side in "ab":
            cable[f"termination_{side}"] = cable.pop(f"{side}_terminations")[0]["object"]


def _without_cables(lists: netbox_shape.Lists) -> None:
    """Only what the interfaces say of their other ends."""
    by_id = {item["id"]: item for item in lists["interfaces"]}
    for cable in lists.pop("cables"):
        one, other = (by_id[cable[f"{side}_terminations"][0]["object_id"]] for side in "ab")
        one["connected_endpoints"] = [{key: other[key] for key in ("id", "device", "name")}]


def _newest(lists: netbox_shape.Lists) -> None:
    """NetBox 4.2 and later: MAC addresses are objects."""
    for item in lists["interfaces"]:
        address = item.pop("mac_address")
        item["primary_mac_address"] = {"id": 1, "mac_address": address} if address else None


def _idrac_names(lists: netbox_shape.Lists) -> None:
    """Interfaces called as iDRAC calls them, ports as other switches do."""
    new = {"ocp1": "NIC.Integrated.1-1-1", "ocp2": "NIC.Integrated.1-2-1", "eno1": "NIC.Embedded.1-1-1"}
    for item in lists["interfaces"]:
        item["name"] = new.get(item["name"], item["name"].replace("ethernet", "Eth "))
    for cable in lists["cables"]:
        for side in "ab":
            there = cable[f"{side}_terminations"][0]["object"]
            there["name"] = new.get(there["name"], there["name"].replace("ethernet", "Eth "))


def _without_urls(lists: netbox_shape.Lists) -> None:
    for items in lists.values():
        for item in items:
            item.pop("url", None)


@pytest.mark.parametrize("change", [_older, _without_cables, _newest, _idrac_names, _without_urls])
def test_other_versions_and_ways(
    lists: netbox_shape.Lists, tmp_path: Path, change: Callable[[netbox_shape.Lists], None]
) -> None:
    change(lists)
    made = taken(tmp_path, save(tmp_path, lists))
    stated = yaml.safe_load((checkout() / "inventories/reference/site.yml").read_text())
    assert made["servers"] == stated["servers"]
    assert made["interconnects"] == stated["interconnects"]


def _pdu(lists: netbox_shape.Lists) -> None:
    lists["devices"].append({**lists["devices"][0], "name": "pdu-a", "device_type": {"model": "AP8959"}})


def _half(lists: netbox_shape.Lists) -> None:
    lists["devices"][2]["position"] = 12.5


def _role(lists: netbox_shape.Lists) -> None:
    lists["devices"][2].update(role={"slug": "server"}, tags=[])


def _gone(lists: netbox_shape.Lists) -> None:
    lists["devices"][-1]["status"] = {"value": "decommissioning"}


def _crossed(lists: netbox_shape.Lists) -> None:
    both = [
        c
        for c in lists["cables"]
        if "leaf" in str(c["a_terminations"]) and "leaf" in str(c["b_terminations"])
    ]
    both[-1]["b_terminations"][0]["object"]["name"] = "ethernet1/1/56"


def _no_port(lists: netbox_shape.Lists) -> None:
    cable = next(c for c in lists["cables"] if "r660-1" in str(c))
    for side in "ab":
        there = cable[f"{side}_terminations"][0]["object"]
        if there["device"]["name"].startswith("leaf"):
            there["name"] = "ethernet1/1/77"


FAULTS: dict[str, tuple[Callable[[netbox_shape.Lists], None], str]] = {
    "a device of no known product": (_pdu, "pdu-a: AP8959 is no product of the catalogue"),
    "half a unit": (_half, "stands at 12.5: half a unit"),
    "a role that says nothing": (_role, "role 'server' says none of"),
    "a machine that is gone": (_gone, "is decommissioning"),
    "a port that the switch lacks": (_no_port, "has no port 'ethernet1/1/77'"),
}


def test_other_ports_at_the_two_ends_are_taken_over(lists: netbox_shape.Lists, tmp_path: Path) -> None:
    _crossed(lists)
    (link,) = taken(tmp_path, save(tmp_path, lists))["interconnects"]
    assert link["ports"] == ["ethernet1/1/53", "ethernet1/1/54"]
    assert link["far_ports"] == ["ethernet1/1/53", "ethernet1/1/56"]


@pytest.mark.parametrize("case", FAULTS)
def test_what_cant_be_taken_over_is_said(
    lists: netbox_shape.Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    change, words = FAULTS[case]
    change(lists)
    taken(tmp_path, save(tmp_path, lists))
    said = capsys.readouterr().err
    assert words in said
    assert "[import-netbox]" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"results": [', "all.json:1:14: error: this is not JSON"),
        ("[]", "the files hold no devices"),
        (
            '{"devices": {"next": "x", "count": 9, "results": [{"device_type": {}}]}}',
            "1 of 9 devices: one page",
        ),
    ],
)
def test_a_useless_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    path = tmp_path / "all.json"
    path.write_text(content)
    assert main(["import", "netbox", str(path), "--output", str(tmp_path / "new")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_devices_of_two_sites_are_refused(
    lists: netbox_shape.Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists["devices"][0]["site"] = {"slug": "elsewhere"}
    assert main(["import", "netbox", *save(tmp_path, lists), "--output", str(tmp_path / "new")]) == 2
    assert "devices of several sites: elsewhere, reference" in capsys.readouterr().err


ODD: tuple[object, ...] = (
    None,
    "",
    0,
    -1,
    1.5,
    "abc",
    [],
    {},
    [None],
    {"name": None},
    {"name": {}},
    True,
    "x: y #",
)


def test_odd_values_never_end_in_a_traceback(
    lists: netbox_shape.Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every field of a device, an interface, a cable, a rack, an address and a prefix, with every odd value."""
    small = {kind: items[:3] for kind, items in json.loads(json.dumps(lists)).items()}
    path, new = tmp_path / "all.json", tmp_path / "new"
    for items in small.values():
        for field, value in list(items[-1].items()):
            for odd in ODD:
                items[-1][field] = odd
                path.write_text(json.dumps(small))
                (new / "site.yml").unlink(missing_ok=True)
                assert main(["import", "netbox", str(path), "--output", str(new)]) in (1, 2), (field, odd)
            items[-1][field] = value
    assert "Traceback" not in capsys.readouterr().err
