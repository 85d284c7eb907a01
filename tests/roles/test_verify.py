"""The verification leaves nothing behind, and finds what is broken."""

from __future__ import annotations

import os
import subprocess
import time

from cluster import objects
from node_hosts import SITE, NodeHost, overlay

from rackwright.derive.model import SiteModel
from rackwright.paths import checkout


def verify(*layers: str) -> subprocess.CompletedProcess[str]:
    """Run the verification from here, of some layers only."""
    return subprocess.run(
        ["ansible-playbook", "-i", f"{SITE}/site.yml", "playbooks/verify.yml", "-e", f"{{verify_layers: [{', '.join(layers)}]}}"],
        cwd=checkout(),
        env={**os.environ, "RACKWRIGHT_OVERLAY": str(overlay()), "ANSIBLE_CONFIG": str(checkout() / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def left_behind() -> list[str]:
    """Namespaces and claims of the verification's own."""
    names = [one["metadata"]["name"] for one in [*objects("namespaces"), *objects("pvc -A")]]
    return [name for name in names if "verify" in name or "probe" in name]


def test_no_namespace_or_claim_of_the_probe_is_left() -> None:
    deadline = time.monotonic() + 90  # a namespace takes a while to go
    while left_behind() and time.monotonic() < deadline:
        time.sleep(2)
    assert left_behind() == []


def test_a_dead_time_service_is_found_and_named(site: SiteModel) -> None:
    node = NodeHost(site.kubernetes_nodes[-1])
    # chrony was started anew by the scenarios before: it may still be choosing.
    deadline = time.monotonic() + 120
    while (sound := verify("time")).returncode != 0 and time.monotonic() < deadline:
        time.sleep(5)
    assert sound.returncode == 0, sound.stdout[-3000:]
    node.out("systemctl stop chrony")
    try:
        broken = verify("time")
    finally:
        node.out("systemctl start chrony")
    assert broken.returncode != 0
    failed = [line for line in broken.stdout.splitlines() if "failed" in line and node.node.name in line]
    assert failed, broken.stdout[-2000:]
