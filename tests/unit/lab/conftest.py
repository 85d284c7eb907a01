from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from rackwright.lab.spec import BridgeSpec, LabSpec, LinkSpec, NodeSpec


def make_lab(name: str = "tiny") -> LabSpec:
    """A lab of one node with a bond and a VLAN on it, made by hand."""
    links = (
        LinkSpec("n1", "bond0", "management", "02:00:00:00:00:01", IPv4Interface("192.0.2.11/24"), 1500),
        LinkSpec("n1", "bond0.20", "storage", "02:00:00:00:00:01", IPv4Interface("198.51.100.11/24"), 9000),
    )
    node = NodeSpec(
        name="n1",
        fqdn="n1.tiny.example",
        address=IPv4Address("192.0.2.11"),
        links=links,
        gateway=IPv4Address("192.0.2.1"),
        machine_id="d10fb55381a159e0b63fd8ba37725e13",
        service_tag="ABC1234",
    )
    return LabSpec(
        name=name,
        site="tiny",
        domain="tiny.example",
        user="root",
        bridges=(
            BridgeSpec("management", IPv4Interface("192.0.2.1/24"), 1500),
            BridgeSpec("storage", IPv4Interface("198.51.100.254/24"), 9000),
        ),
        nodes=(node,),
        nameservers=(IPv4Address("192.0.2.11"),),
        hosts=(("192.0.2.11", "n1.tiny.example n1"), ("192.0.2.10", "api.tiny.example")),
    )


@pytest.fixture
def lab() -> LabSpec:
    return make_lab()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACKWRIGHT_CACHE", str(tmp_path / "cache"))
