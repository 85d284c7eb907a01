"""The same through ``ansible-playbook``: what a person sees of a fault, of the server beside it, and of the next run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from chain import FACTORY, IMAGES, VAULT_PASSWORD
from conftest import Rehearsed
from fault_cases import PLAYED
from head_double import FILES

from rackwright.paths import checkout

pytestmark = pytest.mark.metal

# playbooks/provision.yml without the roles that make a head node of a machine.
PLAY = """\
- name: Learn how Ironic is reached
  hosts: head
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: server, tasks_from: head}
- name: Give the servers their operating system
  hosts: NAMES
  strategy: free
  gather_facts: false
  roles: [server]
"""


def play(rehearsed: Rehearsed, folder: Path) -> tuple[int, str]:
    """Exit status and all that is printed."""
    site = Path(rehearsed.rack.head.model.path)
    book, word, more = folder / "play.yml", folder / "word", folder / "more.json"
    book.write_text(PLAY.replace("NAMES", ",".join(PLAYED)))
    word.write_bytes(VAULT_PASSWORD)
    (FILES / "images.json").write_text(json.dumps(IMAGES))
    more.write_text(
        json.dumps(
            {
                "ansible_connection": "local", "ansible_python_interpreter": sys.executable, "bmc_factory": FACTORY,
                "server_credentials_file": str(folder / "bmc.vault.yml"), "server_look_limit": 1,
                "server_known_hosts_file": str(folder / "known_hosts"),
            }
        )
    )  # fmt: skip
    for path in (word, more):
        path.chmod(0o600)
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", site, "-e", f"@{more}", book],
        cwd=checkout(), capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_VAULT_PASSWORD_FILE": str(word), "ANSIBLE_NOCOLOR": "1"},
    )  # fmt: skip
    print(done.stdout[-4000:], done.stderr[-2000:])
    return done.returncode, done.stdout + done.stderr


def test_one_bad_server_is_told_of_and_does_not_hold_the_other(rehearsed: Rehearsed, tmp_path: Path) -> None:
    bad, good = (rehearsed.lane(name) for name in PLAYED)
    bad.bmc.faults.set({"bios_setting_rejected": {"when": "request"}})
    status, text = play(rehearsed, tmp_path)
    flat = " ".join(text.split())
    assert status == 2
    assert "failed: apply its settings (BIOS setting rejected)" in flat
    assert f"where: {bad.node.name} (rack {bad.node.rack}, unit {bad.node.unit}" in flat
    assert (
        "cause: the BIOS doesn't take a declared setting" in flat and "next: rackwright conformance" in flat
    )
    assert "Traceback" not in text
    assert (bad.state(), good.state()) == ("clean failed", "active")
    bad.bmc.faults.set({})
    status, text = play(rehearsed, tmp_path)
    assert status == 0 and bad.state() == "active"
    recap = {
        words[0]: words
        for words in (line.split() for line in text.splitlines())
        if words and ":" in words[1:2]
    }
    assert re.search(r"changed=0", " ".join(recap[good.node.name]))
    secrets = [FACTORY["password"], VAULT_PASSWORD.decode(), rehearsed.rack.head.secret("password")]
    assert not [secret for secret in secrets if secret in text]
