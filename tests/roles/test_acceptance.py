"""Role acceptance on a standing cluster: each GPU server has a certificate, and what a rehearsal can't show is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cluster import becomes, kubectl, objects

from rackwright.derive.model import SiteModel
from rackwright.paths import build_dir


@pytest.fixture
def certificates(site: SiteModel) -> dict[str, dict[str, Any]]:
    """The certificates by server."""
    places = {node.name: build_dir() / "acceptance" / site.name / node.name for node in site.gpu_workers}
    return {name: json.loads((place / "certificate.json").read_text()) for name, place in places.items()}


def test_each_gpu_server_has_a_certificate_for_what_the_site_orders(
    site: SiteModel, certificates: dict[str, dict[str, Any]]
) -> None:
    for node in site.gpu_workers:
        assert node.gpus is not None
        server = certificates[node.name]["server"]
        assert (server["host"], server["profile"], server["gpus"]) == (
            node.name,
            node.profile,
            node.gpus.count,
        )
        checks = {(one["id"], one["target"]): one["result"] for one in certificates[node.name]["checks"]}
        assert checks["inventory.count", "server"] == "passed"
        assert all(checks["inventory.product", f"GPU {n}"] == "passed" for n in range(node.gpus.count))


def test_speed_that_was_not_measured_is_not_certified(certificates: dict[str, dict[str, Any]]) -> None:
    """The site's Triton image has no PyTorch, and the rehearsal no GPUs."""
    for certificate in certificates.values():
        assert certificate["result"] == "incomplete"
        assert not any(one["id"].startswith("speed.") for one in certificate["checks"])
        assert any("Speed was not exercised" in note for note in certificate["notes"])


def test_nothing_is_left_in_the_cluster() -> None:
    assert becomes(True, lambda: objects("jobs -n acceptance") == [])
    assert kubectl("-n acceptance get configmaps -o name").split() == ["configmap/kube-root-ca.crt"]


def test_raw_output_is_kept(site: SiteModel) -> None:
    for node in site.gpu_workers:
        raw = build_dir() / "acceptance" / site.name / node.name / "raw"
        assert {"nvidia-smi-before.xml", "topology.txt", "pod.log"} <= {
            path.name for path in Path(raw).iterdir()
        }
