"""The grammar of a site file. Each field's description is also its documentation (docs/reference/site.md)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

from pydantic import Field

from rackwright.intent.document import Path_
from rackwright.intent.fields import (
    AddressRange,
    Breakout,
    Domain,
    ExportPath,
    Gpus,
    Host,
    Mac,
    Name,
    Network4,
    PortName,
    Profile,
    PublicKey,
    RackName,
    Role,
    ServiceTag,
    Strict,
    Unit,
)
from rackwright.intent.schema_ranges import RackRange as RackRange
from rackwright.intent.schema_ranges import ServerRange as ServerRange
from rackwright.intent.schema_ranges import SwitchRange as SwitchRange

PURPOSES = ("management", "external", "storage", "oob")


class Site(Strict):
    """The site as a whole."""

    name: Name = Field(description="The site's name; names its reports and its lab.")
    domain: Domain = Field(description="DNS domain of every node and service; the head node answers for it.")
    release: str = Field(description="The tested set of versions to install: a file of catalog/releases.")
    timezone: str = Field(
        "Etc/UTC", pattern=r"^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", description="The nodes' time zone."
    )
    distribution: str = Field(
        "debian-13", description="The nodes' operating system: a key of catalog/distributions.yml."
    )


class Network(Strict):
    """A network of the site."""

    cidr: Network4 = Field(description="The network and its prefix length, such as 10.40.0.0/24.")
    gateway: IPv4Address | None = Field(
        None, description="The router's address; left out where the network has none."
    )
    vlan: int | None = Field(
        None,
        ge=1,
        le=4094,
        description="VLAN tag: required on external and storage; management and oob reach the servers untagged and have none.",
    )
    mtu: int = Field(1500, ge=1280, le=9216, description="Largest packet in bytes.")
    dhcp_range: AddressRange | None = Field(
        None,
        description="first-last: addresses for servers that boot for the first time (oob only); not needed where "
        "every server has addresses.oob.",
    )


class Networks(Strict):
    """The site's networks by purpose."""

    management: Network = Field(
        description="ssh, installation and Kubernetes between the nodes; untagged on bond0, which is ocp1 and ocp2."
    )
    external: Network = Field(
        description="The data centre's: where users reach the served models; tagged on bond0."
    )
    storage: Network | None = Field(
        None,
        description="The network to external storage, which the section 'storage' states; tagged on bond1 of a server "
        "with nic1 and nic2, else on bond0.",
    )
    oob: Network = Field(
        description="Out of band: BMCs, switches' management ports, PXE over the LOM; untagged."
    )


class Access(Strict):
    """How the nodes are reached by ssh."""

    user: str = Field(
        "root",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="The ssh user; other than root it needs sudo.",
    )
    authorized_keys: tuple[PublicKey, ...] = Field(
        (), description="Public keys to authorise beside those already there."
    )


class Dns(Strict):
    """Name service. The head node answers for the site's domain."""

    upstreams: tuple[IPv4Address, ...] = Field(
        (), description="Resolvers for all other names; none: the site is air-gapped."
    )


class Ntp(Strict):
    """Time. The head node is the nodes' time server."""

    upstreams: tuple[Host, ...] = Field(
        (), description="The head node's own time servers; none: its clock is the reference."
    )


class Kubernetes(Strict):
    """The cluster."""

    api_vip: IPv4Address = Field(
        description="The API's address, held by one control plane at a time (management network)."
    )
    pod_cidr: Network4 = Field(description="Addresses of pods; each node takes a /24 of it.")
    service_cidr: Network4 = Field(description="Addresses of services within the cluster.")


class Head(Strict):
    """The head node's place where two servers share it, one active, one waiting."""

    vip: IPv4Address = Field(
        description="The address of the active one (management network): DNS, mirror and registry."
    )


class Rack(Strict):
    """A rack."""

    name: RackName = Field(description="The rack's name, by which servers and switches refer to it.")
    units: Unit = Field(42, description="Its height in rack units.")
    power_w: int | None = Field(
        None,
        ge=1,
        description="Watts that its feeds can give together while one of them is out: 22000 from one of 400 V and 32 A "
        "(three phases), 17600 where 80 % may be drawn for long. Left out, the rack's power isn't checked.",
    )


