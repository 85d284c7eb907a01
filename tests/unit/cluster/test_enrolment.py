"""Which kubelet serving certificates are approved: judged on real requests, made by openssl."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.rackwright_enrolment import is_pending, objection

NODES = {
    "gpu-1": {"name": "gpu-1", "address": "10.40.0.21"},
    "gpu-2": {"name": "gpu-2", "address": "10.40.0.22"},
}


def request(tmp_path: Path, subject: str, names: str, username: str = "system:node:gpu-1") -> dict[str, Any]:
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject]
    extension = ["-addext", f"subjectAltName={names}"] if names else []
    done = subprocess.run(
        [*command, *extension, "-keyout", str(tmp_path / "key")], capture_output=True, text=True, check=True
    )
    return {
        "metadata": {"name": "csr-1"},
        "spec": {
            "signerName": "kubernetes.io/kubelet-serving",
            "username": username,
            "request": base64.b64encode(done.stdout.encode()).decode(),
            "usages": ["digital signature", "server auth"],
        },
    }


OWN = "/O=system:nodes/CN=system:node:gpu-1"


def test_a_nodes_own_names_are_approved(tmp_path: Path) -> None:
    assert objection(request(tmp_path, OWN, "DNS:gpu-1,IP:10.40.0.21"), NODES) is None


@pytest.mark.parametrize(
    ("subject", "names", "username", "reason"),
    [
        (OWN, "DNS:gpu-1,IP:10.40.0.22", "system:node:gpu-1", "not its own"),
        (OWN, "DNS:gpu-2", "system:node:gpu-1", "not its own"),
        (OWN, "", "system:node:gpu-1", "no name"),
        (OWN, "DNS:gpu-1", "system:node:gpu-9", "no node of this site"),
        (OWN, "DNS:gpu-1", "kubernetes-admin", "no node of this site"),
        ("/O=system:nodes/CN=system:node:gpu-2", "DNS:gpu-1", "system:node:gpu-1", "asks for a certificate"),
        (
            "/O=system:masters/CN=system:node:gpu-1",
            "DNS:gpu-1",
            "system:node:gpu-1",
            "asks for a certificate",
        ),
    ],
)
def test_anything_else_is_not(tmp_path: Path, subject: str, names: str, username: str, reason: str) -> None:
    assert reason in (objection(request(tmp_path, subject, names, username), NODES) or "")


def test_further_usages_are_not(tmp_path: Path) -> None:
    asked = request(tmp_path, OWN, "DNS:gpu-1")
    asked["spec"]["usages"].append("client auth")
    assert "usages" in (objection(asked, NODES) or "")


def test_an_unreadable_request_is_not() -> None:
    asked = {"spec": {"username": "system:node:gpu-1", "request": base64.b64encode(b"nonsense").decode()}}
    assert "unreadable" in (objection(asked, NODES) or "")


def test_only_undecided_requests_of_kubelets_are_looked_at(tmp_path: Path) -> None:
    asked = request(tmp_path, OWN, "DNS:gpu-1")
    assert is_pending(asked)
    assert not is_pending(asked | {"status": {"conditions": [{"type": "Approved"}]}})
    assert not is_pending({"spec": {"signerName": "kubernetes.io/kube-apiserver-client-kubelet"}})
