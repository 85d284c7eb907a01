"""The derivation: a faultless intent and the catalogue in, the site model out."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from types import MappingProxyType
from typing import cast

from rackwright import catalog
from rackwright.catalog import Catalogue, Model, ServerPort
from rackwright.derive.model import (
    Access,
    Bmc,
    Cable,
    CableEnd,
    Interface,
    ModelFacts,
    Network,
    Node,
    Processors,
    Purpose,
    Rack,
    ServedModel,
    Silicon,
    SiteModel,
    Storage,
    Switch,
    SwitchPort,
)
from rackwright.intent import schema
from rackwright.intent.hardware import BOND_PORTS, STORAGE_PORTS, chosen_gpus, port_speeds

API_PORT = 8443
REGISTRY_PORT = 5000
BOND = "bond0"
STORAGE_BOND = "bond1"


def derive(intent: schema.SiteFile, path: str, catalogue: Catalogue) -> SiteModel:
    """The model of a site that the rules found nothing wrong with. ``path`` is recorded as the site's own."""
    site = intent.site
    networks = derive_networks(intent.networks)
    nodes = tuple(
        derive_node(server, site.domain, networks, catalogue)
        for server in sorted(intent.servers, key=lambda s: s.name)
    )
    cables = derive_cables(intent, catalogue)
    peers = _peers(cables)
    vip = intent.head.vip if intent.head is not None else None
    heads = tuple(node.address for node in nodes if node.is_head)
    return SiteModel(
        name=site.name,
        domain=site.domain,
        release=site.release,
        timezone=site.timezone,
        distribution=site.distribution,
        path=path,
        networks=MappingProxyType(networks),
        nodes=nodes,
        racks=derive_racks(intent),
        switches=tuple(
            _switch(switch, peers.get(switch.name, {}), catalogue)
            for switch in sorted(intent.switches, key=lambda s: s.name)
        ),
        cables=cables,
        head_vip=vip,
        storage=_storage(intent),
        api_vip=intent.kubernetes.api_vip,
        api_port=API_PORT,
        api_fqdn=f"api.{site.domain}",
        mirror_fqdn=f"mirror.{site.domain}",
        registry=f"registry.{site.domain}:{REGISTRY_PORT}",
        dns_servers=(vip,) if vip is not None else heads,
        dns_upstreams=intent.dns.upstreams,
        ntp_servers=heads,
        ntp_upstreams=intent.ntp.upstreams,
        pod_cidr=intent.kubernetes.pod_cidr,
        service_cidr=intent.kubernetes.service_cidr,
        cluster_dns=intent.kubernetes.service_cidr[10],
        serving=derive_serving(intent.serving, catalogue),
        serving_range=intent.serving.vip_range if intent.serving else None,
        access=Access(intent.access.user, intent.access.authorized_keys),
        versions=MappingProxyType(dict(catalog.releases()[site.release].versions)),
    )


def derive_networks(networks: schema.Networks) -> dict[str, Network]:
    """The stated networks by purpose, in the grammar's order."""
    stated = (
        (purpose, cast("schema.Network | None", getattr(networks, purpose))) for purpose in schema.PURPOSES
    )
    return {
        purpose: Network(cast("Purpose", purpose), net.cidr, net.gateway, net.vlan, net.mtu, net.dhcp_range)
        for purpose, net in stated
        if net is not None
    }


def derive_racks(intent: schema.SiteFile) -> tuple[Rack, ...]:
    """The stated racks, and those that machines name: of the usual height, power unknown."""
    racks = {rack.name: Rack(rack.name, rack.units, rack.power_w) for rack in intent.racks}
    usual = schema.Rack.model_fields["units"].default
    named = [server.rack for server in intent.servers] + [switch.rack for switch in intent.switches]
    for name in named:
        racks.setdefault(name, Rack(name, usual, None))
    return tuple(racks[name] for name in sorted(racks))