class Storage(Strict):
    """External storage on the network networks.storage. Its credentials belong into the vault, not here."""

    product: str = Field(min_length=1, description="What it is, such as PowerScale F600.")
    name: Name = Field(description="Its name in DNS.")
    address: IPv4Address = Field(description="Where the nodes reach it, on the storage network.")
    protocol: Literal["nfs"] = Field("nfs", description="How its files are mounted.")
    export: ExportPath = Field(description="The exported directory that holds the models.")


class Switch(Strict):
    """A switch."""

    name: Name = Field(description="The switch's name, by which servers' ports refer to it.")
    product: str = Field(description="A key of catalog/switches.yml.")
    rack: RackName = Field(description="The rack it stands in.")
    unit: Unit = Field(description="The lowest rack unit that it takes, counted from the bottom.")
    address: IPv4Address = Field(description="Its management port's address on the oob network.")
    breakouts: dict[PortName, Breakout] = Field(
        {},
        description="Ports split into slower ones: ethernet1/1/1 as 4x25 gives ethernet1/1/1:1 to ethernet1/1/1:4.",
    )


class Interconnect(Strict):
    """Cables between two switches."""

    switches: tuple[Name, Name] = Field(description="The two switches' names.")
    ports: tuple[str, ...] = Field(
        min_length=1,
        description="The first one's ports; the same at both ends unless far_ports says otherwise.",
    )
    far_ports: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="The second one's ports, in the order of ports, where they are others.",
    )

    def ends(self) -> tuple[tuple[str, str], ...]:
        """Each cable as its port of the first switch and its port of the second."""
        return tuple(zip(self.ports, self.ports if self.far_ports is None else self.far_ports, strict=False))

    def places(self, cable: int) -> tuple[Path_, Path_]:
        """Where the two ports of a cable are stated within the entry: the same place where one text is both."""
        near: Path_ = ("ports", cable)
        return near, near if self.far_ports is None else ("far_ports", cable)


class Bmc(Strict):
    """A server's iDRAC. Its credentials belong into the vault, not here."""

    address: IPv4Address = Field(description="Its address on the oob network.")
    mac: Mac = Field(description="Its MAC address, such as b0:7b:25:40:0b:01.")


class Port(Strict):
    """A network port of a server, and where its cable goes."""

    mac: Mac = Field(description="The port's MAC address, such as b0:7b:25:40:0b:01.")
    switch: Name | None = Field(
        None,
        description="The switch at the other end; left out, with 'port', for the oob network's own, which a site doesn't state.",
    )
    port: str | None = Field(
        None, description="The switch's port, by the switch's own name for it: ethernet1/1/1."
    )


class Addresses(Strict):
    """A server's address on each network."""

    management: IPv4Address = Field(description="On the management network: ssh and Kubernetes.")
    external: IPv4Address | None = Field(None, description="On the external network; needed on GPU workers.")
    storage: IPv4Address | None = Field(None, description="On the storage network.")
    oob: IPv4Address | None = Field(
        None, description="Of the LOM on the oob network: given out by DHCP for PXE."
    )


class Server(Strict):
    """A server."""

    name: Name = Field(description="Host name without the domain.")
    profile: Profile = Field(
        description="The configuration that it was bought as: a key of catalog/servers.yml (tables 4 to 7 of the design)."
    )
    roles: tuple[Role, ...] = Field(
        min_length=1, description="What it is for: head, control_plane, gpu_worker."
    )
    rack: RackName = Field(description="The rack it stands in.")
    unit: Unit = Field(description="The lowest rack unit that it takes, counted from the bottom.")
    service_tag: ServiceTag = Field(
        description="Dell's service tag, seven letters and digits: it tells the machines apart before they have addresses."
    )
    bmc: Bmc = Field(description="The iDRAC.")
    addresses: Addresses = Field(description="The server's addresses by network.")
    ports: dict[str, Port] = Field(
        description="Network ports by the profile's names: lom1 on oob, ocp1 and ocp2 as bond0, nic1 and nic2 as bond1."
    )
    gpus: Gpus | None = Field(
        None, description="Only where the GPUs are other than the profile's usual ones."
    )


