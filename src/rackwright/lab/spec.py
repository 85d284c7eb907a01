"""What a lab is made of, as plain data; made from a site model, kept on disk beside the lab."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from rackwright.derive.model import Interface, Network, Node, SiteModel
from rackwright.errors import UsageError
from rackwright.lab import metal_spec, silicon
from rackwright.lab.metal_spec import FabricSpec, MachineSpec, named, short

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
LEAST_MTU = 1280
BMC_LINK = "idrac"


@dataclass(frozen=True)
class BridgeSpec:
    """One of the site's networks. ``address`` is the workstation's: the gateway's, or a high free one."""

    purpose: str
    address: IPv4Interface
    mtu: int

    @property
    def name(self) -> str:
        """The bridge's device name in the lab's namespace."""
        return named("br", self.purpose)

    @property
    def mac(self) -> str:
        """The bridge's own: of one that has none stated it changes with its ports, and no gateway does that."""
        digits = hashlib.sha256(f"{self.purpose}/{self.address}".encode()).hexdigest()
        return ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))])


@dataclass(frozen=True)
class LinkSpec:
    """A node's interface, as its operating system sees it. ``purpose`` names the network that it is in."""

    node: str
    name: str
    purpose: str
    mac: str
    address: IPv4Interface | None
    mtu: int

    @property
    def port(self) -> str:
        """The other end's device name, in the lab's namespace."""
        return short("v", self.node, self.name)


CONTROL_PLANE_WEIGHT = 8


@dataclass(frozen=True)
class NodeSpec:
    """A node. ``machine_id``: 32 hexadecimal digits; ``gpus``: the content of its gpus.json, None without.

    ``service_tag`` is for the record: a container shows the host's DMI data, which can't be imitated.
    With ``machine`` the node is a bare machine; ``links`` and ``gateway`` are then its BMC's.
    """

    name: str
    fqdn: str
    address: IPv4Address
    links: tuple[LinkSpec, ...]
    gateway: IPv4Address | None
    machine_id: str
    service_tag: str
    gpus: Mapping[str, Any] | None = None
    #: Share of this machine's processors beside the other nodes', as a multiple. A control plane must not starve when
    #: all workers start their agents at once: on site it has processors of its own.
    weight: int = 1
    machine: MachineSpec | None = None

    @property
    def metal(self) -> bool:
        """Whether it is a bare machine with a BMC, not a container."""
        return self.machine is not None


@dataclass(frozen=True)
class LabSpec:
    """A whole lab. ``hosts`` are address and names, as for /etc/hosts of the engineer's workstation."""

    name: str
    site: str
    domain: str
    user: str
    bridges: tuple[BridgeSpec, ...]
    nodes: tuple[NodeSpec, ...]
    nameservers: tuple[IPv4Address, ...]
    hosts: tuple[tuple[str, str], ...]
    #: The switches that bare machines are cabled to; None where there are none.
    fabric: FabricSpec | None = None

    @property
    def namespace(self) -> str:
        """The lab's network namespace, where the workstation stands."""
        return f"rw-{self.name}"

    def node(self, name: str) -> NodeSpec:
        """The node of that name; UsageError where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise UsageError(f"lab {self.name} has no node {name!r}", f"its nodes: {known}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data; ``from_dict`` takes it back."""
        data: dict[str, Any] = _plain(asdict(self))
        return data

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> LabSpec:
        """The lab that ``to_dict`` described; KeyError or ValueError where it is not one."""
        return LabSpec(
            name=data["name"],
            site=data["site"],
            domain=data["domain"],
            user=data["user"],
            bridges=tuple(
                BridgeSpec(b["purpose"], IPv4Interface(b["address"]), b["mtu"]) for b in data["bridges"]
            ),
            nodes=tuple(_node_from(n) for n in data["nodes"]),
            nameservers=tuple(IPv4Address(a) for a in data["nameservers"]),
            hosts=tuple((address, names) for address, names in data["hosts"]),
            fabric=metal_spec.fabric_from_dict(data["fabric"]) if data.get("fabric") else None,
        )


