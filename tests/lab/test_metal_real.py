"""Bare machines for real: a BMC that answers, a machine that boots from the network, and nothing left afterwards.

No operating system is put on anything here; that is a rehearsal's work.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rackwright.lab import lab, metal, network, node
from rackwright.lab.metal_spec import MIB
from rackwright.lab.spec import LabSpec, NodeSpec, from_site
from rackwright.lab.state import State, labs_dir
from rackwright.site import load_site

pytestmark = pytest.mark.lab
SITE = str(Path(__file__).parents[2] / "inventories/minimal")
ONE, TWO, BARE = "btmetal-1", "btmetal-2", "r760xa-1"
ETH_P_IP, BOOTP_SERVER = 0x0800, 67
FIRMWARE_LIMIT_S = 150.0  # emulated, on a machine that has other work; alone it takes some 20 s


def say(_text: str) -> None:
    """Nobody reads along."""


def up(name: str) -> tuple[LabSpec, NodeSpec]:
    spec = from_site(load_site(SITE), name, [BARE])
    lab.up(spec, say, only=[BARE])
    return spec, spec.node(BARE)


def redfish(spec: LabSpec, n: NodeSpec, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON of one request with the factory's credentials."""
    factory = State(spec.name).factory()
    token = base64.b64encode(f"{factory['user']}:{factory['password']}".encode()).decode()
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {metal.address(n)}\r\nAuthorization: Basic {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with metal.inside(spec.namespace):
        plain = socket.create_connection((metal.address(n), metal.PORT), 60)
    answer = b""
    with plain, context.wrap_socket(plain) as secure:
        secure.sendall(head.encode() + data)
        while part := secure.recv(65536):
            answer += part
    top, _, text = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(text) if text.strip() else None


SYSTEM = "/redfish/v1/Systems/System.Embedded.1"


def switch(spec: LabSpec, n: NodeSpec, how: str) -> None:
    status, said = redfish(spec, n, "POST", f"{SYSTEM}/Actions/ComputerSystem.Reset", {"ResetType": how})
    assert status in (200, 202, 204), said


def asks_for_an_address(spec: LabSpec, mac: str, limit_s: float = FIRMWARE_LIMIT_S) -> bool:
    """Whether a DHCP request from this address is seen on the oob network's bridge."""
    with metal.inside(spec.namespace):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        ear.bind(("br-oob", ETH_P_IP))
    wanted, end = bytes.fromhex(mac.replace(":", "")), time.monotonic() + limit_s
    ear.settimeout(1)
    with ear:
        while time.monotonic() < end:
            try:
                frame = ear.recv(2048)
            except TimeoutError:
                continue
            udp = 14 + (frame[14] & 0xF) * 4
            if frame[6:12] == wanted and frame[udp + 2 : udp + 4] == BOOTP_SERVER.to_bytes(2, "big"):
                return True
    return False


def traces(name: str) -> list[str]:
    """Everything of a lab that can be found on this machine without asking the lab."""
    found = [str(p) for p in Path("/sys/fs/cgroup").glob(f"*/rw-{name}")]
    found += [str(p) for p in (*labs_dir().glob(f"{name}*"), *labs_dir().glob(f".{name}*"))]
    found += [str(p) for p in network.NETNS.glob(f"rw-{name}*")] if network.NETNS.is_dir() else []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                line = (entry / "cmdline").read_text()
                found += [f"{entry.name} {line}"] if f"/labs/{name}/" in line else []
        except OSError:
            continue
    return found


def status_of(name: str) -> Any:
    return next(n for n in lab.status(name).nodes if n.name == BARE)


@pytest.fixture
def clean() -> Iterator[None]:
    for name in (ONE, TWO):
        lab.down(name, say, hard=True)
    yield
    for name in (ONE, TWO):
        lab.down(name, say)
        assert traces(name) == []


def test_a_machine_waits_for_its_bmc_and_boots_from_the_network(clean: None) -> None:
    spec, n = up(ONE)
    root = metal.service_root(spec, n)
    assert root is not None
    assert root["@odata.id"].rstrip("/") == "/redfish/v1"
    assert (status_of(ONE).state, status_of(ONE).bmc, status_of(ONE).ssh) == ("off", True, False)
    assert redfish(spec, n, "GET", SYSTEM)[1]["PowerState"] == "Off"
    assert redfish(spec, n, "GET", SYSTEM)[1]["SKU"] == n.service_tag
    boot = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}
    assert redfish(spec, n, "PATCH", SYSTEM, {"Boot": boot})[0] in (200, 202, 204)
    switch(spec, n, "On")
    machine = metal.machine_pid(spec.name, n.name)
    assert machine is not None
    assert status_of(ONE).state == "running"
    limits = [
        p.read_text() for d in node.group(ONE, BARE).directories for p in d.glob("memory.limit_in_bytes")
    ]
    assert all(int(text) < 6144 * MIB for text in limits)
    assert n.machine is not None
    assert asks_for_an_address(spec, n.machine.ports[0].mac)
    # A BMC that ends takes no machine along, and the next one finds it.
    bmc = metal.bmc_pid(spec.name, n.name)
    assert bmc is not None
    os.kill(bmc, signal.SIGKILL)
    lab.up(spec, say, only=[BARE])
    assert metal.machine_pid(spec.name, n.name) == machine
    assert redfish(spec, n, "GET", SYSTEM)[1]["PowerState"] == "On"
    switch(spec, n, "ForceOff")
    assert metal.machine_pid(spec.name, n.name) is None
    assert status_of(ONE).state == "off"


