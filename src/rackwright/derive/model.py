"""The site model: everything that a later stage may know of a site, typed and immutable.

Nothing here reads files. ``to_dict()`` and ``plain()`` give JSON-able data: addresses as text, sets as lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import PurePath
from typing import Any, Literal

Purpose = Literal["management", "external", "storage", "oob"]
InterfaceKind = Literal["physical", "bond", "vlan"]
Interconnect = Literal["nvlink_bridge", "nvlink", "nvswitch", "none"]


def plain(value: Any) -> Any:
    """Any value of the model as JSON-able data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(item) for item in value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, IPv4Address | IPv4Interface | IPv4Network | PurePath):
        return str(value)
    return value


@dataclass(frozen=True)
class Network:
    """One of the site's networks. ``mtu`` in bytes; ``vlan`` is None where the network is untagged."""

    purpose: Purpose
    cidr: IPv4Network
    gateway: IPv4Address | None
    vlan: int | None
    mtu: int
    dhcp_range: tuple[IPv4Address, IPv4Address] | None


@dataclass(frozen=True)
class Bmc:
    """A server's baseboard management controller (iDRAC), on the oob network."""

    address: IPv4Address
    mac: str


@dataclass(frozen=True)
class Interface:
    """A network interface as the operating system sees it.

    ``name`` is the operating system's (``eno1``, ``bond0``, ``bond0.110``); ``network`` is None for a
    bond's member; ``members`` are a bond's; ``parent`` and ``vlan`` are a VLAN's.
    """

    name: str
    network: Purpose | None
    mac: str
    address: IPv4Interface | None
    mtu: int
    kind: InterfaceKind
    members: tuple[str, ...] = ()
    parent: str | None = None
    vlan: int | None = None


@dataclass(frozen=True)
class Silicon:
    """The GPUs of a node, all alike.

    ``key`` is the catalogue's (``h100-sxm``), ``product`` the name that nvidia-smi prints; ``memory_mib`` is
    of one GPU; ``span`` is how many GPUs are linked directly to each other; ``fabric`` says that NVSwitches
    (and so Fabric Manager) are there.
    """

    key: str
    product: str
    count: int
    memory_mib: int
    form_factor: Literal["PCIe", "SXM"]
    interconnect: Interconnect
    span: int
    fabric: bool

    @property
    def label(self) -> str:
        """The value of the node label ``nvidia.com/gpu.product``."""
        return self.product.replace(" ", "-")


@dataclass(frozen=True)
class Processors:
    """A node's CPUs, all alike: ``cores`` and ``threads`` of one socket, NUMA nodes of all of them."""

    sockets: int
    cores: int
    threads: int
    numa_nodes: int


@dataclass(frozen=True)
class Node:
    """A server with all that is derived for it. ``unit`` is its lowest rack unit, ``height`` in units."""

    name: str
    fqdn: str
    profile: str
    product: str
    roles: frozenset[str]
    rack: str
    unit: int
    height: int
    service_tag: str
    bmc: Bmc
    processors: Processors
    memory_gb: int
    interfaces: tuple[Interface, ...]
    gpus: Silicon | None

    @property
    def address(self) -> IPv4Address:
        """The management address: ssh, Kubernetes' node address."""
        interface = self.interface("management")
        if interface is None or interface.address is None:
            raise LookupError(f"{self.name} has no management address")
        return interface.address.ip

    def interface(self, purpose: str) -> Interface | None:
        """The interface that carries the network's address, or None where the node isn't on that network."""
        return next((i for i in self.interfaces if i.network == purpose), None)

    @property
    def is_head(self) -> bool:
        return "head" in self.roles

    @property
    def is_control_plane(self) -> bool:
        return "control_plane" in self.roles

    @property
    def is_gpu_worker(self) -> bool:
        return "gpu_worker" in self.roles

    @property
    def is_kubernetes(self) -> bool:
        return self.is_control_plane or self.is_gpu_worker

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with ``address`` added."""
        return {**plain(self), "address": str(self.address)}


@dataclass(frozen=True)
class Rack:
    """A rack: ``units`` high, ``power_w`` watts from its feeds (None: not stated)."""

    name: str
    units: int
    power_w: int | None


@dataclass(frozen=True)
class Storage:
    """External storage on the storage network: what it is, its name in DNS, and the export with the models."""

    product: str
    name: str
    fqdn: str
    address: IPv4Address
    protocol: str
    export: str


@dataclass(frozen=True)
class SwitchPort:
    """A port of a switch, or a part of a broken-out one (``ethernet1/1/1:1``).

    ``peer`` is ``device:port`` of what is plugged in, or None.
    """

    name: str
    speed_gbps: int
    peer: str | None


@dataclass(frozen=True)
class Switch:
    """A switch; ``address`` is its management port's on the oob network."""

    name: str
    product: str
    address: IPv4Address
    rack: str
    unit: int
    height: int
    ports: tuple[SwitchPort, ...]


