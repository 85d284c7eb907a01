"""The derivation: the same whatever the order of the file, and what the example sites must give."""

from __future__ import annotations

import copy
import json
import random
from ipaddress import IPv4Address
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright import catalog
from rackwright.derive.model import SiteModel
from rackwright.derive.site import derive
from rackwright.intent.document import Document, read_document
from rackwright.intent.schema import SiteFile
from rackwright.paths import checkout
from rackwright.site import load_site


def document(site: str) -> Document:
    return read_document(checkout() / "inventories" / site / "site.yml", "site.yml")


REFERENCE = document("reference").data


@pytest.fixture(scope="module")
def reference() -> SiteModel:
    return load_site("reference")


@pytest.fixture(scope="module")
def minimal() -> SiteModel:
    return load_site("minimal")


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same site with every mapping and every list of named or like things in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        parts = [shuffled(item, chance) for item in value]
        chance.shuffle(parts)
        return parts
    return value


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_file_makes_no_difference(chance: random.Random) -> None:
    other = shuffled(copy.deepcopy(REFERENCE), chance)
    one = derive(SiteFile.model_validate(REFERENCE), "site.yml", catalog.builtin()).to_dict()
    assert derive(SiteFile.model_validate(other), "site.yml", catalog.builtin()).to_dict() == one


@settings(max_examples=25, deadline=None)
@given(st.permutations(["b", "a", "d", "c"]), st.integers(min_value=0, max_value=4))
def test_addresses_are_given_out_by_name_around_the_stated_ones(names: list[str], stated: int) -> None:
    data = copy.deepcopy(REFERENCE)
    services = [{"name": name, "model": "capitals-gpt", "profiles": ["r760xa"]} for name in names]
    for service in services[:stated]:
        service["vip"] = f"10.40.1.{200 + ord(service['name']) - ord('a')}"
    data["serving"]["models"] = services
    serving = derive(SiteFile.model_validate(data), "site.yml", catalog.builtin()).serving
    assert [service.name for service in serving] == ["a", "b", "c", "d"]
    assert len({service.vip for service in serving}) == 4
    given_out = {service["name"]: service["vip"] for service in services if "vip" in service}
    assert all(str(s.vip) == given_out[s.name] for s in serving if s.name in given_out)


def test_the_model_is_json_able(reference: SiteModel) -> None:
    again = json.loads(json.dumps(reference.to_dict()))
    assert again["nodes"][0]["address"] == "10.40.0.11"
    assert again["networks"]["external"]["cidr"] == "10.40.1.0/24"
    assert again["nodes"][0]["roles"] == ["control_plane", "head"]


def test_the_reference_site_is_the_validation_cluster(reference: SiteModel) -> None:
    profiles = [node.profile for node in reference.nodes]
    counts = {profile: profiles.count(profile) for profile in set(profiles)}
    assert counts == {"r660": 3, "r760xa": 4, "xe8640": 2, "xe9680": 2}
    assert [node.name for node in reference.control_planes] == ["r660-1", "r660-2", "r660-3"]
    assert reference.head.name == "r660-1"
    assert len(reference.gpu_workers) == 8
    assert sum(node.gpus.count for node in reference.gpu_workers if node.gpus) == 40
    assert [switch.product for switch in reference.switches] == ["PowerSwitch S5248F-ON"] * 2
    assert set(reference.networks) == {"management", "external", "storage", "oob"}
    assert len(reference.cables) == 24


@pytest.mark.parametrize(
    ("node", "product", "count", "interconnect", "span", "fabric"),
    [
        ("r760xa-1", "NVIDIA-H100-PCIe", 4, "nvlink_bridge", 2, False),
        ("xe8640-1", "NVIDIA-H100-80GB-HBM3", 4, "nvlink", 4, False),
        ("xe9680-1", "NVIDIA-H100-80GB-HBM3", 8, "nvswitch", 8, True),
    ],
)
def test_gpus_of_a_profile(
    reference: SiteModel, node: str, product: str, count: int, interconnect: str, span: int, fabric: bool
) -> None:
    gpus = reference.node(node).gpus
    assert gpus is not None
    assert (gpus.label, gpus.count, gpus.interconnect) == (product, count, interconnect)
    assert (gpus.span, gpus.fabric) == (span, fabric)


def test_stated_gpus_replace_the_usual_ones() -> None:
    data = copy.deepcopy(REFERENCE)
    next(s for s in data["servers"] if s["name"] == "r760xa-2")["gpus"] = {"product": "l40", "count": 2}
    gpus = derive(SiteFile.model_validate(data), "site.yml", catalog.builtin()).node("r760xa-2").gpus
    assert gpus is not None
    assert (gpus.product, gpus.count, gpus.memory_mib, gpus.span) == ("NVIDIA L40", 2, 46068, 1)


def test_interfaces_as_the_operating_system_sees_them(reference: SiteModel, minimal: SiteModel) -> None:
    names = [interface.name for interface in reference.node("r660-2").interfaces]
    assert names == ["eno1", "ocp1", "ocp2", "bond0", "bond0.110", "bond0.120"]
    assert [i.name for i in minimal.node("r660-2").interfaces] == names[:-1]
    bond = reference.node("r660-2").interface("management")
    assert bond is not None and bond.members == ("ocp1", "ocp2")
    assert str(bond.address) == "10.40.0.12/24"
    external = reference.node("r660-2").interface("external")
    assert external is not None and (external.parent, external.vlan) == ("bond0", 110)


def test_both_ends_of_a_cable_know_each_other(reference: SiteModel) -> None:
    leaf = reference.switches[0]
    peers = {port.name: port.peer for port in leaf.ports}
    assert peers["ethernet1/1/1"] == "r660-1:ocp1"
    assert peers["ethernet1/1/53"] == "leaf-b:ethernet1/1/53"
    assert peers["ethernet1/1/48"] is None
    speeds = {(cable.a.device, cable.b.device): cable.speed_gbps for cable in reference.cables}
    assert speeds["leaf-a", "r660-1"] == 25
    assert speeds["leaf-a", "leaf-b"] == 100


def test_well_known_names_and_addresses(minimal: SiteModel) -> None:
    assert (minimal.api_fqdn, minimal.api_port) == ("api.minimal.example", 8443)
    assert minimal.registry == "registry.minimal.example:5000"
    assert minimal.cluster_dns == IPv4Address("10.96.0.10")
    assert minimal.dns_servers == (IPv4Address("10.40.0.11"),)
    assert minimal.default_route is minimal.networks["external"]
    assert minimal.serving[0].vip == IPv4Address("10.40.1.200")
    assert set(minimal.to_dict()) == set(yaml.safe_load(json.dumps(minimal.to_dict())))


def test_a_node_that_is_not_there(minimal: SiteModel) -> None:
    with pytest.raises(KeyError, match="site minimal has no node xe9680-1"):
        minimal.node("xe9680-1")
