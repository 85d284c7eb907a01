"""What a server's first boot is told: a config drive with the rendered network, its names, and who may log in.

Nothing in it is secret: whoever has the disk can read it. A host key made here would have to travel in it; so the
server makes its own at the first boot, and the flow takes the public one over the management network right after
that, before anyone else logs in (``hostkeys.py``): trust at the first use, on the site's own closed network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rackwright.derive.model import Node, SiteModel
from rackwright.render import render

NETPLAN = "netplan"
"""The artefact with the network's configuration: the one that is rendered for the books, too."""
NO_NETWORK = "/etc/cloud/cloud.cfg.d/99-rackwright-network.cfg"


def configdrive(
    model: SiteModel, node: Node, keys: Sequence[str], ca: str = "", more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The drive as Ironic builds it from JSON: ``meta_data``, ``user_data``, ``network_data`` (empty on purpose).

    ``keys``: public ssh keys beside the site file's; ``ca``: the site's authority in PEM; ``more``: further keys of
    the cloud-config (``storage.cloud_config``). The same inputs give the same bytes.
    """
    return {
        "meta_data": meta_data(node),
        "network_data": {},
        "user_data": user_data(model, node, keys, ca, more),
    }


def meta_data(node: Node) -> dict[str, Any]:
    """Names; ``uuid`` is not Ironic's but stays the same, as cloud-init takes another one for another machine."""
    return {"hostname": node.name, "name": node.name, "local-hostname": node.fqdn}


def user_data(
    model: SiteModel, node: Node, keys: Sequence[str], ca: str = "", more: Mapping[str, Any] | None = None
) -> str:
    """The cloud-config."""
    authorized = list(
        dict.fromkeys(key.strip() for key in (*model.access.authorized_keys, *keys) if key.strip())
    )
    files: list[dict[str, Any]] = [
        {
            "path": one.path,
            "permissions": one.mode,
            "owner": f"{one.owner}:{one.group}",
            "content": one.content,
        }
        for one in render(model, node.name, NETPLAN, {})
    ]
    files.append(
        {"path": NO_NETWORK, "permissions": "0644", "content": "network: {config: disabled}\n"},
    )
    document: dict[str, Any] = {
        "hostname": node.name,
        "fqdn": node.fqdn,
        "prefer_fqdn_over_hostname": False,
        "preserve_hostname": False,
        "manage_etc_hosts": False,
        "timezone": model.timezone,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,  # an image's own keys would be the same on every server
        "disable_root": model.access.user != "root",
        "users": [_user(model.access.user, authorized)],
        "write_files": files,
        # cloud-init's own network configuration was written before these files: apply ours, and only ours.
        "runcmd": [
            ["rm", "-f", "/etc/netplan/50-cloud-init.yaml"],
            ["netplan", "apply"],
        ],
        "growpart": {"mode": "auto", "devices": ["/"]},
    }
    if ca:
        document["ca_certs"] = {"trusted": [ca]}
    document |= more or {}
    return "#cloud-config\n" + yaml.safe_dump(document, sort_keys=False, width=1000)


def _user(name: str, keys: Sequence[str]) -> dict[str, Any]:
    """The account that Ansible logs in as; one that isn't root may become it without a password."""
    if name == "root":
        return {"name": "root", "ssh_authorized_keys": list(keys)}
    return {
        "name": name,
        "shell": "/bin/bash",
        "lock_passwd": True,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "ssh_authorized_keys": list(keys),
    }


def as_text(drive: Mapping[str, Any]) -> str:
    """The drive as one text that is the same for the same drive: for its digest."""
    return json.dumps(drive, sort_keys=True)