def test_mains_off_and_on(clean: None) -> None:
    spec, n = up(ONE)
    switch(spec, n, "On")
    lab.stop(ONE, BARE, True, say)
    assert (status_of(ONE).state, status_of(ONE).bmc) == ("stopped", False)
    assert metal.machine_pid(ONE, BARE) is None
    lab.start(ONE, BARE, say)
    assert (status_of(ONE).state, status_of(ONE).bmc) == ("off", True)


def test_what_was_killed_anywhere_is_taken_down(clean: None) -> None:
    spec, n = up(ONE)
    switch(spec, n, "On")
    bmc = metal.bmc_pid(ONE, BARE)
    assert bmc is not None
    os.kill(bmc, signal.SIGKILL)
    (State(ONE).directory / "lab.json").unlink()
    lab.down(ONE, say)
    assert traces(ONE) == []


def test_two_labs_side_by_side(clean: None) -> None:
    (one, n), (two, m) = up(ONE), up(TWO)
    assert State(ONE).factory() != State(TWO).factory()
    switch(one, n, "On")
    assert redfish(one, n, "GET", SYSTEM)[1]["PowerState"] == "On"
    assert redfish(two, m, "GET", SYSTEM)[1]["PowerState"] == "Off"
    lab.down(ONE, say, hard=True)
    assert metal.service_root(two, m) is not None


def test_a_bare_machine_becomes_a_container_again(clean: None) -> None:
    spec, _ = up(ONE)
    devices = set(network.devices(spec.namespace))
    assert {"trunk", "sw-leaf-a", "sw-leaf-b"} <= devices
    contained = from_site(load_site(SITE), ONE)
    lab.up(contained, say, only=[BARE])
    assert not {"trunk", "sw-leaf-a", "sw-leaf-b"} & set(network.devices(spec.namespace))
    state = status_of(ONE)
    assert (state.metal, state.state, state.ssh) == (False, "running", True)


def test_the_test_s_own_namespace_is_as_before(clean: None) -> None:
    before = os.readlink("/proc/thread-self/ns/net")  # noqa: PTH115 (a link that names no path)
    spec, n = up(ONE)
    metal.service_root(spec, n)
    assert os.readlink("/proc/thread-self/ns/net") == before  # noqa: PTH115
    assert ctypes.get_errno() == 0
