"""What Ironic is to know of a server: derived from the site's model, nothing typed twice."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rackwright.derive.model import Node, SiteModel
from rackwright.errors import UsageError
from rackwright.metal.settings import Settings

SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
BOOT_PORT = "lom1"
"""The port on the oob network: the one that servers boot from."""

BUSY_STATES_FIXED = ("driver", "resource_class", "conductor_group", "boot_interface")
"""Fields that Ironic changes only on a server that isn't in use: on one that is, they wait for its reinstallation."""


@dataclass(frozen=True)
class Account:
    """The user of a BMC that Ironic logs in as."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Image:
    """An operating system's image, as ``images.json`` beside it says: ``size`` in bytes."""

    name: str
    file: str
    sha256: str
    size: int
    min_disk_gb: int

    @classmethod
    def pick(cls, listed: Any, name: str) -> Image:
        """The image of that name. UsageError where the head doesn't have it."""
        for one in listed:
            if one["name"] == name:
                return cls(name, one["file"], one["sha256"], int(one["size"]), int(one["min_disk_gb"]))
        there = ", ".join(sorted(str(one["name"]) for one in listed)) or "none"
        raise UsageError(
            f"the head has no image of {name}; it has: {there}",
            "'rackwright bundle build' makes the images; playbooks/head.yml carries them to the head",
        )


@dataclass(frozen=True)
class Options:
    """How a site's servers are driven. ``files``: where the head serves images, such as ``http://10.40.3.10:8090``."""

    files: str
    driver: Literal["redfish", "idrac", "fake-hardware"] = "redfish"
    boot_interface: str = "ipxe"
    conductor_groups: bool = False
    ca_file: str = "/etc/rackwright/ca/ca.crt"


@dataclass(frozen=True)
class Port:
    """A NIC by its address; ``boot``: the server may boot from it; ``extra``: its name, and where its cable ends.

    Ironic's own field for that wants the switch's MAC address, which no site file has, and serves no one here: the
    network is not Ironic's.
    """

    address: str
    boot: bool
    extra: Mapping[str, str]

    def body(self, node: str) -> dict[str, Any]:
        """The port as Ironic takes it."""
        return {
            "address": self.address,
            "node_uuid": node,
            "pxe_enabled": self.boot,
            "extra": dict(self.extra),
        }


@dataclass(frozen=True)
class Declared:
    """A server as Ironic is to have it: ``node`` without what changes by itself, and its ``ports``."""

    name: str
    uuid: str
    node: Mapping[str, Any]
    ports: tuple[Port, ...]
    account: Account


def node_uuid(node: Node) -> str:
    """The same for a server's name for ever, so that a run which was cut off finds what it made."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, node.fqdn))


def seal(node: Node, account: Account) -> str:
    """What tells whether Ironic has this password without showing it: the password is random and long."""
    text = "\0".join((node.fqdn, account.user, account.password))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def declare(model: SiteModel, node: Node, settings: Settings, account: Account, options: Options) -> Declared:
    """What Ironic is to know of ``node``."""
    uid = node_uuid(node)
    boot = f"boot_mode:{settings.boot_mode}" + (",secure_boot:true" if settings.secure_boot else "")
    properties: dict[str, Any] = {"capabilities": boot, "cpu_arch": "x86_64"}
    body: dict[str, Any] = {
        "uuid": uid,
        "name": node.name,
        "driver": options.driver,
        "conductor_group": conductor_group(node) if options.conductor_groups else "",
        "resource_class": node.profile,
        # Disks are erased when the flow says so, and only then.
        "automated_clean": False,
        "properties": properties,
        "extra": {
            "service_tag": node.service_tag,
            "rack": node.rack,
            "unit": node.unit,
            "account": seal(node, account),
        },
        "driver_info": {},
    }
    if options.driver == "fake-hardware":
        # Named, because the site's Ironic has others as its defaults, which would wait for an agent.
        body |= {"inspect_interface": "fake", "deploy_interface": "fake"}
    else:
        body["boot_interface"] = options.boot_interface
        body["driver_info"] = {
            "redfish_address": f"https://{node.bmc.address}",
            "redfish_system_id": SYSTEM,
            "redfish_username": account.user,
            "redfish_password": account.password,
            "redfish_verify_ca": options.ca_file,
            "redfish_auth_type": "auto",
            # True of every server; and Debian's Ironic 29.0.5-0+deb13u3 makes a node its own parent at each change of it
            # (the fix of CVE-2026-44918, itself mended in 29.0.6): without this, it would wait for its parent's power.
            "has_dedicated_power_supply": True,
        }
    return Declared(node.name, uid, body, ports(model, node), account)


def conductor_group(node: Node) -> str:
    """The group of conductors that a server belongs to: its rack's."""
    return f"rack-{node.rack}".lower()


