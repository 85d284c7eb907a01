"""Artefacts of the head node: names and addresses, the mirror, the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.render.places import MIRROR_ROOT, TLS_DIRECTORY
from rackwright.render.registry import Artefact, Options, Scope, Template

# The name of the address that two head nodes share.
SHARED = "head"


@dataclass(frozen=True)
class Record:
    """An address and its names; the first name is what the address resolves back to."""

    address: IPv4Address
    names: tuple[str, ...]


@dataclass(frozen=True)
class Lease:
    """A fixed DHCP address; ``boots``: the port is one that its server is installed through."""

    mac: str
    address: IPv4Address
    name: str
    boots: bool = False


def records(model: SiteModel) -> Iterator[Record]:
    """Every address that has a name: machines on each network, BMCs, switches, the API, served models."""
    for node in model.nodes:
        yield Record(node.address, (node.fqdn, node.name))
        yield Record(node.bmc.address, (f"{node.name}-bmc.{model.domain}",))
        for interface in node.interfaces:
            if interface.address and interface.network != "management":
                yield Record(interface.address.ip, (f"{node.name}-{interface.network}.{model.domain}",))
    for switch in model.switches:
        yield Record(switch.address, (f"{switch.name}.{model.domain}",))
    yield Record(model.api_vip, (model.api_fqdn,))
    if model.head_vip is not None:
        yield Record(model.head_vip, (f"{SHARED}.{model.domain}",))
    if model.storage is not None:
        yield Record(model.storage.address, (model.storage.fqdn,))
    for served in model.serving:
        yield Record(served.vip, (f"{served.name}.serve.{model.domain}",))


def leases(model: SiteModel) -> Iterator[Lease]:
    """The fixed addresses on the oob network: each node's BMC and boot port."""
    for node in model.nodes:
        yield Lease(node.bmc.mac, node.bmc.address, f"{node.name}-bmc")
        port = node.interface("oob")
        if port and port.address:
            yield Lease(port.mac, port.address.ip, f"{node.name}-oob", boots=not node.is_head)


def reverse_zones(network: IPv4Network) -> list[str]:
    """The in-addr.arpa zones that cover ``network``, cut at whole octets."""
    octets = max(1, -(-network.prefixlen // 8))
    zones = network.subnets(new_prefix=octets * 8) if network.prefixlen < octets * 8 else [network]
    return [
        ".".join(reversed(str(zone.network_address).split(".")[:octets])) + ".in-addr.arpa" for zone in zones
    ]


def own_part(
    span: tuple[IPv4Address, IPv4Address], index: int, model: SiteModel
) -> tuple[IPv4Address, IPv4Address]:
    """The part of a DHCP range that a head node gives out: of two both answer, and neither knows the other's leases."""
    first, last = int(span[0]), int(span[1])
    heads = min(len(model.heads), last - first + 1)
    index = min(index, heads - 1)
    size = (last - first + 1) // heads
    begin = first + index * size
    end = last if index == heads - 1 else begin + size - 1
    return IPv4Address(begin), IPv4Address(end)


def dnsmasq_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """What the name service's template needs beside the model."""
    oob = model.networks["oob"]
    port = node.interface("oob")
    dhcp = port is not None and port.address is not None and options["name_service_dhcp"]
    if oob.dhcp_range:
        first, last = own_part(oob.dhcp_range, [head.name for head in model.heads].index(node.name), model)
        span = f"{first},{last},{oob.cidr.netmask},{options['name_service_dhcp_lease']}"
    else:
        span = f"{oob.cidr.network_address},static,{oob.cidr.netmask}"
    home = f"{SHARED}.{model.domain}" if model.head_vip else node.fqdn
    return {
        "reverse_zones": [
            zone for network in model.networks.values() for zone in reverse_zones(network.cidr)
        ],
        "interfaces": [
            interface.name
            for interface in node.interfaces
            if interface.address and interface.network in options["name_service_networks"]
        ],
        "records": list(records(model)),
        "aliases": {
            model.mirror_fqdn: home,
            model.registry.rpartition(":")[0]: home,
        },
        "oob": oob,
        "oob_address": port.address.ip if port and port.address else None,
        "dhcp_interface": port.name if port and dhcp else None,
        "dhcp_range": span,
        "leases": list(leases(model)),
    }


def mirror_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """What nginx serves and with which certificate."""
    return {
        "root": MIRROR_ROOT,
        "certificate": f"{TLS_DIRECTORY}/mirror.crt",
        "key": f"{TLS_DIRECTORY}/mirror.key",
    }


def registry_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """What the registry serves, where, and with which certificate."""
    return {
        "root": f"{MIRROR_ROOT}/registry",
        "port": model.registry.rpartition(":")[2],
        "certificate": f"{TLS_DIRECTORY}/registry.crt",
        "key": f"{TLS_DIRECTORY}/registry.key",
    }


ARTEFACTS = (
    Artefact(
        "dnsmasq",
        role="name_service",
        scope=Scope.HEAD,
        values=dnsmasq_values,
        files=(
            Template(
                "dnsmasq/rackwright.conf.j2",
                "/etc/dnsmasq.d/rackwright.conf",
                validate="dnsmasq --test --conf-file=%s",
            ),
        ),
    ),
    Artefact(
        "mirror",
        role="mirror",
        scope=Scope.HEAD,
        values=mirror_values,
        files=(Template("nginx/nginx.conf.j2", "/etc/nginx/nginx.conf", validate="nginx -t -q -c %s"),),
    ),
    Artefact(
        "registry",
        role="registry",
        scope=Scope.HEAD,
        values=registry_values,
        files=(
            Template("registry/config.yml.j2", "/etc/docker/registry/config.yml"),
            Template(
                "registry/credentials.conf.j2",
                "/etc/systemd/system/docker-registry.service.d/rackwright.conf",
            ),
        ),
    ),
)
