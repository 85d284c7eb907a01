"""Servers in Ironic: each is known as the site says, and installed."""

from __future__ import annotations

import json

import pytest
from ironic_api import api
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel
from rackwright.metal.declared import node_uuid


@pytest.fixture(scope="module")
def enrolled(head: NodeHost) -> dict[str, dict[str, object]]:
    """What Ironic on the head knows of each server."""
    # Debian's 29.0.5-0+deb13u3 makes a node its own parent at a change, and lists no node that has a parent unless asked.
    nodes = api(head, "GET", "/nodes/detail?include_children=true")["nodes"]
    return {node["uuid"]: node for node in nodes}


def test_every_server_but_the_head_is_installed(
    enrolled: dict[str, dict[str, object]], site: SiteModel
) -> None:
    for node in site.nodes:
        if node.is_head:
            assert node_uuid(node) not in enrolled
            continue
        there = enrolled[node_uuid(node)]
        assert (there["name"], there["provision_state"]) == (node.name, "active")
        assert there["extra"]["service_tag"] == node.service_tag  # type: ignore[index]


def test_nothing_secret_is_shown(enrolled: dict[str, dict[str, object]]) -> None:
    text = json.dumps(enrolled)
    assert '"redfish_password": "' not in text.replace('"redfish_password": "******"', "")
    assert "PRIVATE KEY" not in text
