"""Servers in Ironic: each is known as the site says, and installed."""

from __future__ import annotations

import json

import pytest
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel
from rackwright.metal.declared import node_uuid


@pytest.fixture(scope="module")
def enrolled(head: NodeHost) -> dict[str, dict[str, object]]:
    """What Ironic on the head knows of each server."""
    url = f"https://{head.node.address}:6385/v1/nodes/detail"
    word = "rackwright:$(cat /etc/rackwright/ironic/password)"
    said = head.out(
        f"curl -sS --cacert /etc/rackwright/ca/ca.crt -H 'X-OpenStack-Ironic-API-Version: 1.90' -u \"{word}\" {url}"
    )
    return {node["uuid"]: node for node in json.loads(said)["nodes"]}


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
