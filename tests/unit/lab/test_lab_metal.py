"""Bare machines as the lab plans them: ports, switches, disks, configuration, overlay, and which they are."""

from __future__ import annotations

import argparse
import json
import socket
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rackwright.cli import rehearse
from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.lab import metal, metal_bpf, metal_network, metal_spec, network, node, overlay, workstation
from rackwright.lab.bmc.config import config_of
from rackwright.lab.network import Device
from rackwright.lab.spec import LabSpec, from_site
from rackwright.lab.state import State
from rackwright.site import load_site

ROOT = Path(__file__).parents[3]
GIB = 2**30
WORKER = "r760xa-1"


@pytest.fixture(scope="module")
def model() -> SiteModel:
    return load_site(str(ROOT / "inventories/hundred-gig"))


@pytest.fixture(scope="module")
def minimal() -> SiteModel:
    return load_site(str(ROOT / "inventories/minimal"))


@pytest.fixture
def mixed(minimal: SiteModel) -> LabSpec:
    return from_site(minimal, "mixed", ["r660-2", WORKER])


def test_a_machine_has_the_servers_ports_on_its_switches(model: SiteModel) -> None:
    machine = from_site(model, None, ["r660-2"]).node("r660-2").machine
    assert machine is not None
    ports = {p.name: p for p in machine.ports}
    assert (ports["lom1"].bridge, ports["lom1"].vlans, ports["lom1"].mtu) == ("br-oob", None, 1500)
    assert [ports[n].bridge for n in ("ocp1", "ocp2", "nic1")] == ["sw-leaf-a", "sw-leaf-b", "sw-leaf-a"]
    assert (ports["ocp1"].native, ports["ocp1"].vlans) == (True, (210,))
    assert (ports["nic1"].native, ports["nic1"].vlans, ports["nic1"].mtu) == (False, (220,), 9000)
    assert ports["ocp1"].mac == "b8:3f:d2:42:0c:01"
    assert all(len(p.tap) <= 15 for p in machine.ports)


def test_all_machines_taps_differ(model: SiteModel) -> None:
    lab = from_site(model, None, [n.name for n in model.nodes if not n.is_head])
    taps = [port.tap for port in metal_network.ports(lab)]
    assert len(set(taps)) == len(taps) > 10


def test_the_bmc_is_the_node_s_only_link(mixed: LabSpec, minimal: SiteModel) -> None:
    n, server = mixed.node("r660-2"), minimal.node("r660-2")
    (link,) = n.links
    assert link.address is not None
    assert (link.address.ip, link.mac, link.purpose) == (server.bmc.address, server.bmc.mac, "oob")
    assert (n.address, n.gateway) == (server.address, minimal.networks["oob"].gateway)
    assert not mixed.node("r660-3").metal


def test_disks_go_by_the_profile(mixed: LabSpec) -> None:
    machines = {name: mixed.node(name).machine for name in ("r660-2", WORKER)}
    kinds = {name: [d.kind for d in m.disks] for name, m in machines.items() if m is not None}
    assert kinds == {"r660-2": ["virtio"], WORKER: ["nvme", "nvme"]}


def test_a_lab_with_machines_survives_the_disk_and_one_from_before_is_read(mixed: LabSpec) -> None:
    data = json.loads(json.dumps(mixed.to_dict()))
    assert LabSpec.from_dict(data) == mixed
    for n in data["nodes"]:
        del n["machine"]
    del data["fabric"]
    assert not any(n.metal for n in LabSpec.from_dict(data).nodes)


