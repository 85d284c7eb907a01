"""The kubelet's settings by kind of server, and what stands before its start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rackwright.derive.model import Processors
from rackwright.render import render
from rackwright.render.artefacts.cluster import reserved_cpus
from rackwright.site import load_site

UNIT = "/etc/systemd/system/kubelet.service.d/20-rackwright.conf"


def files(node: str, **options: object) -> dict[str, str]:
    return {file.path: file.content for file in render(load_site("reference"), node, "kubelet", options)}


def settings(node: str, **options: object) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        files(node, **options)["/etc/kubernetes/kubelet.conf.d/50-rackwright.conf"]
    )
    return found


@pytest.mark.parametrize(
    ("processors", "cores", "cpus"),
    [
        # An XE9680: 2 x 52 cores; CPU 0 is on the first socket, 1 on the second, 104 is 0's second thread.
        (Processors(2, 52, 104, 2), 2, "0-3,104-107"),
        (Processors(2, 32, 64, 2), 1, "0-1,64-65"),
        # Four NUMA nodes of two sockets; no second threads.
        (Processors(2, 48, 48, 4), 1, "0-3"),
        (Processors(1, 16, 32, 1), 1, "0,16"),
        # Never more than there are.
        (Processors(1, 2, 2, 1), 9, "0-1"),
    ],
)
def test_the_first_cores_of_each_numa_node_are_kept(processors: Processors, cores: int, cpus: str) -> None:
    assert reserved_cpus(processors, cores) == cpus


@pytest.mark.parametrize(
    ("node", "cpus"),
    [("r760xa-1", "0-3,64-67"), ("xe8640-1", "0-3,96-99"), ("xe9680-1", "0-3,104-107")],
)
def test_gpu_workers_give_whole_cores_and_keep_gpus_together(node: str, cpus: str) -> None:
    found = settings(node)
    assert found["cpuManagerPolicy"] == "static"
    assert found["topologyManagerPolicy"] == "restricted"
    assert found["reservedSystemCPUs"] == cpus
    assert found["systemReserved"] == {"memory": "4Gi"}


def test_control_planes_share_all_of_their_cores() -> None:
    found = settings("r660-1")
    assert not {"cpuManagerPolicy", "topologyManagerPolicy", "reservedSystemCPUs"} & set(found)
    assert found["systemReserved"] == {"memory": "4Gi"}


def test_both_managers_can_be_left_out() -> None:
    found = settings("xe9680-1", kubernetes_cpu_manager="none", kubernetes_topology_manager="none")
    assert not {"cpuManagerPolicy", "topologyManagerPolicy", "reservedSystemCPUs"} & set(found)


def test_huge_pages_are_made_before_the_kubelet_counts_them() -> None:
    line = "ExecStartPre=/usr/sbin/sysctl --quiet --write vm.nr_hugepages=512\n"
    assert line in files("xe9680-1", kubernetes_hugepages=512)[UNIT]
    assert "hugepages" not in files("xe9680-1")[UNIT]
    assert "hugepages" not in files("r660-1", kubernetes_hugepages=512)[UNIT]


@pytest.mark.parametrize(("noted", "kept"), [(200, True), (50, False), (None, False)])
def test_a_note_of_cores_older_than_the_settings_is_dropped(
    noted: int | None, kept: bool, tmp_path: Path
) -> None:
    (line,) = [line for line in files("xe9680-1")[UNIT].splitlines() if line.startswith("ExecStartPre=")]
    script = line.partition("'")[2].rstrip("'")
    conf, state = tmp_path / "50-rackwright.conf", tmp_path / "cpu_manager_state"
    conf.touch()
    os.utime(conf, (100, 100))
    if noted is not None:
        state.touch()
        os.utime(state, (noted, noted))
    script = script.replace("/etc/kubernetes/kubelet.conf.d", str(tmp_path))
    subprocess.run(["/bin/sh", "-c", script.replace("/var/lib/kubelet", str(tmp_path))], check=True)
    assert state.exists() == kept
