"""The difference between the network that is wanted and the one that is there."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from subprocess import CompletedProcess
from typing import Any

import pytest

from rackwright.errors import RunFailure
from rackwright.lab import network
from rackwright.lab.network import Device, parse, plan_bridges, plan_ports
from rackwright.lab.spec import LabSpec

LO = Device("lo", "", "00:00:00:00:00:00", 65536, True, None, frozenset())


def have_bridges(lab: LabSpec) -> dict[str, Device]:
    bridges = (
        Device(b.name, "bridge", b.mac, b.mtu, True, None, frozenset({b.address})) for b in lab.bridges
    )
    return {"lo": LO, **{device.name: device for device in bridges}}


def cabled(lab: LabSpec) -> tuple[dict[str, Device], dict[str, Device]]:
    """The devices of the lab's namespace and of its node's, as they should be."""
    node, bridges = lab.nodes[0], {b.purpose: b.name for b in lab.bridges}
    ports, links = have_bridges(lab), {"lo": LO}
    for link in node.links:
        own = frozenset({link.address}) if link.address else frozenset()
        ports[link.port] = Device(
            link.port, "veth", "02:bb:00:00:00:00", link.mtu, True, bridges[link.purpose], frozenset()
        )
        links[link.name] = Device(link.name, "veth", link.mac, link.mtu, True, None, own)
    return ports, links


def test_bridges_from_nothing(lab: LabSpec) -> None:
    lines = plan_bridges(lab.bridges, {})
    assert lines[0] == "link set lo up"
    assert "address add 198.51.100.254/24 brd + dev br-storage" in lines
    assert "link set br-storage mtu 9000" in lines


def test_nothing_to_do_for_what_is_right(lab: LabSpec) -> None:
    assert plan_bridges(lab.bridges, have_bridges(lab)) == []
    assert plan_ports(lab, lab.nodes[0], *cabled(lab)) == ([], [])


@pytest.mark.parametrize("still_there", [False, True])
def test_a_device_that_the_kernel_deletes_first_is_no_failure(
    still_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the deletion the other end's namespace may go, and the device with it."""
    there, told = {"lo", "v1", "v2"}, []

    def ip(argv: list[str], **_: Any) -> CompletedProcess[str]:
        told.append(argv[-1])
        if argv[-1] == "v1" and not still_there:
            there.discard("v1")
        if argv[-1] == "v1":
            return CompletedProcess(argv, 1, "", "Cannot find device")
        there.remove(argv[-1])
        return CompletedProcess(argv, 0, "", "")

    def run(argv: list[str], doing: str, **_: Any) -> None:
        raise RunFailure(doing, "", ip(argv).stderr, "", "")

    monkeypatch.setattr(network, "attempt", ip)
    monkeypatch.setattr(network, "run", run)
    monkeypatch.setattr(network, "devices", lambda _: dict.fromkeys(there))
    with pytest.raises(RunFailure) if still_there else contextlib.nullcontext():
        network.apply("rw-x", ["link delete v1", "link delete v2", "link delete v3"], "uncable a")
    assert told == (["v1", "v1"] if still_there else ["v1", "v2"])
    assert there == ({"lo", "v1", "v2"} if still_there else {"lo"})


def test_only_a_lost_address_is_added_again(lab: LabSpec) -> None:
    have = have_bridges(lab)
    have["br-storage"] = replace(have["br-storage"], addresses=frozenset())
    assert plan_bridges(lab.bridges, have) == ["address add 198.51.100.254/24 brd + dev br-storage"]


def test_a_bridge_keeps_its_own_address_whatever_ports_come_and_go(lab: LabSpec) -> None:
    """It is the nodes' gateway. The kernel gives one without an address the lowest of its ports', so with a stopped node the
    gateway's address changed, and the answers of the others went nowhere until they asked for it again.
    """
    lines = plan_bridges(lab.bridges, {})
    for bridge in lab.bridges:
        assert f"link set {bridge.name} address {bridge.mac}" in lines
        assert int(bridge.mac[:2], 16) & 3 == 2, "locally administered, of one machine"
    assert len({bridge.mac for bridge in lab.bridges}) == len(lab.bridges)
    have = have_bridges(lab)
    have["br-storage"] = replace(have["br-storage"], mac="02:bb:00:00:00:00")
    storage = next(bridge for bridge in lab.bridges if bridge.purpose == "storage")
    assert plan_bridges(lab.bridges, have) == [f"link set br-storage address {storage.mac}"]


def test_a_node_from_nothing(lab: LabSpec) -> None:
    outside, inside = plan_ports(lab, lab.nodes[0], have_bridges(lab), {})
    vlan = lab.nodes[0].links[1]
    assert (
        f"link add {vlan.port} mtu 9000 type veth "
        f"peer name bond0.20 mtu 9000 address {vlan.mac} netns rw-tiny.n1" in outside
    )
    assert f"link set {vlan.port} master br-storage alias n1:bond0.20" in outside
    assert inside[-1] == "route replace default via 192.0.2.1"


def test_a_missing_veth_is_made_again_and_no_other(lab: LabSpec) -> None:
    ports, links = cabled(lab)
    gone = lab.nodes[0].links[1]
    del ports[gone.port], links[gone.name]
    outside, inside = plan_ports(lab, lab.nodes[0], ports, links)
    assert all(gone.port in line for line in outside)
    assert not any(line[-9:] == "dev bond0" for line in inside)


def test_half_a_veth_is_replaced(lab: LabSpec) -> None:
    ports, links = cabled(lab)
    half = lab.nodes[0].links[0]
    del ports[half.port]
    outside, inside = plan_ports(lab, lab.nodes[0], ports, links)
    assert inside[0] == f"link delete {half.name}"
    assert outside[0].startswith(f"link add {half.port} ")


def test_further_addresses_of_a_node_are_left_alone(lab: LabSpec) -> None:
    ports, links = cabled(lab)
    vip = parse(
        json.dumps(
            [
                {
                    "ifname": "bond0",
                    "address": links["bond0"].mac,
                    "mtu": 1500,
                    "flags": ["UP"],
                    "addr_info": [
                        {"family": "inet", "local": "192.0.2.11", "prefixlen": 24},
                        {"family": "inet", "local": "192.0.2.10", "prefixlen": 32},
                        {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
                    ],
                },
                {},
            ]
        )
    )
    links.update(vip)
    assert len(vip["bond0"].addresses) == 2
    assert plan_ports(lab, lab.nodes[0], ports, links) == ([], [])


def test_names_of_two_labs_never_meet() -> None:
    assert network.node_namespace("a", "b-c") != network.node_namespace("a-b", "c")