def _storage(intent: schema.SiteFile) -> Storage | None:
    stated = intent.storage
    if stated is None:
        return None
    fqdn = f"{stated.name}.{intent.site.domain}"
    return Storage(stated.product, stated.name, fqdn, stated.address, stated.protocol, stated.export)


def derive_node(
    server: schema.Server, domain: str, networks: dict[str, Network], catalogue: Catalogue
) -> Node:
    """A server with its interfaces and GPUs."""
    facts = catalogue.servers[server.profile]
    return Node(
        name=server.name,
        fqdn=f"{server.name}.{domain}",
        profile=server.profile,
        product=facts.product,
        roles=frozenset(server.roles),
        rack=server.rack,
        unit=server.unit,
        height=facts.height,
        service_tag=server.service_tag,
        bmc=Bmc(server.bmc.address, server.bmc.mac),
        processors=Processors(facts.cpu.sockets, facts.cpu.cores, facts.cpu.threads, facts.numa_nodes),
        memory_gb=facts.memory_gb,
        interfaces=_interfaces(server, networks, catalogue),
        gpus=derive_silicon(server, catalogue),
    )


def derive_silicon(server: schema.Server, catalogue: Catalogue) -> Silicon | None:
    """The GPUs of a server: the profile's usual ones, or those stated."""
    chosen = chosen_gpus(server, catalogue)
    if chosen is None:
        return None
    option, count = chosen
    gpu = catalogue.gpus[option.product]
    return Silicon(
        key=option.product,
        product=gpu.product,
        count=count,
        memory_mib=gpu.memory_mib,
        form_factor=gpu.form_factor,
        interconnect=option.interconnect,
        span=min(option.span, count),
        fabric=option.interconnect == "nvswitch",
    )


def _interfaces(
    server: schema.Server, networks: dict[str, Network], catalogue: Catalogue
) -> tuple[Interface, ...]:
    """LOM on oob; bond0 of ocp1 and ocp2: management untagged, external and storage tagged.

    Where there is a second adapter, bond1 of nic1 and nic2 carries storage instead.
    """
    facts = catalogue.servers[server.profile].ports
    result: list[Interface] = []
    if "lom1" in server.ports:
        oob = networks["oob"]
        result.append(_carrying(facts["lom1"].interface, oob, server.ports["lom1"].mac, server.addresses.oob))
    tagged = [
        networks[p]
        for p in ("external", "storage")
        if p in networks and getattr(server.addresses, p) is not None
    ]
    management = networks["management"]
    second = [net for net in tagged if net.purpose == "storage" and STORAGE_PORTS[0] in server.ports]
    first = [net for net in tagged if net not in second]
    result += _bond(BOND, BOND_PORTS, management, first, server, facts)
    if STORAGE_PORTS[0] in server.ports:
        result += _bond(STORAGE_BOND, STORAGE_PORTS, None, second, server, facts)
    return tuple(result)


def _bond(
    bond: str,
    ports: tuple[str, ...],
    untagged: Network | None,
    tagged: list[Network],
    server: schema.Server,
    facts: dict[str, ServerPort],
) -> list[Interface]:
    """A bond with its members before it and its VLANs after it."""
    members = tuple(name for name in ports if name in server.ports)
    macs = [server.ports[name].mac for name in members]
    carried = [net for net in (untagged, *tagged) if net is not None]
    mtu = untagged.mtu if untagged else max((net.mtu for net in carried), default=1500)
    names = tuple(facts[name].interface for name in members)
    result = [
        Interface(name, None, mac, None, mtu, "physical") for name, mac in zip(names, macs, strict=True)
    ]
    address = _on(untagged, server.addresses.management) if untagged else None
    purpose = untagged.purpose if untagged else None
    result.append(Interface(bond, purpose, macs[0], address, mtu, "bond", names))
    for network in tagged:
        own = _on(network, cast("IPv4Address", getattr(server.addresses, network.purpose)))
        name = f"{bond}.{network.vlan}"
        result.append(
            Interface(name, network.purpose, macs[0], own, network.mtu, "vlan", (), bond, network.vlan)
        )
    return result


