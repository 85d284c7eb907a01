"""A server's stages as a task runs them: from the claim to its ssh key, and what is told when one fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ironic_double import Double

from rackwright.errors import RunFailure
from rackwright.metal import hostkeys, stages
from rackwright.metal.credentials import Credentials
from rackwright.metal.ironic import IronicError
from rackwright.metal.stages import Given, Server
from rackwright.paths import checkout
from rackwright.site import load_site

MODEL = load_site(checkout() / "inventories" / "minimal")
IMAGES = [
    {"name": "debian-13", "file": "images/debian-13.raw", "sha256": "a" * 64, "size": 1, "min_disk_gb": 4}
]
ORDER = ("claimed", "enrolled", "inspected", "configured", "deployed")


class Api(Double):
    """What stages ask beside the flow."""

    def close(self) -> None:
        """Nothing is open."""

    def inventory(self, ident: str) -> None:
        """Nothing was found by an agent."""

    def bios_registry(self, ident: str) -> list[Any]:
        return []

    def history(self, ident: str) -> list[dict[str, str]]:
        return [{"severity": "ERROR", "event": "an earlier one"}]


class Bench:
    """A server, the head's modules, and what was asked of them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.asked = Api(), []  # type: ignore[var-annotated]
        self.answers: dict[str, dict[str, Any]] = {
            "claim": {"changed": True, "changes": ["password: replaced"]}
        }
        monkeypatch.setattr(stages, "Ironic", lambda *words, **more: self.api)
        monkeypatch.setattr(
            hostkeys, "record", lambda node, file, *rest: self.asked.append(("ssh", node.name))
        )
        self.given = Given(
            "https://10.40.0.11:6385", "http://10.40.3.11:8090", str(folder / "bmc.vault.yml"), str(folder / "known"),
            {"password": "p", "ca": "PEM", "images": json.dumps(IMAGES)}, factory={"user": "root", "password": "f"},
        )  # fmt: skip
        self.vault = VaultLib([("default", VaultSecret(b"site"))])

    def ask(self, module: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        self.asked.append((module, arguments))
        return self.answers.get(arguments.get("operation", module), {})

    def perform(self, stage: str, check: bool = False) -> dict[str, Any]:
        node = MODEL.node("r660-2")
        server = Server(
            MODEL, node, self.given, self.vault, self.ask, check=check, sleep=lambda seconds: None
        )
        return server.perform(stage)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_all_stages_and_all_again(bench: Bench) -> None:
    assert all(bench.perform(stage)["changed"] for stage in ORDER)
    assert ("ssh", "r660-2") in bench.asked
    bench.answers["claim"] = {"changed": False, "changes": []}
    assert [bench.perform(stage)["changed"] for stage in ORDER] == [False] * 5


def test_the_claim_is_written_ahead_and_the_bmc_s_own_password_goes_to_ironic(bench: Bench) -> None:
    bench.answers["claim"] = {
        "failed": True,
        "fault": "unreachable",
        "msg": "no answer at 10.40.3.112: timed out",
    }
    with pytest.raises(RunFailure, match="BMC unreachable"):
        bench.perform("claimed")
    store = Credentials(Path(bench.given.credentials_file), bench.vault)
    pending = store.get("r660-2")
    assert pending is not None and pending.pending and not pending.current
    bench.answers["claim"] = {"changed": True, "changes": ["password: replaced"]}
    bench.perform("claimed")
    _, sent = bench.asked[-1]
    assert sent["password"] == pending.pending and sent["factory_password"] == "f"
    bench.perform("enrolled")
    (node,) = bench.api.known.values()
    assert node["driver_info"]["redfish_password"] == pending.pending
    assert node["driver_info"]["redfish_verify_ca"] == "/etc/rackwright/ca/ca.crt"


def test_swapped_servers_are_named(bench: Bench) -> None:
    bench.answers["claim"] = {
        "failed": True,
        "fault": "identity",
        "msg": "the server at 10.40.3.112 is YGC97T4",
    }
    with pytest.raises(RunFailure, match=r"which the site calls r660-3 \(rack a, unit 37\)"):
        bench.perform("claimed")


def test_a_failure_carries_what_the_head_and_the_bmc_saw(bench: Bench) -> None:
    for stage in ORDER[:4]:
        bench.perform(stage)
    bench.api.break_at, bench.api.error = (
        "wait call-back",
        "Timeout reached while waiting for callback for node x",
    )
    bench.answers["rackwright_boot_evidence"] = {
        "looked": True, "strangers": {
            "b8:3f:d2:40:0c:01": "DHCPDISCOVER(eno1) b8:3f:d2:40:0c:01", "b0:7b:25:40:0d:01": "DHCPDISCOVER of r660-3",
        },
    }  # fmt: skip
    bench.answers["look"] = {"power": "On", "jobs": ["JID_1 BIOS: Completed"]}
    with pytest.raises(RunFailure) as caught:
        bench.perform("deployed")
    told = caught.value
    assert "wrong NIC cabled" in told.what and "DHCPDISCOVER(eno1) b8:3f" in told.evidence
    assert "r660-3" not in told.evidence and "the BMC says power: On" in told.evidence
    bench.answers.clear()
    assert bench.perform("deployed")["changed"]


def test_an_ironic_that_does_not_answer_is_not_taken_for_a_bmc_s_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(ident: str, fields: Any = ()) -> None:
        raise IronicError(502, "<title>502 Bad Gateway</title>", "GET /v1/nodes/x")

    bench.perform("claimed")
    monkeypatch.setattr(bench.api, "node", silent)
    with pytest.raises(RunFailure) as caught:
        bench.perform("enrolled")
    assert caught.value.what == "reach Ironic (enrolled of r660-2)"
    assert "systemctl status rackwright-ironic nginx" in caught.value.next_command


def test_check_mode_changes_nothing_and_asks_no_password(bench: Bench) -> None:
    assert bench.perform("claimed", check=True)["changed"]
    assert not Path(bench.given.credentials_file).exists()
    bench.given = replace(bench.given, head={"password": "", "ca": "", "images": ""})
    assert bench.perform("deployed", check=True)["notes"] == ["Ironic isn't on the head yet"]
    with pytest.raises(RunFailure, match="the role ironic has not run"):
        bench.perform("deployed")
    assert bench.api.asked == []


def test_nothing_secret_is_in_what_is_told(bench: Bench) -> None:
    for stage in ORDER:
        assert "password:" not in str(bench.perform(stage)["notes"])
    store = Credentials(Path(bench.given.credentials_file), bench.vault)
    entry = store.get("r660-2")
    assert entry is not None
    (node,) = bench.api.known.values()
    rest = {key: value for key, value in node.items() if key != "driver_info"}
    assert entry.current not in json.dumps(rest)
