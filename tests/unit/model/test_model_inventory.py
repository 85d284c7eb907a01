"""The inventory plugin under the real ansible-inventory and ansible-playbook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rackwright.paths import checkout

BIN = Path(sys.executable).parent
PLAY = """\
---
- name: Say who is there
  hosts: kubernetes
  gather_facts: false
  connection: local
  tasks:
    - name: Show what the host knows
      ansible.builtin.debug:
        msg: "{{ inventory_hostname }} {{ rackwright_node.profile }} {{ ntp_note }} {{ api_token | length }}"
      tags: [show]
    - name: Never run with the tag
      ansible.builtin.debug:
        msg: untagged
"""


def ansible(
    directory: Path, program: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    config = directory / "ansible.cfg"
    config.write_text("[defaults]\n", encoding="utf-8")
    settings = {
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_INVENTORY_PLUGINS": str(checkout() / "plugins/inventory"),
        "ANSIBLE_INVENTORY_ENABLED": "rackwright_site",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_HOME": str(directory / ".ansible"),
        "ANSIBLE_NOCOLOR": "1",
    }
    base = {
        key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "RACKWRIGHT_"))
    }
    return subprocess.run(
        [str(BIN / program), *arguments],
        cwd=directory,
        env={**base, **settings, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The minimal site with group_vars, host_vars and a vault beside it."""
    directory = tmp_path_factory.mktemp("site")
    shutil.copy(checkout() / "inventories/minimal/site.yml", directory)
    (directory / "group_vars/all").mkdir(parents=True)
    (directory / "host_vars").mkdir()
    (directory / "group_vars/all/notes.yml").write_text(
        "ntp_note: group\nansible_user: engineer\n", encoding="utf-8"
    )
    (directory / "host_vars/r660-2.yml").write_text("ntp_note: host\n", encoding="utf-8")
    (directory / "password").write_text("for-this-test-only\n", encoding="utf-8")
    secret = directory / "group_vars/all/secrets.yml"
    secret.write_text("api_token: not-a-real-one\n", encoding="utf-8")
    done = ansible(directory, "ansible-vault", "encrypt", "--vault-password-file", "password", str(secret))
    assert done.returncode == 0, done.stderr
    assert secret.read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT")
    (directory / "play.yml").write_text(PLAY, encoding="utf-8")
    return directory


def listing(site: Path, **environment: str) -> dict[str, Any]:
    arguments = ("-i", "site.yml", "--list", "--vault-password-file", "password")
    done = ansible(site, "ansible-inventory", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_groups_and_variables(site: Path) -> None:
    data = listing(site)
    assert data["head"]["hosts"] == ["r660-1"]
    assert data["control_plane"]["hosts"] == ["r660-1", "r660-2", "r660-3"]
    assert data["gpu_worker"]["hosts"] == data["profile_r760xa"]["hosts"] == ["r760xa-1", "r760xa-2"]
    assert len(data["kubernetes"]["hosts"]) == len(data["rack_a"]["hosts"]) == 5
    first, second = (data["_meta"]["hostvars"][name] for name in ("r660-1", "r660-2"))
    assert first["ansible_host"] == "10.40.0.11"
    assert first["rackwright_site"] == str(site / "site.yml")
    assert first["rackwright_node"]["roles"] == ["control_plane", "head"]
    assert first["rackwright_versions"]["kubernetes"].count(".") == 2
    assert first["rackwright_distribution"]["paths"]["ca_anchors"] == "/usr/local/share/ca-certificates"
    assert first["rackwright_timezone"] == "Etc/UTC"
    # Ordinary group_vars and host_vars lie over what the site says, and over each other.
    assert (first["ntp_note"], second["ntp_note"]) == ("group", "host")
    assert first["ansible_user"] == "engineer"
    assert first["api_token"] == "not-a-real-one"


def test_the_overlay_lies_over_the_site(site: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yml"
    overlay.write_text('all: {extra: "{{ ansible_host }}:1"}\nhead: {only_head: true}\n', encoding="utf-8")
    variables = listing(site, RACKWRIGHT_OVERLAY=str(overlay))["_meta"]["hostvars"]
    assert variables["r660-2"]["extra"] == "{{ ansible_host }}:1"
    assert variables["r660-1"]["only_head"] is True
    assert "only_head" not in variables["r660-2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody: {a: 1}\n", "'nobody' is not a group or host with variables"),
        ("- a\n", "no file with a mapping 'all: …'"),
    ],
)
def test_a_wrong_overlay_is_named(site: Path, tmp_path: Path, text: str, message: str) -> None:
    overlay = tmp_path / "overlay.yml"
    overlay.write_text(text, encoding="utf-8")
    done = ansible(site, "ansible-inventory", "-i", "site.yml", "--graph", RACKWRIGHT_OVERLAY=str(overlay))
    assert done.returncode != 0
    assert message in done.stderr


def test_limit_tags_check_and_diff_work(site: Path) -> None:
    options = (
        "--limit",
        "r660-2",
        "--tags",
        "show",
        "--check",
        "--diff",
        "--vault-password-file",
        "password",
    )
    done = ansible(site, "ansible-playbook", "-i", "site.yml", *options, "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"msg": "r660-2 r660 host 14"' in done.stdout
    assert "r660-1" not in done.stdout
    assert "untagged" not in done.stdout


def test_an_invalid_site_stops_with_all_its_errors(tmp_path: Path) -> None:
    text = (checkout() / "inventories/minimal/site.yml").read_text(encoding="utf-8")
    text = text.replace("unit: 38", "unit: top").replace("external: 10.40.1.13", "external: 10.40.1.11")
    (tmp_path / "site.yml").write_text(text, encoding="utf-8")
    done = ansible(tmp_path, "ansible-inventory", "-i", "site.yml", "--graph")
    assert done.returncode != 0
    assert "'unit' must be a whole number, not 'top' [wrong-type]" in done.stderr
    assert "hint: unit: The lowest rack unit that it takes" in done.stderr
    assert "10.40.1.11 of r660-3 on external is already taken by r660-1 on external" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_site_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("---\nplugin: something_else\n", encoding="utf-8")
    done = ansible(tmp_path, "ansible-inventory", "-i", "site.yml", "--graph", "-vvv")
    assert done.returncode != 0
    assert "rackwright_site declined parsing" in done.stdout + done.stderr
    assert "is not a valid site" not in done.stderr
