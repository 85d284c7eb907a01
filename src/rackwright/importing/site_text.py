"""A site taken over from elsewhere, written as a site file in the layout of the example sites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rackwright.importing.edit import is_plain
from rackwright.importing.netbox import Machine, NetboxSite

_NEEDED = {
    "site.domain": "the DNS domain",
    "networks.external": "the data centre's network, with its VLAN",
    "networks.management": "the servers' own network",
    "networks.oob": "the network of the iDRACs",
    "kubernetes": "api_vip, pod_cidr, service_cidr",
    "serving": "what to serve",
}


def site_text(site: NetboxSite, release: str) -> str:
    """The file; what NetBox doesn't know is left out, and named in a comment at the top."""
    return "\n".join(_lines(site, release)) + "\n"


def _lines(site: NetboxSite, release: str) -> Iterator[str]:
    yield "---"
    yield "plugin: rackwright_site"
    yield ""
    yield "# Taken over from NetBox. To be added by hand: " + ", ".join(_missing(site)) + "."
    yield "# `rackwright validate` names whatever else is missing, at its place."
    yield "site:"
    yield f"  name: {scalar(site.name)}"
    if site.domain:
        yield f"  domain: {scalar(site.domain)}"
    yield f'  release: "{release}"'
    if site.networks:
        yield ""
        yield "networks:"
    for purpose, (network, vlan) in site.networks.items():
        yield f"  {purpose}:"
        yield f"    cidr: {network}"
        if vlan is not None and purpose in ("external", "storage"):
            yield f"    vlan: {vlan}"
    if site.racks:
        yield ""
        yield "racks:"
        for name, units in site.racks.items():
            yield "  - " + flow({"name": name, "units": str(units)})
    if site.switches:
        yield ""
        yield "switches:"
        for switch in site.switches:
            yield "  - " + flow(_switch(switch))
    if site.interconnects:
        yield ""
        yield "interconnects:              # the same port at both ends, where there are no far_ports"
        for pair, cables in site.interconnects.items():
            near, far = _listed(end for end, _ in cables), _listed(end for _, end in cables)
            others = "" if near == far else f", far_ports: {far}"
            yield f"  - {{switches: {_listed(pair)}, ports: {near}{others}}}"
    yield ""
    yield "servers:"
    for number, server in enumerate(site.servers):
        if number:
            yield ""
        yield from _server(server)


def _listed(values: Iterable[str]) -> str:
    return f"[{', '.join(map(scalar, values))}]"


def _missing(site: NetboxSite) -> list[str]:
    there = {f"networks.{purpose}" for purpose in site.networks}
    if site.domain:
        there.add("site.domain")
    return [f"{name} ({what})" for name, what in _NEEDED.items() if name not in there]


def _switch(switch: Machine) -> Mapping[str, str | None]:
    address = switch.address or switch.bmc
    return {
        "name": switch.name,
        "product": switch.key,
        "rack": switch.rack,
        "unit": _text(switch.unit),
        "address": str(address.ip) if address else None,
    }


def _server(server: Machine) -> Iterator[str]:
    yield f"  - name: {scalar(server.name)}"
    yield f"    profile: {scalar(server.key)}"
    yield f"    roles: [{', '.join(server.roles)}]"
    stated = {"rack": server.rack, "unit": _text(server.unit), "service_tag": server.tag}
    for key, value in stated.items():
        if value is not None:
            yield f"    {key}: {value if key == 'unit' else scalar(value)}"
    bmc = {"address": str(server.bmc.ip) if server.bmc else None, "mac": server.bmc_mac}
    if any(bmc.values()):
        yield f"    bmc: {flow(bmc)}"
    if server.addresses:
        order = ("management", "external", "storage", "oob")
        yield f"    addresses: {flow({key: server.addresses.get(key) for key in order})}"
    if server.ports:
        yield "    ports:"
        for name in sorted(server.ports, key=("lom1", "lom2", "ocp1", "ocp2", "nic1", "nic2").index):
            port = server.ports[name]
            yield f"      {name}: {flow({'mac': port.mac, 'switch': port.switch, 'port': port.port})}"


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def flow(values: Mapping[str, str | None]) -> str:
    """A block in one line, without the values that aren't there."""
    said = (f"{key}: {scalar(value, key)}" for key, value in values.items() if value is not None)
    return "{" + ", ".join(said) + "}"


def scalar(value: str, key: str = "") -> str:
    """A value as it stands in the example sites: MACs in quotes, addresses and ports plain."""
    plain = key in ("address", "management", "external", "storage", "oob", "port", "unit", "units")
    plain = plain or is_plain(value) or value.startswith("ethernet")
    return value if plain else f'"{value}"'