@pytest.mark.parametrize(("names", "said"), [(["r660-1"], "head node"), (["nowhere"], "no node 'nowhere'")])
def test_what_can_t_be_a_bare_machine(minimal: SiteModel, names: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_site(minimal, None, names)


def test_a_port_without_a_stated_switch_is_on_some_switch(minimal: SiteModel) -> None:
    bare = replace(minimal, cables=())
    machine = from_site(bare, None, ["r660-2"]).node("r660-2").machine
    assert machine is not None
    assert {p.bridge for p in machine.ports} == {"br-oob", "sw-fabric"}


def test_without_names_all_but_the_head_where_there_is_room(minimal: SiteModel) -> None:
    assert metal_spec.choose(minimal, 64 * GIB, 8) == (
        ("r660-2", "r660-3", WORKER, "r760xa-2"),
        "all servers but the head",
    )
    names, why = metal_spec.choose(minimal, 13 * GIB, 8)
    assert names == (WORKER, "r760xa-2")
    assert "2 of the 4" in why and "13.0 GiB available" in why and "3 of them emulated" in why
    names, why = metal_spec.choose(minimal, 64 * GIB, 2)
    assert names == (WORKER, "r760xa-2")
    assert (
        why
        == "2 of the 4 servers beside the head, for 2 processors, of which a control plane takes 2 and another 0.75"
    )
    assert metal_spec.choose(minimal, 64 * GIB, 4)[0] == ("r660-2", WORKER, "r760xa-2")
    with pytest.raises(UsageError, match="no room"):
        metal_spec.choose(minimal, 5 * GIB, 8)
    with pytest.raises(UsageError, match="1 processors"):
        metal_spec.choose(minimal, 64 * GIB, 1)


def test_metal_on_the_command_line(minimal: SiteModel) -> None:
    parser = argparse.ArgumentParser()
    rehearse.register(parser.add_subparsers())
    for words, named in (
        ([], None),
        (["--metal", "r660-2,r660-3"], ("r660-2", "r660-3")),
        (["--metal", "r660-3", "r660-2"], ("r660-3", "r660-2")),
    ):
        args = parser.parse_args(["rehearse", "inventories/minimal", *words])
        assert rehearse.bare_machines(minimal, args.metal)[0] == (named or ())
    assert parser.parse_args(["rehearse", "inventories/minimal", "--metal"]).metal == []


def test_without_names_a_lab_that_is_there_goes_on_with_its_machines(
    minimal: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its machines take is no longer available, so a choice anew would be of fewer."""
    monkeypatch.setattr(rehearse, "memory_available", lambda text: 5 * GIB)
    with pytest.raises(UsageError, match="no room"):
        rehearse.bare_machines(minimal, [])
    State(minimal.name).prepare(from_site(minimal, None, [WORKER, "r660-3"]))
    assert rehearse.bare_machines(minimal, [])[0] == ("r660-3", WORKER)
    State("other").prepare(from_site(minimal, "other", []))
    with pytest.raises(UsageError, match="no room"):
        rehearse.bare_machines(minimal, [], "other")
    assert rehearse.bare_machines(minimal, ["r660-2"])[0] == ("r660-2",)


def devices(lab: LabSpec) -> dict[str, Device]:
    """The kernel's view after ``plan`` was carried out, by what its lines say."""
    have: dict[str, Device] = {}
    lines = metal_network.plan(lab, {})
    for line in lines:
        words = line.split()
        if words[:2] == ["link", "add"]:
            have[words[2]] = Device(words[2], words[4], "", 0, False, None, frozenset())
            if words[4] == "veth":
                have[words[-1]] = Device(words[-1], "veth", "", 0, False, None, frozenset())
        elif words[0] == "tuntap":
            have[words[3]] = Device(words[3], "tun", "", 0, False, None, frozenset())
        elif words[3] == "mtu":
            have[words[2]] = replace(have[words[2]], mtu=int(words[4]))
        elif words[3] == "master":
            have[words[2]] = replace(have[words[2]], master=words[4])
        elif words[3] == "up":
            have[words[2]] = replace(have[words[2]], up=True)
        else:
            pytest.fail(f"not understood: {line}")
    return have


def test_the_plan_makes_everything_once_and_without_a_loop(model: SiteModel) -> None:
    lab = from_site(model, None, [n.name for n in model.nodes if not n.is_head])
    have = devices(lab)
    assert metal_network.plan(lab, have) == []
    assert all(len(name) <= 15 for name in have)
    assert lab.fabric is not None
    # A tree: between the switches one link less than there are switches; one trunk.
    links = list(metal_network.peer_links(lab.fabric))
    assert len(links) == len(lab.fabric.switches) - 1
    assert [have[d].master for d in ("trunk", "trunk-x")] == [lab.fabric.switches[0], None]
    assert have["n-storage"].master == "br-storage" and have["x-storage"].master is None
    assert have["n-storage"].mtu == 9000 and have["n-management"].mtu == 1500


def test_the_plan_removes_what_left_and_nothing_else(model: SiteModel) -> None:
    lab = from_site(model, None, ["r660-2"])
    other = {
        name: Device(name, kind, "", 1500, True, None, frozenset())
        for name, kind in (("lo", ""), ("br-oob", "bridge"), ("v0123456789a", "veth"), ("sit0", "sit"))
    }
    have = devices(lab) | other
    lines = metal_network.plan(from_site(model), have)
    assert all(line.startswith("link delete ") for line in lines)
    gone = {line.split()[2] for line in lines}
    assert not gone & set(other)
    assert {"sw-leaf-a", "sw-leaf-b", "trunk", "n-storage"} <= gone


def test_programs_are_for_the_trunk_and_the_ports_on_switches(model: SiteModel) -> None:
    lab = from_site(model, None, ["r660-2"])
    by_kind: dict[str, list[str]] = {}
    for entry in metal_network.programs(lab):
        by_kind.setdefault(entry["kind"], []).append(entry["device"])
    assert by_kind["sort_out"] == ["trunk-x"]
    assert by_kind["bring"] == ["x-management", "x-external", "x-storage"]
    assert len(by_kind["port"]) == 2 * 4  # four ports, in and out
    json.dumps(metal_network.programs(lab))


def test_programs_are_whole_instructions_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nametoindex", {"a": 7, "b": 8}.__getitem__)
    entries: tuple[dict[str, Any], ...] = (
        {"kind": "port", "native": True, "vlans": [110, 120]},
        {"kind": "sort_out", "native": "a", "vlans": {"110": "b"}},
        {"kind": "sort_out", "native": None, "vlans": {}},
        {"kind": "bring", "vlan": 110, "trunk": "a"},
        {"kind": "bring", "vlan": None, "trunk": "a"},
    )
    for entry in entries:
        code = metal_bpf.assemble(entry)
        steps = [struct.unpack_from("<BBhi", code, at) for at in range(0, len(code), 8)]
        assert steps[-1][0] == 0x95
        jumps = [(at, step[2]) for at, step in enumerate(steps) if step[0] == 0x55]
        assert all(offset > 0 and at + 1 + offset < len(steps) for at, offset in jumps)
    with pytest.raises(ValueError, match="no kind of program"):
        metal_bpf.assemble({"kind": "other"})


def test_the_bmc_is_told_what_it_is(mixed: LabSpec) -> None:
    state = State(mixed.name)
    state.prepare(mixed)
    files = metal.prepare(mixed, mixed.node(WORKER), state)
    data = json.loads(files.config.read_text())
    config = config_of(data)  # the BMC's own reading: an unknown key is an error
    assert (config.address, config.port, config.service_tag) == ("10.40.3.121", 443, "5QS72L4")
    assert config.factory_password == state.factory()["password"]
    assert files.config.stat().st_mode & 0o777 == 0o600
    machine = config.machine
    assert [t["port"] for t in machine["taps"]] == ["lom1", "ocp1", "ocp2"]
    assert machine["netns"] == "rw-mixed"
    assert len(config.hardware["gpus"]) == 4
    silicon = Path(machine["fw_cfg"][0]["file"])
    assert len(json.loads(silicon.read_text())["gpus"]) == 4
    other = json.loads(metal.prepare(mixed, mixed.node("r660-2"), state).config.read_text())
    assert other["machine"]["fw_cfg"] == []


def test_the_bmc_enters_its_groups_and_its_network_first(mixed: LabSpec) -> None:
    files = metal.MetalFiles(Path("/x y"))
    script = metal.launch_script(mixed.node(WORKER), files, "rw-mixed.n", (Path("/cg/cgroup.procs"),))
    lines = script.splitlines()
    assert lines[2] == "echo $$ > /cg/cgroup.procs"
    assert lines[3].startswith("exec nsenter --net=/run/netns/rw-mixed.n -- ")
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_what_a_container_forces_does_not_reach_a_bare_machine(mixed: LabSpec) -> None:
    state = State(mixed.name)
    state.prepare(mixed)
    data = yaml.safe_load(state.overlay.read_text())
    assert set(data) == {"all", *(n.name for n in mixed.nodes)}
    forced = {f.option for f in overlay.FORCED}
    assert forced <= set(data["r660-1"])
    assert data["r660-2"] == {
        "kubernetes_cpu_manager": "none",
        "kubernetes_topology_manager": "none",
        "kubernetes_reserved_memory": "512Mi",
    }
    assert not forced & set(data["all"])
    assert data["all"]["bmc_factory"] == state.factory()
    assert data["all"]["server_authorized_keys"] == [state.public_key()]
    assert state.overlay.stat().st_mode & 0o777 == 0o600
    env = workstation.environment(state)
    assert Path(env["ANSIBLE_VAULT_PASSWORD_FILE"]).read_text().strip()


def test_the_factory_s_password_stays_and_is_the_lab_s_own(mixed: LabSpec) -> None:
    one, other = State("mixed"), State("other")
    for state in (one, other):
        state.prepare(mixed)
    first = one.factory()
    one.prepare(mixed)
    assert one.factory() == first != other.factory()


def test_ansible_sees_the_overlay_of_hosts(mixed: LabSpec) -> None:
    state = State(mixed.name)
    state.prepare(mixed)
    shown = subprocess.run(
        [
            str(ROOT / ".venv/bin/ansible-inventory"),
            "-i",
            str(ROOT / "inventories/minimal/site.yml"),
            "--list",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=workstation.environment(state),
    )
    hosts = json.loads(shown.stdout)["_meta"]["hostvars"]
    assert hosts["r660-1"]["pod_network_privileged"] is True
    assert "pod_network_privileged" not in hosts["r660-2"]
    assert hosts["r660-2"]["kubernetes_cpu_manager"] == "none"
    assert hosts["r660-2"]["ansible_ssh_private_key_file"] == str(state.key)


def test_a_registered_host_key_stays_while_containers_keys_are_the_lab_s(mixed: LabSpec) -> None:
    state = State(mixed.name)
    state.prepare(mixed)
    for n in mixed.nodes:
        if not n.metal:
            node.prepare(mixed, n, state)
    state.write_known_hosts(mixed)
    assert len(state.known_hosts.read_text().splitlines()) == 3
    learnt = "10.40.0.12,r660-2.minimal.example,r660-2 ssh-ed25519 AAAA\n"
    with state.known_hosts.open("a") as file:
        file.write(learnt + "10.40.0.11 ssh-ed25519 stale\n")
    state.write_known_hosts(mixed)
    lines = state.known_hosts.read_text().splitlines(keepends=True)
    assert learnt in lines and len(lines) == 4


def test_nobody_answers_where_no_lab_is(mixed: LabSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "NETNS", Path("/nonexistent"))
    assert metal.service_root(mixed, mixed.node(WORKER)) is None
