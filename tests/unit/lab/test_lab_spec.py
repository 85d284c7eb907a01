"""A site as the lab sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.lab import spec
from rackwright.site import load_site

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model() -> SiteModel:
    return load_site(str(ROOT / "inventories/reference"))


def test_nodes_have_the_sites_interfaces(model: SiteModel) -> None:
    lab = spec.from_site(model)
    for node in model.nodes:
        links = {link.name: link for link in lab.node(node.name).links}
        on_a_network = {i.name for i in node.interfaces if i.network is not None}
        assert set(links) == on_a_network
        for interface in node.interfaces:
            if interface.name in links:
                link = links[interface.name]
                assert (link.mac, link.address) == (interface.mac.lower(), interface.address)


def test_a_lab_survives_the_disk(model: SiteModel) -> None:
    lab = spec.from_site(model, "other")
    assert spec.LabSpec.from_dict(json.loads(json.dumps(lab.to_dict()))) == lab


def test_the_workstation_stands_at_the_gateway_or_at_a_high_free_address(model: SiteModel) -> None:
    lab = spec.from_site(model)
    used = {i.address.ip for n in model.nodes for i in n.interfaces if i.address is not None}
    for bridge in lab.bridges:
        gateway = model.networks[bridge.purpose].gateway
        assert gateway is None or bridge.address.ip == gateway
        assert bridge.address.ip not in used
        assert bridge.address.network == model.networks[bridge.purpose].cidr


def test_a_network_without_gateway_gets_its_last_free_address(model: SiteModel) -> None:
    storage = replace(model.networks["storage"], gateway=None)
    top = storage.cidr.broadcast_address - 1
    switch = replace(model.switches[0], address=top)
    changed = replace(model, networks={**model.networks, "storage": storage}, switches=(switch,))
    address = next(b.address for b in spec.from_site(changed).bridges if b.purpose == "storage")
    assert address == IPv4Interface((int(top) - 1, storage.cidr.prefixlen))


def test_ports_are_short_and_unique(model: SiteModel) -> None:
    ports = [link.port for node in spec.from_site(model).nodes for link in node.links]
    assert len(set(ports)) == len(ports)
    assert all(len(port) <= 15 for port in ports)


def test_identity_is_stable_and_differs_between_sites(model: SiteModel) -> None:
    first, again = spec.from_site(model), spec.from_site(model, "other-name")
    minimal = spec.from_site(load_site(str(ROOT / "inventories/minimal")))
    assert [n.machine_id for n in first.nodes] == [n.machine_id for n in again.nodes]
    assert not {n.machine_id for n in first.nodes} & {n.machine_id for n in minimal.nodes}


def test_well_known_names_are_the_workstations_too(model: SiteModel) -> None:
    names = {name: address for address, names in spec.from_site(model).hosts for name in names.split()}
    assert names[model.api_fqdn] == str(model.api_vip)
    assert names[model.mirror_fqdn] == str(model.head.address)
    assert names[f"registry.{model.domain}"] == str(model.head.address)


def test_default_route_is_by_the_network_that_the_site_says(model: SiteModel) -> None:
    route = model.default_route
    assert route is not None
    assert {n.gateway for n in spec.from_site(model).nodes} == {route.gateway}
    assert isinstance(route.gateway, IPv4Address)


@pytest.mark.parametrize("name", ["", "a.b", "A", "-a", "a-", "a b", "x" * 33, "../up"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="can't be a lab's name"):
        spec.check_name(name)


def test_an_unknown_node_is_named_with_the_known_ones(lab: spec.LabSpec) -> None:
    with pytest.raises(UsageError, match="no node 'n2'") as caught:
        lab.node("n2")
    assert "n1" in caught.value.hint
