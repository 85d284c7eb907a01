"""The nodes of a standing lab as testinfra's hosts; see conftest.py for what chooses the lab."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import testinfra
import yaml
from testinfra.host import Host

from rackwright.derive.model import Node, SiteModel
from rackwright.paths import cache_dir
from rackwright.site import load_site

SITE = os.environ.get("RACKWRIGHT_TEST_SITE", "inventories/minimal")


class NodeHost:
    """A node of the model and the machine itself."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.host: Host = connect(node.name)

    def out(self, command: str, *arguments: str) -> str:
        """What a command prints; the test fails with its error output if it fails."""
        done = self.host.run(command, *arguments)
        assert done.rc == 0, f"{self.node.name}: {command}: exit {done.rc}: {done.stderr}"
        return str(done.stdout).strip()


@cache
def model() -> SiteModel:
    """The site."""
    return load_site(SITE)


def overlay() -> Path:
    """The overlay file by which the nodes are reached from here."""
    if named := os.environ.get("RACKWRIGHT_TEST_OVERLAY"):
        return Path(named)
    lab = os.environ.get("RACKWRIGHT_TEST_LAB")
    lab = lab or ("molecule" if "MOLECULE_SCENARIO_NAME" in os.environ else model().name)
    return cache_dir() / "labs" / lab / "overlay-outside.yml"


@cache
def connect(name: str) -> Host:
    """A node over ssh."""
    login = yaml.safe_load(overlay().read_text(encoding="utf-8"))["all"]
    user = login.get("ansible_user", model().access.user)
    return testinfra.get_host(
        f"ssh://{user}@{model().node(name).address}",
        ssh_identity_file=login["ansible_ssh_private_key_file"],
        ssh_extra_args=login["ansible_ssh_common_args"],
        sudo=user != "root",
    )