def from_site(model: SiteModel, name: str | None = None, metal: Iterable[str] = ()) -> LabSpec:
    """The lab of a site, under its own or another name, with the nodes of ``metal`` as bare machines.

    UsageError where the name can't be one, or a node can't be bare.
    """
    lab_name = check_name(name or model.name)
    bare = metal_spec.check(model, metal)
    route = model.default_route
    nodes = tuple(_node(model, node, route, node.name in bare) for node in model.nodes)
    taken = _taken(model)
    bridges = tuple(
        BridgeSpec(purpose, _workstation(network, taken), max(network.mtu, LEAST_MTU))
        for purpose, network in model.networks.items()
    )
    own = next((b.address.ip for b in bridges if b.purpose == "management"), None)
    hosts = [(str(node.address), f"{node.fqdn} {node.name}") for node in model.nodes]
    hosts.append((str(model.api_vip), model.api_fqdn))
    registry_fqdn = model.registry.partition(":")[0]
    hosts.append((str(model.head_address), f"{model.mirror_fqdn} {registry_fqdn}"))
    if own is not None:
        hosts.append((str(own), f"workstation.{model.domain} workstation"))
    return LabSpec(
        name=lab_name,
        site=model.name,
        domain=model.domain,
        user=model.access.user,
        bridges=bridges,
        nodes=nodes,
        nameservers=tuple(model.dns_servers),
        hosts=tuple(hosts),
        fabric=metal_spec.fabric(model, (n.machine for n in nodes if n.machine is not None)),
    )


def check_name(name: str) -> str:
    """The name, if a lab can be called so; else UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} can't be a lab's name", "use at most 32 lower-case letters, digits and inner hyphens"
        )
    return name


def _node(model: SiteModel, node: Node, route: Network | None, bare: bool) -> NodeSpec:
    links = tuple(_links(node, model.networks))
    if bare:
        route, links = model.networks["oob"], (_bmc_link(node, model.networks["oob"]),)
    routed = route is not None and any(
        link.purpose == route.purpose and link.address is not None for link in links
    )
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, node.fqdn)
    return NodeSpec(
        name=node.name,
        fqdn=node.fqdn,
        address=node.address,
        links=links,
        gateway=route.gateway if routed and route is not None else None,
        machine_id=identity.hex,
        service_tag=node.service_tag,
        gpus=silicon.describe(node.gpus, identity, model.versions) if node.gpus else None,
        weight=CONTROL_PLANE_WEIGHT if node.is_control_plane else 1,
        machine=metal_spec.machine(model, node) if bare else None,
    )


def _bmc_link(node: Node, oob: Network) -> LinkSpec:
    address = IPv4Interface((node.bmc.address, oob.cidr.prefixlen))
    return LinkSpec(node.name, BMC_LINK, oob.purpose, node.bmc.mac.lower(), address, max(oob.mtu, LEAST_MTU))


def _links(node: Node, networks: Mapping[str, Network]) -> Iterable[LinkSpec]:
    """The interfaces on a network. A bond's members are not: a veth of its name stands for the bond."""
    for interface in node.interfaces:
        if interface.network in networks:
            yield _link(node.name, interface, str(interface.network))


def _link(node: str, interface: Interface, purpose: str) -> LinkSpec:
    return LinkSpec(node, interface.name, purpose, interface.mac.lower(), interface.address, interface.mtu)


def _taken(model: SiteModel) -> frozenset[IPv4Address]:
    """Every address that the site itself uses."""
    used: set[IPv4Address] = {model.api_vip, model.head_address, *model.dns_servers, *model.ntp_servers}
    used.update(switch.address for switch in model.switches)
    used.update(served.vip for served in model.serving)
    for node in model.nodes:
        used.add(node.bmc.address)
        used.update(i.address.ip for i in node.interfaces if i.address is not None)
    ranges = [network.dhcp_range for network in model.networks.values()]
    for span in [*ranges, model.serving_range]:
        if span is not None:
            used.update(IPv4Address(n) for n in range(int(span[0]), int(span[1]) + 1))
    return frozenset(used)


def _workstation(network: Network, taken: frozenset[IPv4Address]) -> IPv4Interface:
    cidr: IPv4Network = network.cidr
    if network.gateway is not None:
        return IPv4Interface((network.gateway, cidr.prefixlen))
    for number in range(int(cidr.broadcast_address) - 1, int(cidr.network_address), -1):
        if IPv4Address(number) not in taken:
            return IPv4Interface((number, cidr.prefixlen))
    raise UsageError(
        f"network {network.purpose} ({cidr}) has no address left for the engineer's workstation",
        "give the network a gateway, or a larger range",
    )


def _node_from(data: Mapping[str, Any]) -> NodeSpec:
    return NodeSpec(
        name=data["name"],
        fqdn=data["fqdn"],
        address=IPv4Address(data["address"]),
        links=tuple(
            LinkSpec(
                node=link["node"],
                name=link["name"],
                purpose=link["purpose"],
                mac=link["mac"],
                address=IPv4Interface(link["address"]) if link["address"] else None,
                mtu=link["mtu"],
            )
            for link in data["links"]
        ),
        gateway=IPv4Address(data["gateway"]) if data["gateway"] else None,
        machine_id=data["machine_id"],
        service_tag=data["service_tag"],
        weight=data.get("weight", 1),
        gpus=data["gpus"],
        machine=metal_spec.from_dict(data["machine"]) if data.get("machine") else None,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, IPv4Address | IPv4Interface):
        return str(value)
    return value
