"""What a first boot is told: the rendered network and nothing else of it, names, keys, and no secret."""

from __future__ import annotations

import re

import pytest
import yaml

from rackwright.metal.configdrive import NO_NETWORK, configdrive
from rackwright.paths import checkout
from rackwright.render import render
from rackwright.site import load_site

MODEL = load_site(checkout() / "inventories" / "reference")
NODES = [node.name for node in MODEL.nodes if not node.is_head]


@pytest.mark.parametrize("name", NODES)
def test_the_network_is_the_rendered_one(name: str) -> None:
    drive = configdrive(MODEL, MODEL.node(name), ["ssh-ed25519 AAAA engineer"], "PEM")
    document = yaml.safe_load(drive["user_data"])
    files = {file["path"]: file for file in document["write_files"]}
    (rendered,) = render(MODEL, name, "netplan", {})
    assert (
        files[rendered.path]["content"] == rendered.content and files[rendered.path]["permissions"] == "0600"
    )
    assert yaml.safe_load(files[NO_NETWORK]["content"]) == {"network": {"config": "disabled"}}
    assert drive["network_data"] == {}


def test_names_keys_zone_and_authority() -> None:
    node = MODEL.node(NODES[0])
    document = yaml.safe_load(
        configdrive(MODEL, node, ["ssh-ed25519 AAAA engineer", "ssh-ed25519 AAAA engineer"], "PEM")[
            "user_data"
        ]
    )
    assert (document["hostname"], document["fqdn"], document["timezone"]) == (
        node.name,
        node.fqdn,
        MODEL.timezone,
    )
    (user,) = document["users"]
    assert user["name"] == MODEL.access.user
    assert user["ssh_authorized_keys"] == [*MODEL.access.authorized_keys, "ssh-ed25519 AAAA engineer"]
    assert document["ca_certs"] == {"trusted": ["PEM"]}
    assert document["ssh_pwauth"] is False and document["ssh_deletekeys"] is True


def test_the_same_inputs_give_the_same_bytes_and_no_secret() -> None:
    node = MODEL.node(NODES[0])
    first, second = (configdrive(MODEL, node, ["key"], "PEM") for _ in range(2))
    assert first == second
    assert not re.search(
        r"PRIVATE KEY|passwd: |password|token|secret", first["user_data"].replace("lock_passwd", "")
    )
