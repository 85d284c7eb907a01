"""Nothing secret is written down: in Ironic's log, in what servers are booted with, on their config drives."""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path

import pytest
import yaml
from chain import FACTORY, VAULT_PASSWORD
from conftest import Rehearsed
from head_double import ACCESS, BOOT, LOG

pytestmark = pytest.mark.metal

NODES = ("beside-1", "beside-2", "raid-beside")


@pytest.fixture
def secrets(rehearsed: Rehearsed) -> dict[str, str]:
    """Every secret that there is, by what it is; those of agents as their imitation was given them."""
    found = {
        "factory": FACTORY["password"],
        "vault": VAULT_PASSWORD.decode(),
        "Ironic": rehearsed.rack.head.secret("password"),
        "digest": rehearsed.rack.head.secret("htpasswd").partition(":")[2],
        "key of the authority": Path("/etc/rackwright/ca/ca.key").read_text().splitlines()[1],
        "key of the API": Path("/etc/rackwright/tls/ironic.key").read_text().splitlines()[1],
    }
    for name in NODES:
        lane = rehearsed.lane(name)
        entry = lane.store.get(name)
        assert entry is not None and entry.current
        found[f"BMC of {name}"] = entry.current
        assert lane.host.tokens
        found |= {f"agent {number} of {name}": token for number, token in enumerate(lane.host.tokens)}
    assert all(len(secret) >= 12 for secret in found.values())
    return found


def shown(text: str, secrets: dict[str, str]) -> list[str]:
    """Which of them stand in a text, plain or in base64."""
    coded = {
        what: base64.b64encode(secret.encode()).decode().rstrip("=")[:-1] for what, secret in secrets.items()
    }
    return [what for what, secret in secrets.items() if secret in text or coded[what] in text]


def test_ironic_s_log_at_the_role_s_level(rehearsed: Rehearsed, secrets: dict[str, str]) -> None:
    log = LOG.read_text(errors="replace")
    assert "ironic" in log and "beside-1" not in secrets
    assert all(rehearsed.lane(name).uuid in log for name in NODES), "the log tells of these servers at all"
    assert shown(log, secrets) == []


def test_the_web_server_s_log(secrets: dict[str, str]) -> None:
    assert "deploy_kernel" in ACCESS.read_text()
    assert shown(ACCESS.read_text(), secrets) == []


def test_boot_scripts_and_kernel_command_lines(rehearsed: Rehearsed, secrets: dict[str, str]) -> None:
    scripts = [script for name in NODES for script in rehearsed.lane(name).host.scripts]
    assert any("ipa-api-url=" in script for script in scripts)
    assert shown("\n".join(scripts), secrets) == []
    assert not [
        word for script in scripts for word in re.findall(r"\S*(?:token|password|secret)\S*=\S+", script)
    ]
    for path in (BOOT / "http").rglob("*"):
        if path.is_file():
            assert shown(path.read_text(errors="replace"), secrets) == [], path


def test_config_drives(rehearsed: Rehearsed, secrets: dict[str, str]) -> None:
    for name in NODES:
        image = gzip.decompress(base64.b64decode(rehearsed.lane(name).host.disk["configdrive"]))
        text = image.decode(errors="replace")
        assert "#cloud-config" in text and f"hostname: {name}" in text
        assert shown(text, secrets) == []


def test_what_a_person_is_shown(rehearsed: Rehearsed, secrets: dict[str, str]) -> None:
    for lane in rehearsed.rack.lanes.values():
        own = lane.store.get(lane.node.name)
        words = {**secrets, **({"own": own.current, "next": own.pending} if own else {})}
        told = " ".join(str(run.failure) + str(run.done) for run in lane.runs) + " ".join(lane.said)
        assert shown(told, {what: word for what, word in words.items() if word}) == []


def test_ironic_shows_no_password_to_who_asks(rehearsed: Rehearsed, secrets: dict[str, str]) -> None:
    api = rehearsed.rack.head.api()
    for name in NODES:
        node = api.node(name)
        assert node is not None and node["driver_info"]["redfish_password"] == "******"
        assert shown(yaml.safe_dump(dict(node)), secrets) == []
    api.close()
