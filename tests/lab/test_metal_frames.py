"""Frames of bare machines, by hand: what a tap sends and gets, through the switches' bridges, to the nodes' networks.

No machine runs here: the test holds the taps as QEMU would, and the container's namespace answers with its kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from rackwright.lab import metal_network, network
from rackwright.lab.spec import LabSpec, from_site
from rackwright.site import load_site

pytestmark = pytest.mark.lab
SITE = str(Path(__file__).parents[2] / "inventories/hundred-gig")
NAME, HEAD, ONE, TWO = "btframes", "r660-1", "r660-2", "r660-3"
CLONE_NEWNET, TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x40000000, 0x400454CA, 0x2, 0x1000
EVERYONE = b"\xff" * 6
ARP, TEST = 0x0806, 0x88B5  # the second: for local experiments (IEEE 802)
EXTERNAL, STORAGE = 210, 220


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread in a network namespace; what is opened there stays there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as home, (network.NETNS / namespace).open() as other:
        assert libc.setns(other.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), CLONE_NEWNET) == 0


class Tap:
    """A machine's port, as its emulator has it."""

    def __init__(self, lab: LabSpec, node: str, name: str) -> None:
        machine = lab.node(node).machine
        assert machine is not None
        self.port = next(p for p in machine.ports if p.name == name)
        self.mac = bytes.fromhex(self.port.mac.replace(":", ""))
        with inside(lab.namespace):
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            request = struct.pack("16sH22x", self.port.tap.encode(), IFF_TAP | IFF_NO_PI)
            fcntl.ioctl(self.fd, TUNSETIFF, request)

    def send(self, to: bytes, kind: int, payload: bytes, vlan: int | None = None) -> None:
        tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
        os.write(self.fd, to + self.mac + tag + struct.pack("!H", kind) + payload)

    def receive(self, kind: int, limit_s: float = 1.0) -> list[tuple[int | None, bytes]]:
        """VLAN and payload of the frames of a kind that come; returns after the first, or at the limit."""
        found: list[tuple[int | None, bytes]] = []
        end = time.monotonic() + limit_s
        while not found and (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            frame = os.read(self.fd, 65536)
            (ether,), vlan, rest = struct.unpack_from("!H", frame, 12), None, frame[14:]
            if ether == 0x8100:
                tci, ether = struct.unpack_from("!HH", frame, 14)
                vlan, rest = tci & 0xFFF, frame[18:]
            if ether == kind:
                found.append((vlan, rest))
        return found


class Station:
    """An interface of the container node."""

    def __init__(self, lab: LabSpec, name: str) -> None:
        link = next(one for one in lab.node(HEAD).links if one.name == name)
        assert link.address is not None
        self.address, self.mac = link.address.ip, bytes.fromhex(link.mac.replace(":", ""))
        with inside(network.node_namespace(lab.name, HEAD)):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TEST))
            self.socket.bind((name, TEST))

    def send(self, to: bytes, payload: bytes) -> None:
        self.socket.send(to + self.mac + struct.pack("!H", TEST) + payload)

    def receive(self, limit_s: float = 1.0) -> bytes | None:
        self.socket.settimeout(limit_s)
        try:
            return self.socket.recv(65536)[14:]
        except TimeoutError:
            return None


def who_has(tap: Tap, mine: str, wanted: IPv4Address) -> bytes:
    """The payload of an ARP request."""
    asked = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return asked + tap.mac + IPv4Address(mine).packed + b"\0" * 6 + wanted.packed


@pytest.fixture(scope="module")
def lab() -> Iterator[LabSpec]:
    spec = from_site(load_site(SITE), NAME, [ONE, TWO])
    for namespace in network.namespaces(NAME):
        network.delete(namespace)
    network.ensure_lab(spec)
    network.ensure_node(spec, spec.node(HEAD))
    metal_network.ensure(spec)
    yield spec
    for namespace in network.namespaces(NAME):
        network.delete(namespace)


def test_again_changes_nothing_and_a_lost_device_comes_back(lab: LabSpec) -> None:
    assert metal_network.plan(lab, network.devices(lab.namespace)) == []
    network.apply(lab.namespace, ["link delete x-external"], "lose a cable")
    metal_network.ensure(lab)
    assert metal_network.plan(lab, network.devices(lab.namespace)) == []
    tap, station = Tap(lab, ONE, "ocp1"), Station(lab, f"bond0.{EXTERNAL}")
    tap.send(EVERYONE, TEST, b"again" * 20, EXTERNAL)
    assert station.receive() == b"again" * 20
    os.close(tap.fd)


