"""The documents of a whole site, and what two heads, a second adapter and broken-out ports make of them."""

from __future__ import annotations

import csv
import io
import json
from ipaddress import IPv4Address

import pytest

from rackwright import catalog
from rackwright.derive.documents import bill_of_materials
from rackwright.derive.model import SiteModel
from rackwright.render import render
from rackwright.render.artefacts.head import own_part
from rackwright.render.site_documents import site_documents
from rackwright.site import load_site


def rows(model: SiteModel, name: str) -> list[dict[str, str]]:
    text = site_documents(model, catalog.builtin())[name]
    return list(csv.DictReader(io.StringIO(text)))


def parts(site: str) -> dict[tuple[str, str], int]:
    found = bill_of_materials(load_site(site), catalog.builtin())
    return {(row.kind, row.item): row.quantity for row in found}


def test_the_same_site_gives_the_same_documents(site: SiteModel) -> None:
    first = site_documents(site, catalog.builtin())
    assert first == site_documents(site, catalog.builtin())
    assert all(text.endswith("\n") and not name.startswith("/") for name, text in first.items())


def test_every_cable_has_two_labels_that_nothing_else_has(site: SiteModel) -> None:
    found = rows(site, "cabling.csv")
    assert len(found) == len(site.cables) > 0
    texts = [label for row in found for label in (row["label at from"], row["label at to"])]
    assert len(set(texts)) == len(texts)
    for row in found:
        assert row["from"] in row["label at from"] and row["to"] in row["label at from"]


def test_every_port_of_every_switch_is_on_the_map(site: SiteModel) -> None:
    found = rows(site, "ports.csv")
    assert len(found) == sum(len(switch.ports) for switch in site.switches)
    used = [row for row in found if row["connected to"]]
    between = sum(
        1
        for cable in site.cables
        if {cable.a.device, cable.b.device} <= {switch.name for switch in site.switches}
    )
    assert len(used) == len(site.cables) + between


def test_no_address_is_planned_twice(site: SiteModel) -> None:
    found = [row["address"] for row in rows(site, "addresses.csv")]
    assert len(found) == len(set(found))


def test_a_rack_has_a_line_for_each_unit(site: SiteModel) -> None:
    text = site_documents(site, catalog.builtin())["racks.txt"]
    for rack in site.racks:
        drawn = text.partition(f"rack {rack.name}: {rack.units} units")[2].partition("\nrack ")[0]
        assert sum(1 for line in drawn.splitlines() if line.endswith("|")) == rack.units
        for node in site.nodes:
            named = f"| {node.name}: {node.product} {node.service_tag}" in drawn
            assert named == (node.rack == rack.name)


def test_prometheus_is_told_of_every_node(site: SiteModel) -> None:
    documents = site_documents(site, catalog.builtin())
    groups = json.loads(documents["prometheus/targets/node.json"])
    assert {group["labels"]["node"] for group in groups} == {node.name for node in site.nodes}
    gpus = json.loads(documents["prometheus/targets/dcgm.json"])
    assert {group["labels"]["gpu"] for group in gpus} == {
        node.gpus.product for node in site.nodes if node.gpus
    }


def test_what_a_site_is_made_of() -> None:
    reference = parts("reference")
    assert reference["Server", "PowerEdge R760xa"] == 4
    # Table 8: four H100 in each R760xa, two pairs of three bridges.
    assert reference["NVLink bridge (in the servers)", "NVLink bridge"] == 4 * 2 * 3
    assert reference["Cable", "25 Gbit/s, SFP28"] + reference["Cable", "25 Gbit/s, fibre"] == 2 * 11
    assert reference["Transceiver", "SFP28, 25 Gbit/s"] == 2 * reference["Cable", "25 Gbit/s, fibre"]
    assert ("NVLink bridge (in the servers)", "NVLink bridge") not in parts("l40")


def test_a_broken_out_port_takes_one_cable() -> None:
    found = parts("hundred-gig")
    # Three ports of each leaf, of which two have three servers on them and one has four.
    assert found["Cable", "100 Gbit/s, QSFP28 to 4 x 25 Gbit/s SFP28"] == 6
    assert found["Transceiver", "SFP28, 25 Gbit/s"] == 2 * (3 + 3 + 4)
    model = load_site("hundred-gig")
    leaf = next(switch for switch in model.switches if switch.name == "leaf-a")
    speeds = {port.name: (port.speed_gbps, port.peer) for port in leaf.ports}
    assert "ethernet1/1/1" not in speeds
    assert speeds["ethernet1/1/1:1"] == (25, "r660-1:ocp1")
    assert speeds["ethernet1/1/1:4"] == (25, None)
    assert speeds["ethernet1/1/7"] == (100, "xe9680-1:nic1")


def test_a_second_adapter_carries_the_storage_network_alone() -> None:
    model = load_site("hundred-gig")
    for node in model.nodes:
        by_name = {interface.name: interface for interface in node.interfaces}
        assert by_name["bond1"].members == ("nic1", "nic2")
        assert (by_name["bond1"].mtu, by_name["bond0"].mtu) == (9000, 1500)
        assert by_name["bond1"].network is None
        storage = node.interface("storage")
        assert storage is not None and storage.parent == "bond1" and storage.mtu == 9000
        external = node.interface("external")
        assert external is not None and external.parent == "bond0"


def test_names_of_two_heads_lead_to_their_shared_address() -> None:
    model = load_site("air-gapped-ha")
    assert [node.name for node in model.heads] == ["r660-1", "r660-2"]
    assert model.head_vip == IPv4Address("10.43.0.9") == model.head_address
    assert model.dns_servers == (model.head_vip,)
    found = {row["address"]: row for row in rows(model, "dns.csv")}
    assert found["10.43.0.9"]["name"] == "mirror.air-gapped-ha.example"
    for node in model.nodes:
        hosts = next(file for file in render(model, node.name, "baseline", {}) if file.path == "/etc/hosts")
        assert "10.43.0.9 mirror.air-gapped-ha.example registry.air-gapped-ha.example\n" in hosts.content


def test_the_second_head_follows_the_first_one_s_clock() -> None:
    model = load_site("air-gapped-ha")
    texts = {node.name: render(model, node.name, "time", {})[0].content for node in model.nodes}
    assert "local stratum 8\n" in texts["r660-1"] and "server" not in texts["r660-1"]
    assert "server 10.43.0.11 iburst prefer\n" in texts["r660-2"]
    assert "local stratum 10 orphan\n" in texts["r660-2"]
    assert "server 10.43.0.11 iburst prefer\nserver 10.43.0.12 iburst prefer\n" in texts["xe8640-1"]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (239, [("10.43.3.200", "10.43.3.219"), ("10.43.3.220", "10.43.3.239")]),
        (202, [("10.43.3.200", "10.43.3.200"), ("10.43.3.201", "10.43.3.202")]),
    ],
)
def test_two_heads_never_give_out_the_same_address(last: int, expected: list[tuple[str, str]]) -> None:
    model = load_site("air-gapped-ha")
    span = (IPv4Address("10.43.3.200"), IPv4Address(f"10.43.3.{last}"))
    found = [own_part(span, index, model) for index in range(2)]
    assert [(str(first), str(end)) for first, end in found] == expected
