"""Discovery of a virtual BMC over real HTTPS, by the module that runs on the head."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from rackwright_bmc import discover

from rackwright.derive.model import Bmc, Node, SiteModel
from rackwright.lab.bmc import BmcConfig, BmcServer
from rackwright.metal.discover import Match, match
from rackwright.site import load_site

HERE, NOBODY = "127.0.0.1", "127.0.0.2"
SITE = load_site("reference")


def site_of(*nodes: Node) -> SiteModel:
    """The reference site with these servers alone."""
    return dataclasses.replace(SITE, nodes=nodes)


def at(node: Node, address: str) -> Node:
    return dataclasses.replace(node, bmc=Bmc(IPv4Address(address), node.bmc.mac))


def found(tmp_path: Path, node: Node, leases: str = "") -> list[dict[str, Any]]:
    """What the search finds where a node's BMC answers, at an address asked for and at one where nobody is."""
    config = BmcConfig(
        name=node.name,
        service_tag=node.service_tag,
        state_dir=tmp_path / "bmc",
        port=0,
        mac=node.bmc.mac,
        model=node.product,
        profile=node.profile,
    )
    server = BmcServer(config).start()
    (tmp_path / "leases").write_text(leases)
    try:
        port = int(server.url.rpartition(":")[2])
        asked = {"addresses": [HERE, NOBODY], "leases": str(tmp_path / "leases")}
        return discover({**asked, "port": port, "directory": str(tmp_path)})
    finally:
        server.stop()


@pytest.fixture
def one() -> Node:
    return at(SITE.node("xe9680-1"), HERE)


@pytest.fixture
def other() -> Node:
    return at(SITE.node("xe9680-2"), NOBODY)


def verdicts(matches: tuple[Match, ...]) -> list[tuple[str, str]]:
    return [(match.node, match.verdict) for match in matches]


def test_a_bmc_tells_who_it_is_and_the_site_knows_it(tmp_path: Path, one: Node, other: Node) -> None:
    bmcs = found(tmp_path, one)
    (mine,) = (bmc for bmc in bmcs if bmc["address"] == HERE)
    assert (mine["service_tag"], mine["mac"], mine["state"]) == (one.service_tag, one.bmc.mac, "factory")
    assert len(mine["fingerprint"]) == 64
    assert verdicts(match(site_of(one, other), bmcs)) == [("xe9680-1", "known"), ("xe9680-2", "missing")]


def test_a_bmc_at_anothers_address_is_told_of(tmp_path: Path, one: Node, other: Node) -> None:
    """Cabled wrongly: the second server answers where the first is expected."""
    bmcs = found(tmp_path, other)
    assert verdicts(match(site_of(one, other), bmcs)) == [("xe9680-1", "missing"), ("xe9680-2", "swapped")]


def test_a_bmc_of_nobody_is_told_of(tmp_path: Path, one: Node, other: Node) -> None:
    bmcs = found(tmp_path, dataclasses.replace(other, service_tag="7NEW001"))
    far = dataclasses.replace(at(one, "192.0.2.1"))
    assert verdicts(match(site_of(far), bmcs)) == [("xe9680-1", "missing"), ("", "unknown")]


def test_what_took_a_lease_and_is_silent_is_told_of(tmp_path: Path, one: Node, other: Node) -> None:
    lease = f"1790000000 {other.bmc.mac} {NOBODY} xe9680-2-bmc *\n"
    bmcs = found(tmp_path, one, lease)
    assert verdicts(match(site_of(one, other), bmcs)) == [("xe9680-1", "known"), ("xe9680-2", "differs")]
