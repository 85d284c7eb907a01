"""What a NetBox export says of a site: servers, switches, racks, networks, cables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network

from rackwright.catalog import Catalogue
from rackwright.importing.names import field_of, mac, plain_name, product_key
from rackwright.importing.netbox_export import Export, Item, items_of, name_of, number_of, pairs, words_of
from rackwright.intent.schema import PURPOSES

_ROLES = (
    ("head", ("head",)),
    ("control_plane", ("controlplane", "control", "master")),
    ("gpu_worker", ("gpuworker", "gpu", "worker", "inference")),
)
_GONE = ("decommissioning", "inventory", "offline")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass
class Port:
    """A server's port; ``switch`` and ``port`` are the other end's, where there is one."""

    mac: str | None = None
    switch: str | None = None
    port: str | None = None


@dataclass
class Machine:
    """A server or a switch; ``key`` is its profile or product in the catalogue. None: NetBox doesn't say."""

    name: str
    key: str
    rack: str | None
    unit: int | None
    tag: str | None
    roles: list[str] = field(default_factory=list)
    address: IPv4Interface | None = None
    bmc: IPv4Interface | None = None
    bmc_mac: str | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)


@dataclass
class NetboxSite:
    """A site as far as NetBox knows it. ``networks``: CIDR and VLAN by purpose; ``racks``: units by name.

    ``interconnects``: each cable's port of the first and of the second switch, by the pair of names.
    """

    name: str
    domain: str | None
    networks: dict[str, tuple[IPv4Network, int | None]]
    racks: dict[str, int]
    switches: list[Machine]
    servers: list[Machine]
    interconnects: dict[tuple[str, str], list[tuple[str, str]]]


def site_of(export: Export, catalogue: Catalogue) -> NetboxSite:
    """The site; what can't be taken over ends up in the export's findings."""
    servers: dict[str, Machine] = {}
    switches: dict[str, Machine] = {}
    names: dict[str, str] = {}
    domains: Counter[str] = Counter()
    sites: Counter[str] = Counter()
    server_products = {key: facts.product for key, facts in catalogue.servers.items()}
    switch_products = {key: facts.product for key, facts in catalogue.switches.items()}
    for device in export.items["devices"]:
        stated = name_of(device.get("name"))
        words = words_of(device.get("device_type"), ("model", "slug", "display"))
        server = _first(words, server_products)
        switch = _first(words, switch_products)
        if server is None and switch is None:
            message = f"{stated or 'a device without a name'}: {words[0] if words else 'its type'} is no product of the catalogue"
            export.fault(
                "devices", stated, message, "left out; a server of one's own is described in catalog/"
            )
            continue
        status = words_of(device.get("status"), ("value",))
        if status and status[0] in _GONE:
            export.fault(
                "devices", stated, f"{stated} is {status[0]}", "left out; set it to planned or active"
            )
            continue
        name, _, domain = stated.lower().partition(".")
        if not _LABEL.fullmatch(name):
            export.fault(
                "devices", stated, f"'{stated}' can't be a host name", "left out; rename it", "error"
            )
            continue
        if name in servers or name in switches:
            export.fault("devices", stated, f"two devices are called '{name}'", "rename one", "error")
            continue
        names[stated] = name
        if domain:
            domains[domain] += 1
        sites.update(
            words_of(device.get("site"), ("slug",))[:1] or words_of(device.get("site"), ("name",))[:1]
        )
        machine = _machine(export, device, name, server or switch or "")
        if server is not None:
            machine.roles = _roles(export, device, name, catalogue.servers[server].roles)
            servers[name] = machine
        else:
            switches[name] = machine
    if len(sites) > 1:
        said = ", ".join(sorted(sites))
        export.fault(
            "devices", "", f"devices of several sites: {said}", "save one with ?site=<slug>", "error"
        )
    interconnects = _ports(export, names, servers, switches, catalogue)
    networks = _networks(export, names, servers)
    _addresses(export, names, servers, networks)
    return NetboxSite(
        name=plain_site(sites.most_common(1)[0][0]) if sites else "site",
        domain=domains.most_common(1)[0][0] if domains else None,
        networks=networks,
        racks=_racks(export, [*servers.values(), *switches.values()]),
        switches=[switches[name] for name in sorted(switches)],
        servers=[servers[name] for name in sorted(servers)],
        interconnects=interconnects,
    )


