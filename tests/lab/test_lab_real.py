"""Labs for real: root, namespaces, containers. Each test leaves the machine as it found it.

What is compared before and after is limited to these tests' own names: other labs may stand beside them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab import network, node
from rackwright.lab.state import State, labs_dir

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
SITE = str(ROOT / "inventories/minimal")
ONE, TWO = "labtest-1", "labtest-2"
NODES = ("r660-1", "r660-2", "r660-3", "r760xa-1", "r760xa-2")


def lab(*argv: str, name: str = ONE, site: str = SITE) -> list[str]:
    """The command line of a lab action; what follows ``--`` stays last."""
    action, *rest = argv
    return [sys.executable, "-m", "rackwright.cli.main", "lab", action, "--name", name, site, *rest]


def call(*argv: str, name: str = ONE, rc: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(lab(*argv, name=name), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == rc, done.stdout + done.stderr
    return done


def on(host: str, command: str, name: str = ONE) -> str:
    return call("shell", host, "--", command, name=name).stdout.strip()


def status(name: str = ONE, rc: int = 0) -> dict[str, object]:
    data: dict[str, object] = json.loads(call("status", "--format", "json", name=name, rc=rc).stdout)
    return data


def pids(name: str = ONE) -> dict[str, int]:
    found = {n: node.leader(name, n) for n in NODES}
    return {n: pid for n, pid in found.items() if pid is not None}


def traces(name: str) -> dict[str, list[str]]:
    """Everything of a lab that can be found on this machine without asking the lab."""
    groups = [str(p) for p in Path("/sys/fs/cgroup").glob(f"*/rw-{name}")]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line]
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue  # has ended: this machine's process 1 takes some seconds to notice
            text = (entry / "cgroup").read_text() + (entry / "cmdline").read_text()
        except OSError:
            continue
        if f"rw-{name}" in text or f"/labs/{name}/" in text:
            processes.append(f"{entry.name} {text[-80:]}")
    files = [str(p) for p in (*labs_dir().glob(f"{name}*"), *labs_dir().glob(f".{name}*"))]
    names = [str(p) for p in network.NETNS.glob(f"rw-{name}*")] if network.NETNS.is_dir() else []
    links = subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout
    devices = [d["ifname"] for d in json.loads(links) if d["ifname"].startswith(("br-", "v"))]
    return {
        "groups": groups,
        "mounts": mounts,
        "processes": processes,
        "files": files,
        "names": names,
        "devices": devices,
    }


@pytest.fixture
def clean() -> Iterator[None]:
    own_groups = Path("/proc/self/cgroup").read_text()
    root_groups = {p for p in Path("/sys/fs/cgroup").glob("*/*/") if not p.name.startswith("rw-")}
    before = traces(ONE)["devices"]
    for name in (ONE, TWO):
        call("down", "--hard", name=name)
    yield
    for name in (ONE, TWO):
        call("down", name=name)
        left = traces(name)
        assert left.pop("devices") == before
        assert not any(left.values()), left
    call("down")
    assert Path("/proc/self/cgroup").read_text() == own_groups
    assert {p for p in Path("/sys/fs/cgroup").glob("*/*/") if not p.name.startswith("rw-")} == root_groups


def test_a_lab_is_the_site(clean: None) -> None:
    begun = time.monotonic()
    call("up", "--memory", "2G")
    assert time.monotonic() - begun < 40
    shown = json.loads(on("r760xa-1", "ip -json address"))
    links = {link["ifname"]: link for link in shown}
    assert links["bond0"]["address"] and links["eno1"]["operstate"] == "UP"
    assert on("r660-1", "hostname -f") == "r660-1.minimal.example"
    assert on("r660-1", "systemctl is-system-running --wait") == "running"
    assert on("r660-1", "find /etc/apt/sources.list* -type f | wc -l") == "0"
    assert json.loads(on("r760xa-1", "cat /etc/rackwright-silicon/gpus.json"))["gpus"][3]["index"] == 3
    python = "import socket; socket.create_connection(('{}', 22), 3).close(); print('there')"
    assert on("r660-1", f'python3 -c "{python.format("10.40.0.21")}"') == "there"
    world = call("shell", "r660-1", "--", f'python3 -c "{python.format("192.0.2.1")}"', rc=1)
    assert "unreachable" in world.stderr or "timed out" in world.stderr
    groups = node.group(ONE, "r660-1").directories
    limits = [p.read_text() for d in groups for p in d.glob("memory.limit_in_bytes")]
    assert limits == [f"{2 * 2**30}\n"]
    first = pids()
    call("up")
    assert pids() == first


def test_nodes_have_every_processor_when_their_maker_has_one(clean: None) -> None:
    bound = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(bound)})
    try:
        call("up", "--only", "r660-1")
    finally:
        os.sched_setaffinity(0, bound)
    assert on("r660-1", "nproc") == str(os.cpu_count())


def test_the_kernels_own_settings_stay_the_hosts(clean: None) -> None:
    host = Path("/proc/sys/kernel/panic").read_text()
    call("up", "--only", "r660-1")
    assert on("r660-1", "echo 77 > /proc/sys/kernel/panic; cat /proc/sys/kernel/panic") == "77"
    assert on("r660-1", "echo 1 > /proc/sys/vm/overcommit_memory; cat /proc/sys/vm/overcommit_memory") == "1"
    assert Path("/proc/sys/kernel/panic").read_text() == host
    bpf = "mount -t bpf bpf /sys/fs/bpf && stat -f -c %T /sys/fs/bpf"
    assert on("r660-1", bpf) == "bpf_fs"
    assert (
        on("r660-1", "mkdir /sys/fs/cgroup/memory/t && rmdir /sys/fs/cgroup/memory/t && echo made") == "made"
    )


def test_run_passes_names_overlay_and_exit_code(clean: None) -> None:
    call("up", "--only", "r660-1")
    script = "getent hosts api.minimal.example; cat /etc/resolv.conf; cat $RACKWRIGHT_OVERLAY; exit 7"
    done = call("run", "--", "sh", "-c", script, rc=7)
    assert "10.40.0.10" in done.stdout
    assert "nameserver 10.40.0.11" in done.stdout
    assert "baseline_time_adjust_clock: false" in done.stdout
    assert "10.40.0.11" not in Path("/etc/resolv.conf").read_text()
    call("run", rc=2)


def test_a_dead_node_and_a_lost_cable_are_mended(clean: None) -> None:
    call("up")
    before = pids()
    os.kill(before["r660-2"], signal.SIGKILL)
    spec = State(ONE).existing()
    port = spec.node("r660-3").links[0].port
    subprocess.run(["ip", "-netns", spec.namespace, "link", "delete", port], check=True)
    subprocess.run(["ip", "-netns", spec.namespace, "address", "flush", "dev", "br-management"], check=True)
    time.sleep(1)
    assert status(rc=1)["state"] == "partial"
    call("up")
    after = pids()
    assert after["r660-2"] != before["r660-2"]
    assert {n: after[n] for n in NODES if n != "r660-2"} == {n: before[n] for n in NODES if n != "r660-2"}
    assert status()["state"] == "up"


def test_up_killed_midway_is_completed_by_up(clean: None) -> None:
    for delay in (0.8, 1.6, 2.6):
        killed = subprocess.Popen(lab("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        killed.kill()
        killed.wait()
    call("up")
    assert len(pids()) == len(NODES)
    assert status()["state"] == "up"


def test_up_killed_midway_is_removed_by_down(clean: None) -> None:
    killed = subprocess.Popen(lab("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    killed.kill()
    killed.wait()
    assert any(traces(ONE)["groups"])


def test_two_labs_of_one_site_stand_side_by_side(clean: None) -> None:
    both = [subprocess.Popen(lab("up", "--only", "r660-1", name=name)) for name in (ONE, TWO)]
    assert [p.wait(120) for p in both] == [0, 0]
    for name in (ONE, TWO):
        on("r660-1", f"echo {name} > /root/who", name=name)
    assert [on("r660-1", "cat /root/who", name=name) for name in (ONE, TWO)] == [ONE, TWO]
    call("down", name=TWO)
    assert on("r660-1", "cat /root/who") == ONE


def test_a_node_is_switched_off_and_on_with_its_disk(clean: None) -> None:
    call("up", "--only", "r660-1", "--only", "r660-2")
    for how in ([], ["--hard"]):
        on("r660-2", "echo kept > /root/file; echo kept > /srv/file")
        call("stop", "r660-2", *how)
        states = {n["name"]: n["state"] for n in status(rc=1)["nodes"]}  # type: ignore[attr-defined]
        assert (states["r660-1"], states["r660-2"]) == ("running", "stopped")
        call("start", "r660-2")
        assert on("r660-2", "cat /root/file /srv/file") == "kept\nkept"


def test_what_ignores_a_shutdown_is_ended_and_strangers_too(clean: None) -> None:
    call("up", "--only", "r660-1")
    stubborn = "sh -c 'trap : TERM; while :; do sleep 1; done'"
    on("r660-1", f"systemd-run --quiet -p KillMode=none -p SendSIGKILL=no {stubborn}")
    stranger = subprocess.Popen(lab("run", "--", "sleep", "600"), stdout=subprocess.DEVNULL)
    time.sleep(1)
    begun = time.monotonic()
    call("down")
    assert time.monotonic() - begun < 30
    assert stranger.wait(5) != 0


def test_an_unknown_node_and_a_second_command_are_refused(clean: None) -> None:
    call("up", "--only", "nowhere", rc=2)
    call("shell", "r660-1", rc=2)
    with State(ONE).locked("hold"):
        assert "is locked by process" in call("up", rc=1).stderr