@pytest.mark.parametrize("name", ["ocp1", "ocp2"])
def test_each_network_by_its_tag_from_either_switch(lab: LabSpec, name: str) -> None:
    tap = Tap(lab, ONE, name)
    stations = {vlan: Station(lab, i) for vlan, i in ((None, "bond0"), (EXTERNAL, f"bond0.{EXTERNAL}"))}
    for vlan, station in stations.items():
        payload = f"{name} {vlan}".encode().ljust(100, b".")
        for to in (EVERYONE, station.mac):
            tap.send(to, TEST, payload, vlan)
            assert station.receive() == payload
            assert all(o.receive(0.1) is None for v, o in stations.items() if v != vlan)
        station.send(tap.mac, payload)
        assert tap.receive(TEST) == [(vlan, payload)]
        station.send(EVERYONE, payload)
        assert tap.receive(TEST) == [(vlan, payload)]
    os.close(tap.fd)


def test_the_kernel_of_a_container_answers_arp_on_the_tagged_network(lab: LabSpec) -> None:
    tap, station = Tap(lab, ONE, "ocp1"), Station(lab, f"bond0.{EXTERNAL}")
    tap.send(EVERYONE, ARP, who_has(tap, "10.42.1.12", station.address), EXTERNAL)
    ((vlan, reply),) = tap.receive(ARP)
    assert vlan == EXTERNAL
    assert reply[6:8] == b"\0\x02" and reply[8:14] == station.mac
    os.close(tap.fd)


def test_what_a_port_does_not_carry_is_dropped(lab: LabSpec) -> None:
    ocp, nic = Tap(lab, ONE, "ocp1"), Tap(lab, ONE, "nic1")
    stations = [Station(lab, i) for i in ("bond0", f"bond0.{EXTERNAL}", f"bond1.{STORAGE}")]
    ocp.send(EVERYONE, TEST, b"x" * 100, 999)
    ocp.send(EVERYONE, TEST, b"x" * 100, STORAGE)
    nic.send(EVERYONE, TEST, b"x" * 100)
    nic.send(EVERYONE, TEST, b"x" * 100, EXTERNAL)
    assert [s.receive(0.3) for s in stations] == [None, None, None]
    stations[0].send(EVERYONE, b"y" * 100)
    assert ocp.receive(TEST) == [(None, b"y" * 100)]
    assert nic.receive(TEST, 0.3) == []
    for tap in (ocp, nic):
        os.close(tap.fd)


def test_jumbo_frames_where_the_site_says(lab: LabSpec) -> None:
    nic, ocp = Tap(lab, ONE, "nic1"), Tap(lab, ONE, "ocp1")
    storage, management = Station(lab, f"bond1.{STORAGE}"), Station(lab, "bond0")
    for size, arrives in ((9000, True), (9100, False)):
        with contextlib.suppress(OSError):
            nic.send(storage.mac, TEST, b"j" * size, STORAGE)
        assert (storage.receive(0.5) == b"j" * size) is arrives
    storage.send(nic.mac, b"k" * 9000)
    assert nic.receive(TEST) == [(STORAGE, b"k" * 9000)]
    for size, arrives in ((1500, True), (4000, False)):
        ocp.send(management.mac, TEST, b"m" * size)
        assert (management.receive(0.5) == b"m" * size) is arrives
    for tap in (nic, ocp):
        os.close(tap.fd)


def test_an_address_is_learnt_and_others_get_no_copies(lab: LabSpec) -> None:
    one, other = Tap(lab, ONE, "ocp1"), Tap(lab, TWO, "ocp2")
    station = Station(lab, f"bond0.{EXTERNAL}")
    one.send(EVERYONE, TEST, b"here" * 25, EXTERNAL)
    assert station.receive() == b"here" * 25
    assert other.receive(TEST) == [(EXTERNAL, b"here" * 25)]
    station.send(one.mac, b"to one" * 20)
    assert one.receive(TEST) == [(EXTERNAL, b"to one" * 20)]
    assert other.receive(TEST, 0.3) == []
    other.send(one.mac, TEST, b"across" * 20)
    assert one.receive(TEST) == [(None, b"across" * 20)]
    for tap in (one, other):
        os.close(tap.fd)


def test_machines_that_leave_the_lab_take_their_cables_along(lab: LabSpec) -> None:
    fewer = from_site(load_site(SITE), NAME, [ONE])
    none = from_site(load_site(SITE), NAME)
    before = set(network.devices(lab.namespace))
    metal_network.ensure(fewer)
    machine = lab.node(TWO).machine
    assert machine is not None
    gone = {port.tap for port in machine.ports}
    assert set(network.devices(lab.namespace)) == before - gone
    metal_network.ensure(none)
    left = network.devices(lab.namespace)
    assert not [n for n in left if n.startswith(("sw-", "trunk", "n-", "x-", "p", "t"))]
    metal_network.ensure(lab)
    assert set(network.devices(lab.namespace)) == before