def plain_site(slug: str) -> str:
    """A site's slug as a name: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")[:63] or "site"


def _first(words: list[str], products: Mapping[str, str]) -> str | None:
    return next((key for word in words if (key := product_key(word, products)) is not None), None)


def _interface(value: object) -> IPv4Interface | None:
    text = next(iter(words_of(value, ("address",))), "")
    try:
        return IPv4Interface(text)
    except ValueError:
        return None


def _machine(export: Export, device: Item, name: str, key: str) -> Machine:
    position = number_of(device.get("position"))
    unit = None
    if position is not None:
        unit = int(position)
        if unit != position:
            message = f"{name} stands at {position}: half a unit"
            export.fault("devices", name, message, f"taken as {unit}; correct it")
    tag = str(device.get("serial") or "").upper() or None
    if tag is not None and not re.fullmatch(r"[0-9A-Z]{7}", tag):
        export.fault(
            "devices", name, f"{name}: serial '{tag}' is not a service tag", "left out; 7 letters and digits"
        )
        tag = None
    rack = _rack(device.get("rack"))
    address = _interface(device.get("primary_ip4") or device.get("primary_ip"))
    return Machine(name, key, rack, unit, tag, address=address, bmc=_interface(device.get("oob_ip")))


def _roles(export: Export, device: Item, name: str, possible: tuple[str, ...]) -> list[str]:
    role = device.get("role") or device.get("device_role")
    words = words_of(role, ("slug", "name"))
    for tag in items_of(device.get("tags")):
        words += words_of(tag, ("slug", "name"))
    said = {plain_name(word) for word in words}
    found = [
        known
        for known, signs in _ROLES
        if known in possible and any(word == sign or word.startswith(sign) for word in said for sign in signs)
    ]
    if found:
        return found
    if len(possible) != 1:
        message = f"{name}: role '{words[0] if words else 'none'}' says none of {', '.join(possible)}"
        export.fault("devices", name, message, f"taken as {possible[-1]}; correct it in the site file")
    return [possible[-1]]


def switch_port(words: str, known: Mapping[str, int]) -> str | None:
    """OS10's name of a port by the name in NetBox: ``Eth 1/1/1`` and ``1/1/1`` are ``ethernet1/1/1``."""
    digits = re.sub(r"^[a-z ]*", "", words.lower())
    name = f"ethernet{digits}"
    return name if name in known else None


def _ports(
    export: Export,
    names: Mapping[str, str],
    servers: Mapping[str, Machine],
    switches: Mapping[str, Machine],
    catalogue: Catalogue,
) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Fill the servers' ports; what connects two switches is returned: ports by the pair of names."""
    for item in export.items["interfaces"]:
        server = servers.get(names.get(name_of(item.get("device")), ""))
        if server is None:
            continue
        stated = name_of(item.get("name"))
        what = field_of(stated) or ("bmc" if item.get("mgmt_only") else None)
        nested = item.get("primary_mac_address") or next(iter(items_of(item.get("mac_addresses"))), None)
        text = str(item.get("mac_address") or next(iter(words_of(nested, ("mac_address",))), ""))
        address = mac(text)
        if text and address is None:
            export.fault(
                "interfaces", f"{server.name}.{stated}", f"'{text}' is not a MAC address", "left out"
            )
        if what == "bmc":
            server.bmc_mac = address
        elif what in catalogue.servers[server.key].ports:
            server.ports.setdefault(what, Port()).mac = address
    between: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for one, other in pairs(export):
        ends = [(names.get(device, ""), port) for device, port in (one, other)]
        ends.sort(key=lambda end: end[0] in switches)
        (near, near_port), (far, far_port) = ends
        if far not in switches or (near not in servers and near not in switches):
            continue
        at = switch_port(far_port, catalogue.switches[switches[far].key].speeds())
        if at is None:
            _unknown(export, far, far_port)
        elif near in switches:
            _between(export, between, (near, near_port), (far, at), catalogue, switches)
        else:
            what = field_of(near_port)
            if what in catalogue.servers[servers[near].key].ports and what is not None:
                port = servers[near].ports.setdefault(what, Port())
                port.switch, port.port = far, at
            else:
                message = f"{near}: nobody knows what port '{near_port}' is"
                export.fault(
                    "interfaces", f"{near}.{near_port}", message, "left out; call it ocp1, ocp2, lom1 …"
                )
    return {pair: sorted(ports, key=lambda ends: _number(ends[0])) for pair, ports in sorted(between.items())}


