"""An installed bare machine: the bundle's own image with the config drive of the site, and traffic over its networks.

Ironic's part is left out here (a rehearsal has it): the image is put on the disk by hand, the config drive on the other.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_metal_real import BARE, SITE, redfish, say, status_of, switch, traces

from rackwright.lab import lab, metal, network
from rackwright.lab.bmc.qmp import Qmp
from rackwright.lab.spec import LabSpec, NodeSpec, from_site
from rackwright.lab.state import State
from rackwright.metal import hostkeys
from rackwright.metal.configdrive import configdrive
from rackwright.metal.walk import Stuck
from rackwright.mirror.api import bundle_path
from rackwright.site import load_site

pytestmark = pytest.mark.lab
NAME, HEAD = "btsystem", "r660-1"
BOOT_LIMIT_S = 420.0  # emulated and beside other work; 95 s alone on two cores
SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
MEGABYTES = 50


def run(*argv: str | Path, text: str | None = None) -> str:
    done = subprocess.run([str(a) for a in argv], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(spec: LabSpec, n: NodeSpec, scratch: Path) -> None:
    """Put the system on the first disk and what it is told on the second."""
    model, state = load_site(SITE), State(spec.name)
    bundle = bundle_path(model.release) / "metal"
    assert (bundle / "images.json").exists(), "rackwright bundle build makes the image"
    image = next(i for i in json.loads((bundle / "images.json").read_text()) if i["name"] == "debian-13")
    folder = metal.MetalFiles(state.node(n.name)).bmc / "machine"
    run("zstd", "-dqf", bundle / image["packed"], "-o", scratch / "system.raw")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", scratch / "system.raw", folder / "disk0.qcow2")
    run("qemu-img", "resize", "-q", folder / "disk0.qcow2", "16G")
    drive = configdrive(model, model.node(n.name), [state.public_key()])
    told = scratch / "openstack/latest"
    told.mkdir(parents=True)
    (told / "meta_data.json").write_text(json.dumps({**drive["meta_data"], "uuid": n.machine_id}))
    (told / "user_data").write_text(drive["user_data"])
    run("truncate", "-s", "64M", scratch / "drive.raw")
    run("mkfs.vfat", "-n", "config-2", scratch / "drive.raw")
    run("mcopy", "-s", "-i", scratch / "drive.raw", told.parent, "::")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", scratch / "drive.raw", folder / "disk1.qcow2")


def booted(scratch: Path) -> tuple[LabSpec, NodeSpec]:
    """The lab with its machine up and its host key known."""
    spec = from_site(load_site(SITE), NAME, [BARE])
    lab.up(spec, say, only=[HEAD, BARE])
    n = spec.node(BARE)
    install(spec, n, scratch)
    boot = {"BootSourceOverrideTarget": "Hdd", "BootSourceOverrideEnabled": "Once"}
    assert redfish(spec, n, "PATCH", SYSTEM, {"Boot": boot})[0] in (200, 202, 204)
    switch(spec, n, "On")
    server = load_site(SITE).node(BARE)
    try:
        with metal.inside(spec.namespace):
            hostkeys.record(server, State(NAME).known_hosts, BOOT_LIMIT_S)
    except Stuck as stuck:
        console = metal.MetalFiles(State(NAME).node(BARE)).console.read_text(errors="replace")
        pytest.fail(f"{stuck}; its console's end:\n{console[-4000:]}")
    assert lab.answers(spec, State(NAME), n, limit_s=90)
    return spec, n


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabSpec, NodeSpec]]:
    lab.down(NAME, say, hard=True)
    try:
        yield booted(tmp_path_factory.mktemp("install"))
    finally:
        lab.down(NAME, say)
    assert traces(NAME) == []


def on(spec: LabSpec, node: str, command: str) -> str:
    login = State(NAME).ssh(spec.node(node), "-o", "ControlPath=none")
    return run(*network.enter(spec.namespace), *login, "--", command)


def pings(spec: LabSpec, target: str, *options: str) -> bool:
    said = on(spec, BARE, f"ping -c 3 -W 3 {' '.join(options)} {target} || true")
    return " 0% packet loss" in said


def test_its_own_kernel_has_the_sites_network(machine: tuple[LabSpec, NodeSpec]) -> None:
    spec, n = machine
    links = {link["ifname"]: link for link in json.loads(on(spec, BARE, "ip -json address"))}
    addresses = {
        name: [a["local"] for a in link["addr_info"] if a["family"] == "inet"] for name, link in links.items()
    }
    assert addresses["eno1"] == ["10.40.3.21"]
    assert addresses["bond0"] == ["10.40.0.21"]
    assert addresses["bond0.110"] == ["10.40.1.21"]
    assert on(spec, BARE, "cat /sys/class/dmi/id/product_serial").strip() == n.service_tag
    assert on(spec, BARE, "stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert (status_of(NAME).state, status_of(NAME).ssh) == ("running", True)


def test_every_network_carries_traffic(machine: tuple[LabSpec, NodeSpec]) -> None:
    spec, _ = machine
    for target in ("10.40.0.11", "10.40.1.11", "10.40.3.11"):
        assert pings(spec, target)
        assert pings(spec, target, "-M", "do", "-s", "1472")
    server = (
        "import hashlib, socket\n"
        "c, _ = socket.create_server(('10.40.1.11', 5001)).accept(); h = hashlib.sha256()\n"
        "while b := c.recv(1 << 20): h.update(b)\n"
        "print(h.hexdigest())"
    )
    client = (
        "import hashlib, os, socket\n"
        "d = os.urandom(1 << 20); h = hashlib.sha256(); c = socket.create_connection(('10.40.1.11', 5001))\n"
        f"for _ in range({MEGABYTES}): c.sendall(d); h.update(d)\n"
        "print(h.hexdigest())"
    )
    login = [*network.enter(spec.namespace), *State(NAME).ssh(spec.node(HEAD), "-o", "ControlPath=none")]
    listening = subprocess.Popen([*login, "--", f'python3 -c "{server}"'], stdout=subprocess.PIPE, text=True)
    time.sleep(3)
    sent = on(spec, BARE, f'python3 -c "{client}"')
    received, _ = listening.communicate(timeout=60)
    assert sent == received


def down(spec: LabSpec) -> int:
    """How many of the bond's links its kernel says are down, itself counted."""
    return on(spec, BARE, "cat /proc/net/bonding/bond0").count("MII Status: down")