def ports(model: SiteModel, node: Node) -> tuple[Port, ...]:
    """The NICs that the site names; with the switch port where the site says which."""
    far = model.far_ends.get(node.name, {})
    found = []
    for interface in node.interfaces:
        if interface.kind != "physical":
            continue
        boot = interface.network == "oob"
        # The boot port has the operating system's name (eno1), the others that of the port itself.
        extra = {"port": BOOT_PORT if boot else interface.name}
        if extra["port"] in far:
            extra |= {"switch": far[extra["port"]].device, "switch_port": far[extra["port"]].port}
        found.append(Port(interface.mac.lower(), boot, extra))
    return tuple(found)


def deployment(image: Image, options: Options, settings: Settings, user_data: str) -> dict[str, Any]:
    """What is to be on a server's disk, as ``instance_info`` says it; ``rackwright`` tells one from another."""
    return {
        "image_source": f"{options.files}/{image.file}",
        "image_os_hash_algo": "sha256",
        "image_os_hash_value": image.sha256,
        "image_disk_format": "raw",
        "root_gb": image.min_disk_gb,
        "capabilities": {"boot_option": "local"},
        **({"root_device": dict(settings.root_device)} if settings.root_device else {}),
        "rackwright": {"content": content(image, settings, user_data), "image": image.name},
    }


def content(image: Image, settings: Settings, user_data: str) -> str:
    """The digest of all that decides what a deployment puts on the disk, and on which."""
    said = {
        "image": image.sha256,
        "user_data": user_data,
        "root_device": dict(settings.root_device),
        "boot": [settings.boot_mode, settings.secure_boot],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def node_patch(declared: Declared, have: Mapping[str, Any], in_use: bool) -> list[dict[str, Any]]:
    """What to change of a node that Ironic has. ``in_use``: without what waits for a reinstallation.

    The password is sent when its seal differs, as Ironic doesn't show it.
    """
    patch: list[dict[str, Any]] = []
    for name, value in declared.node.items():
        if name == "uuid" or (in_use and name in BUSY_STATES_FIXED):
            continue
        if name == "driver_info":
            resealed = (have.get("extra") or {}).get("account") != declared.node["extra"]["account"]
            patch += _merge(name, value, have, always=("redfish_password",) if resealed and value else ())
        elif isinstance(value, Mapping):
            patch += _merge(name, value, have)
        elif have.get(name) != value:
            patch.append({"op": "add", "path": f"/{name}", "value": value})
    return patch


def _merge(
    name: str, wanted: Mapping[str, Any], have: Mapping[str, Any], always: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Changes within a mapping of which others own the rest, as inspection does of the properties."""
    there = have.get(name) or {}
    changes = []
    for key, value in wanted.items():
        known = there.get(key)
        if key == "redfish_password":
            if key in always or known is None:
                changes.append({"op": "add", "path": f"/{name}/{key}", "value": value})
        elif key == "capabilities":
            merged = capabilities(str(known or ""), str(value))
            if merged != known:
                changes.append({"op": "add", "path": f"/{name}/{key}", "value": merged})
        elif known != value:
            changes.append({"op": "add", "path": f"/{name}/{key}", "value": value})
    return changes


def capabilities(have: str, wanted: str) -> str:
    """``have`` with the entries of ``wanted``; what inspection added stays."""
    entries = dict(part.split(":", 1) for part in have.split(",") if ":" in part)
    ours = dict(part.split(":", 1) for part in wanted.split(",") if ":" in part)
    if all(entries.get(key) == value for key, value in ours.items()):
        return have
    return ",".join(f"{key}:{value}" for key, value in {**entries, **ours}.items())