def _unknown(export: Export, switch: str, port: str) -> None:
    message = f"{switch} has no port '{port}'"
    export.fault("interfaces", f"{switch}.{port}", message, "left out; OS10 calls its ports ethernet1/1/1")


def _between(
    export: Export,
    between: dict[tuple[str, str], list[tuple[str, str]]],
    one: tuple[str, str],
    other: tuple[str, str],
    catalogue: Catalogue,
    switches: Mapping[str, Machine],
) -> None:
    near = switch_port(one[1], catalogue.switches[switches[one[0]].key].speeds())
    if near is None:
        _unknown(export, *one)
    else:
        (first, first_port), (second, second_port) = sorted(((one[0], near), other))
        between[first, second].append((first_port, second_port))


def _number(port: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", port)]


def _networks(
    export: Export, names: Mapping[str, str], servers: Mapping[str, Machine]
) -> dict[str, tuple[IPv4Network, int | None]]:
    """Networks by purpose: prefixes whose role (or VLAN) is called so, else those of the servers' addresses.

    Of several prefixes of a role it is the one in which the servers have addresses.
    """
    used = {one.ip for server in servers.values() for one in (server.address, server.bmc) if one is not None}
    used |= {address.ip for _, address in _assigned(export, names, servers)}
    found: dict[str, tuple[IPv4Network, int | None]] = {}
    for item in export.items["prefixes"]:
        vlan = item.get("vlan")
        said = [*words_of(item.get("role"), ("slug", "name")), *words_of(vlan, ("name",))]
        purpose = next((p for p in PURPOSES for word in said if plain_name(word) == p), None)
        try:
            network = IPv4Network(str(item.get("prefix")))
        except ValueError:
            continue
        here = purpose is not None and any(address in network for address in used)
        if purpose is not None and (here or purpose not in found):
            vid = number_of(vlan.get("vid")) if isinstance(vlan, dict) else None
            found[purpose] = network, int(vid) if vid else None
    for server in servers.values():
        for purpose, address in (("management", server.address), ("oob", server.bmc)):
            if address is not None and address.network.num_addresses > 1:
                found.setdefault(purpose, (address.network, None))
    return {purpose: found[purpose] for purpose in PURPOSES if purpose in found}


def _assigned(
    export: Export, names: Mapping[str, str], servers: Mapping[str, Machine]
) -> Iterator[tuple[Machine, IPv4Interface]]:
    """The addresses of the servers' interfaces."""
    for item in export.items["ip_addresses"]:
        assigned = item.get("assigned_object")
        device = assigned.get("device") if isinstance(assigned, dict) else None
        server = servers.get(names.get(name_of(device), ""))
        address = _interface(item)
        if server is not None and address is not None:
            yield server, address


def _addresses(
    export: Export,
    names: Mapping[str, str],
    servers: Mapping[str, Machine],
    networks: Mapping[str, tuple[IPv4Network, int | None]],
) -> None:
    """Give each server its addresses by network; a BMC's own is not the server's on oob."""
    for server, address in _assigned(export, names, servers):
        if server.bmc is not None and address.ip == server.bmc.ip:
            continue
        for purpose, (network, _) in networks.items():
            if address.ip in network:
                server.addresses.setdefault(purpose, str(address.ip))
    for server in servers.values():
        if server.address is not None:
            server.addresses["management"] = str(server.address.ip)


def _racks(export: Export, machines: Iterable[Machine]) -> dict[str, int]:
    """Units by the name of each rack that a machine stands in, as far as the export has racks."""
    used = {machine.rack for machine in machines}
    heights = {_rack(item.get("name")): number_of(item.get("u_height")) for item in export.items["racks"]}
    return {
        name: int(height)
        for name, height in sorted(heights.items(), key=str)
        if name is not None and name in used and height
    }


def _rack(value: object) -> str | None:
    """A rack's name with hyphens where NetBox has blanks and the like."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name_of(value)).strip("-") or None