@dataclass(frozen=True)
class CableEnd:
    """One end of a cable: the device and its port (``ocp1`` of a server, ``ethernet1/1/1`` of a switch)."""

    device: str
    port: str


@dataclass(frozen=True)
class Cable:
    """A cable; ends in the order of their names."""

    a: CableEnd
    b: CableEnd
    speed_gbps: int


@dataclass(frozen=True)
class ModelFacts:
    """What the catalogue knows of a model.

    ``kind`` is what it makes, ``memory_gb`` the GPU memory of one copy, ``min_gpus`` the fewest GPUs that
    it is spread over; ``concurrency`` is the number of
    requests at a time that it was measured best with, None where it wasn't; ``shipped``: the release's
    bundle carries it.
    """

    product: str
    kind: Literal["language", "image"]
    precision: str | None
    memory_gb: float
    min_gpus: int
    concurrency: int | None
    shipped: bool


@dataclass(frozen=True)
class ServedModel:
    """A model by the name that clients ask for. ``gpus`` per replica; ``vip`` on the external network.

    ``gpu``: the catalogue's key of the only GPUs it may run on, ``gpu_label`` the node label of these; both
    None where its profiles say enough.
    """

    name: str
    model: str
    replicas: int
    gpus: int
    profiles: tuple[str, ...]
    vip: IPv4Address
    facts: ModelFacts
    gpu: str | None = None
    gpu_label: str | None = None
    http_port: int = 8000
    grpc_port: int = 8001


@dataclass(frozen=True)
class Access:
    """How the nodes are reached: ssh user, and public keys to be authorised beside those already there."""

    user: str
    authorized_keys: tuple[str, ...]


@dataclass(frozen=True)
class Waived:
    """A warning that the site's owner accepts: the rule, the place in the site, what it said, and why."""

    rule: str
    path: str
    message: str
    reason: str


@dataclass(frozen=True)
class SiteModel:
    """A whole site. Nodes, racks, switches, cables and served models are ordered by name.

    ``racks`` are all racks that machines stand in, and those stated. ``head_vip`` is set where two head
    nodes share their place.
    """

    name: str
    domain: str
    release: str
    timezone: str
    distribution: str
    path: str
    networks: Mapping[str, Network]
    nodes: tuple[Node, ...]
    racks: tuple[Rack, ...]
    switches: tuple[Switch, ...]
    cables: tuple[Cable, ...]
    head_vip: IPv4Address | None
    storage: Storage | None
    api_vip: IPv4Address
    api_port: int
    api_fqdn: str
    mirror_fqdn: str
    registry: str
    dns_servers: tuple[IPv4Address, ...]
    dns_upstreams: tuple[IPv4Address, ...]
    ntp_servers: tuple[IPv4Address, ...]
    ntp_upstreams: tuple[str, ...]
    pod_cidr: IPv4Network
    service_cidr: IPv4Network
    cluster_dns: IPv4Address
    serving: tuple[ServedModel, ...]
    serving_range: tuple[IPv4Address, IPv4Address] | None
    access: Access
    versions: Mapping[str, str]
    waived: tuple[Waived, ...] = ()

    @cached_property
    def _by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    def node(self, name: str) -> Node:
        """The node of that name; KeyError where there is none."""
        if name not in self._by_name:
            raise KeyError(f"site {self.name} has no node {name}")
        return self._by_name[name]

    @property
    def head(self) -> Node:
        """The head node; of two, the one that is active first."""
        return self.heads[0]

    @cached_property
    def heads(self) -> tuple[Node, ...]:
        """The head node, or the two that share its place."""
        return tuple(node for node in self.nodes if node.is_head)

    @property
    def head_address(self) -> IPv4Address:
        """Where the head node's services are reached: the shared address of two, else its own."""
        return self.head_vip or self.head.address

    @cached_property
    def control_planes(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.is_control_plane)

    @cached_property
    def gpu_workers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.is_gpu_worker)

    @cached_property
    def kubernetes_nodes(self) -> tuple[Node, ...]:
        """Control planes and GPU workers."""
        return tuple(node for node in self.nodes if node.is_kubernetes)

    @cached_property
    def far_ends(self) -> Mapping[str, Mapping[str, CableEnd]]:
        """Device → its port → the other end of the cable in it."""
        found: dict[str, dict[str, CableEnd]] = {}
        for cable in self.cables:
            for near, far in ((cable.a, cable.b), (cable.b, cable.a)):
                found.setdefault(near.device, {})[near.port] = far
        return found

    @property
    def default_route(self) -> Network | None:
        """The network whose gateway is the nodes' way out: external, else management, else none."""
        for purpose in ("external", "management"):
            network = self.networks.get(purpose)
            if network is not None and network.gateway is not None:
                return network
        return None

    def to_dict(self) -> dict[str, Any]:
        """The whole model as JSON-able data."""
        return {**plain(self), "nodes": [node.to_dict() for node in self.nodes]}