def answers_to_the_head(spec: LabSpec) -> bool:
    """Whether the head reaches the silent machine's sshd over the management network."""
    greeting = "import socket; print(socket.create_connection(('10.40.0.21', 22), 5).recv(4))"
    return "SSH-" in on(spec, HEAD, f'python3 -c "{greeting}"')


def cable(spec: LabSpec, monitor: Qmp, number: int, tap: str, *, up: bool) -> None:
    """Pull or plug a cable: both ends see it, and a switch forgets what it learned there. Then LACP's frames go, one a second."""
    monitor.ask("set_link", name=f"n{number}", up=up)
    run("ip", "-netns", spec.namespace, "link", "set", tap, "up" if up else "down")
    time.sleep(5)


def test_the_bond_goes_on_over_the_other_switch_and_back(machine: tuple[LabSpec, NodeSpec]) -> None:
    spec, n = machine
    metal.end_bmc(NAME, BARE)
    monitor = Qmp(metal.MetalFiles(State(NAME).node(BARE)).monitor, lambda *_: None)
    assert n.machine is not None
    taps = [port.tap for port in n.machine.ports]
    for number in (1, 2):
        cable(spec, monitor, number, taps[number], up=False)
        assert pings(spec, "10.40.0.11"), number
        assert pings(spec, "10.40.1.11"), number
        assert down(spec) == 1
        cable(spec, monitor, number, taps[number], up=True)
        assert answers_to_the_head(spec), number
        assert down(spec) == 0
    monitor.close()
    lab.up(spec, say, only=[HEAD, BARE])
    assert metal.machine_pid(NAME, BARE) is not None


def test_its_gpus_come_by_its_firmware(machine: tuple[LabSpec, NodeSpec]) -> None:
    spec, n = machine
    shown = on(spec, BARE, "cat /sys/firmware/qemu_fw_cfg/by_name/opt/rackwright/gpus/raw")
    assert json.loads(shown) == n.gpus


def test_it_shuts_down_when_its_button_is_pressed(machine: tuple[LabSpec, NodeSpec]) -> None:
    begun = time.monotonic()
    lab.stop(NAME, BARE, False, say)
    assert time.monotonic() - begun < metal.SHUTDOWN_S
    assert (status_of(NAME).state, status_of(NAME).bmc) == ("stopped", False)