class ModelService(Strict):
    """A model as users see it."""

    name: Name = Field(description="The name by which clients ask for it; names its Service too.")
    model: str = Field(description="What is served: a key of catalog/models.yml.")
    replicas: int = Field(1, ge=1, le=64, description="How many copies answer side by side.")
    gpus: int = Field(1, ge=1, le=16, description="GPUs of each replica, all in one server.")
    profiles: tuple[Profile, ...] = Field(
        min_length=1, description="The kinds of server that it may run on, whichever GPUs they have."
    )
    gpu: str | None = Field(
        None,
        description="A key of catalog/gpus.yml: the only GPUs it may run on, where servers of a profile have different ones; "
        "left out, any of them.",
    )
    vip: IPv4Address | None = Field(
        None,
        description="Its address; left out, free ones of vip_range are given out in the order of the names.",
    )


class Serving(Strict):
    """The inference service."""

    vip_range: AddressRange = Field(
        description="first-last: addresses of the external network for served models."
    )
    models: tuple[ModelService, ...] = Field((), description="The models to serve.")


class Waiver(Strict):
    """A warning that the site's owner has looked at and accepts. Errors can't be waived."""

    rule: str = Field(description="The rule's id, as the warning shows it.")
    at: str | None = Field(
        None,
        min_length=1,
        description="Where: the first parts of the warning's path, such as servers.xe9680-1 or server_ranges.gpu-{01..64}; "
        "servers.gpu-* is every name that begins so; left out, everywhere.",
    )
    reason: str = Field(
        min_length=10,
        description="Why it is accepted, in ten characters or more; the report and the site book show it.",
    )


class SiteFile(Strict):
    """A site file: one site, stated once."""

    plugin: Literal["rackwright_site"] = Field(
        description="Always rackwright_site: it makes the file an Ansible inventory."
    )
    site: Site = Field(description="The site as a whole.")
    networks: Networks = Field(description="The networks by purpose.")
    access: Access = Field(Access(), description="How the nodes are reached.")
    dns: Dns = Field(Dns(), description="Name service.")
    ntp: Ntp = Field(Ntp(), description="Time.")
    kubernetes: Kubernetes = Field(description="The cluster.")
    head: Head | None = Field(None, description="The address that two head nodes share; needed for two.")
    racks: tuple[Rack, ...] = Field(
        (), description="The racks; where they are stated, every machine stands in one of them."
    )
    storage: Storage | None = Field(
        None,
        description="External storage for models, where there is any; the network to it is networks.storage.",
    )
    switches: tuple[Switch, ...] = Field((), description="The switches.")
    interconnects: tuple[Interconnect, ...] = Field((), description="Cables between switches.")
    servers: tuple[Server, ...] = Field(
        (), description="The servers; more of them may stand in racks/*.yml beside the file."
    )
    rack_ranges: tuple[RackRange, ...] = Field((), description="Racks that are alike, written once.")
    switch_ranges: tuple[SwitchRange, ...] = Field((), description="Switches that are alike, written once.")
    server_ranges: tuple[ServerRange, ...] = Field((), description="Servers that are alike, written once.")
    hardware: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.csv$",
        description="A CSV file beside the site file with the service tags and MAC addresses that it leaves out: "
        "columns name, service_tag, bmc_mac, and one for each port (lom1, ocp1, ocp2 …).",
    )
    serving: Serving | None = Field(
        None, description="The inference service; left out, the cluster serves nothing yet."
    )
    waive: tuple[Waiver, ...] = Field((), description="Warnings that are accepted, each with its reason.")


class RackFile(Strict):
    """A file of racks/ beside the site file: part of a large site."""

    switches: tuple[Switch, ...] = Field((), description="Switches of the rack.")
    interconnects: tuple[Interconnect, ...] = Field((), description="Cables between switches.")
    servers: tuple[Server, ...] = Field((), description="Servers of the rack.")
    rack_ranges: tuple[RackRange, ...] = Field((), description="Racks that are alike, written once.")
    switch_ranges: tuple[SwitchRange, ...] = Field((), description="Switches that are alike, written once.")
    server_ranges: tuple[ServerRange, ...] = Field((), description="Servers that are alike, written once.")
