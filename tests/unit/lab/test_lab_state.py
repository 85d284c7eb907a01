"""What a lab keeps on disk."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rackwright.errors import RunFailure, UsageError
from rackwright.lab import hostlimits, node, overlay, workstation
from rackwright.lab.spec import LabSpec
from rackwright.lab.state import State, labs_dir, lock, names, resolv_conf, workstation_hosts


@pytest.fixture
def state(lab: LabSpec) -> State:
    made = State(lab.name)
    made.prepare(lab)
    return made


def test_resolver_knows_only_the_site(lab: LabSpec) -> None:
    lines = resolv_conf(lab).splitlines()
    assert lines[:2] == ["search tiny.example", "nameserver 192.0.2.11"]
    assert "192.0.2.10 api.tiny.example" in workstation_hosts(lab).splitlines()


def test_prepare_again_keeps_the_key(lab: LabSpec, state: State) -> None:
    key = state.key.read_text()
    state.prepare(lab)
    assert state.key.read_text() == key
    assert stat.S_IMODE(state.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    assert state.spec() == lab
    assert names() == (lab.name,)


def test_overlay_holds_login_and_every_forced_option(state: State) -> None:
    variables = yaml.safe_load(state.overlay.read_text())["all"]
    assert variables["ansible_ssh_private_key_file"] == str(state.key)
    assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]
    assert variables["kubernetes_preflight_ignore"] == ["SystemVerification", "Swap"]
    assert variables["baseline_time_adjust_clock"] is False
    assert {f.option for f in overlay.FORCED} <= set(variables)
    assert all(f.reason for f in overlay.FORCED)
    assert "ansible_user" not in variables


def test_another_user_than_root_is_overlaid(lab: LabSpec) -> None:
    other = State("other")
    other.prepare(replace(lab, user="ubuntu"))
    assert yaml.safe_load(other.overlay.read_text())["all"]["ansible_user"] == "root"


def test_known_hosts_are_the_nodes_own_keys(lab: LabSpec, state: State) -> None:
    files = node.prepare(lab, lab.nodes[0], state)
    state.write_known_hosts(lab)
    key = (files.upper / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[1]
    assert state.known_hosts.read_text() == f"192.0.2.11,n1.tiny.example,n1 ssh-ed25519 {key}\n"


def test_a_node_gets_its_identity_once(lab: LabSpec, state: State) -> None:
    files = node.prepare(lab, lab.nodes[0], state)
    assert (files.upper / "etc/machine-id").read_text().strip() == lab.nodes[0].machine_id
    assert stat.S_IMODE((files.upper / "root/.ssh/authorized_keys").stat().st_mode) == 0o600
    (files.upper / "etc/hosts").write_text("a role wrote this\n")
    node.prepare(lab, lab.nodes[0], state)
    assert (files.upper / "etc/hosts").read_text() == "a role wrote this\n"


def test_the_launcher_is_a_valid_script_that_enters_its_groups_first(lab: LabSpec, state: State) -> None:
    files = node.prepare(lab, lab.nodes[0], state)
    procs = (Path("/sys/fs/cgroup/memory/rw-tiny/n1/cgroup.procs"),)
    script = node.launch_script(lab.nodes[0], files, Path("/rootfs"), "rw-tiny.n1", procs)
    lines = script.splitlines()
    assert lines[2] == "echo $$ > /sys/fs/cgroup/memory/rw-tiny/n1/cgroup.procs"
    assert lines[-1].startswith("exec systemd-nspawn ")
    assert "--bind-ro" not in script
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_a_lab_is_for_one_command_at_a_time(state: State) -> None:
    with state.locked("first"), pytest.raises(RunFailure) as caught, State(state.name).locked("second"):
        pass
    assert str(os.getpid()) in caught.value.evidence
    with state.locked("third"):
        pass
    assert not list(labs_dir().glob(".*.lock"))


def test_a_lock_outlives_no_process(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text("4194304")
    with lock(path, "go on", "x"):
        assert path.read_text() == str(os.getpid())


def test_unreadable_state_is_no_lab(state: State) -> None:
    (state.directory / "lab.json").write_text("{")
    assert state.spec() is None
    with pytest.raises(UsageError, match="there is no lab"):
        state.existing()


def test_delete_finishes_what_was_interrupted(state: State) -> None:
    doomed = labs_dir() / f".{state.name}.deleting"
    doomed.mkdir()
    (doomed / "rest").touch()
    assert names() == (state.name,)
    state.delete()
    state.delete()
    assert names() == ()


def test_a_command_runs_in_the_labs_namespace_with_its_names(lab: LabSpec, state: State) -> None:
    line = workstation.command_line(state, lab, ["ansible", "-m", "ping", "a b"])
    assert line[:2] == ["nsenter", "--net=/run/netns/rw-tiny"]
    assert line[-4:] == ["ansible", "-m", "ping", "a b"]
    assert {str(state.resolv_conf), str(state.hosts)} <= set(line)
    assert workstation.environment(state)["RACKWRIGHT_OVERLAY"] == str(state.overlay)


def test_host_limits_are_raised_once_and_put_back(tmp_path: Path) -> None:
    labs_dir().mkdir(parents=True)
    (tmp_path / "fs/inotify").mkdir(parents=True)
    instances, watches = (tmp_path / name for name in hostlimits.WANTED)
    instances.write_text("128\n")
    watches.write_text("1048576\n")
    said: list[str] = []
    for _ in range(2):
        hostlimits.raise_limits(said.append, tmp_path)
    assert instances.read_text() == "8192\n"
    assert len(said) == 1
    hostlimits.restore_limits(said.append, tmp_path)
    assert (instances.read_text(), watches.read_text()) == ("128\n", "1048576\n")
    instances.write_text("999\n")
    hostlimits.restore_limits(said.append, tmp_path)
    assert instances.read_text() == "999\n"