def _carrying(name: str, network: Network, mac: str, address: IPv4Address | None) -> Interface:
    on = _on(network, address) if address is not None else None
    return Interface(name, network.purpose, mac, on, network.mtu, "physical")


def _on(network: Network, address: IPv4Address) -> IPv4Interface:
    return IPv4Interface((address, network.cidr.prefixlen))


def derive_cables(intent: schema.SiteFile, catalogue: Catalogue) -> tuple[Cable, ...]:
    """Every cable that the site states, once, ordered by its ends."""
    speeds = {switch.name: port_speeds(switch, catalogue) for switch in intent.switches}
    cables: list[Cable] = []
    for server in intent.servers:
        facts = catalogue.servers[server.profile].ports
        for name, port in server.ports.items():
            if port.switch is not None and port.port is not None:
                speed = min(facts[name].speed_gbps, speeds[port.switch][port.port])
                cables.append(_cable(CableEnd(server.name, name), CableEnd(port.switch, port.port), speed))
    for link in intent.interconnects:
        one, other = link.switches
        for near, far in link.ends():
            speed = min(speeds[one][near], speeds[other][far])
            cables.append(_cable(CableEnd(one, near), CableEnd(other, far), speed))
    return tuple(sorted(cables, key=lambda c: (_end(c.a), _end(c.b))))


def _end(end: CableEnd) -> tuple[str, str, int, int]:
    stem, _, number = end.port.rpartition("/")
    whole, _, part = number.partition(":")
    return (end.device, stem, int(whole), int(part or 0)) if stem else (end.device, "", 0, 0)


def _cable(one: CableEnd, other: CableEnd, speed: int) -> Cable:
    a, b = sorted((one, other), key=lambda end: (end.device, end.port))
    return Cable(a, b, speed)


def _peers(cables: tuple[Cable, ...]) -> dict[str, dict[str, str]]:
    """Device → its port → ``device:port`` at the cable's other end."""
    peers: dict[str, dict[str, str]] = {}
    for cable in cables:
        for end, far in ((cable.a, cable.b), (cable.b, cable.a)):
            peers.setdefault(end.device, {})[end.port] = f"{far.device}:{far.port}"
    return peers


def _switch(switch: schema.Switch, peers: Mapping[str, str], catalogue: Catalogue) -> Switch:
    facts = catalogue.switches[switch.product]
    ports = tuple(
        SwitchPort(name, speed, peers.get(name)) for name, speed in port_speeds(switch, catalogue).items()
    )
    return Switch(switch.name, facts.product, switch.address, switch.rack, switch.unit, facts.height, ports)


def derive_serving(serving: schema.Serving | None, catalogue: Catalogue) -> tuple[ServedModel, ...]:
    """The served models; those without a stated address get free ones of the range, in the order of names."""
    if serving is None:
        return ()
    taken = {service.vip for service in serving.models}
    first, last = serving.vip_range
    free = (
        IPv4Address(number) for number in range(int(first), int(last) + 1) if IPv4Address(number) not in taken
    )
    return tuple(
        ServedModel(
            name=service.name,
            model=service.model,
            replicas=service.replicas,
            gpus=service.gpus,
            profiles=tuple(sorted(set(service.profiles))),
            vip=service.vip if service.vip is not None else next(free),
            facts=_facts(catalogue.models[service.model]),
            gpu=service.gpu,
            gpu_label=catalogue.gpus[service.gpu].label if service.gpu is not None else None,
        )
        for service in sorted(serving.models, key=lambda s: s.name)
    )


def _facts(model: Model) -> ModelFacts:
    concurrency = model.load.concurrency if model.load else None
    return ModelFacts(
        product=model.product,
        kind=model.kind,
        precision=model.precision,
        memory_gb=model.memory_gb,
        min_gpus=model.min_gpus,
        concurrency=concurrency,
        shipped=model.shipped,
    )
