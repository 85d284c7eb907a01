"""The nodes' network configuration, for the phase that installs their operating systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rackwright.derive.model import Interface, Network, Node, SiteModel
from rackwright.render.registry import Artefact, Options, Template

# Both switches of a pair are one to LACP (VLT), so that the bond uses both links at a time. Fast: a link that
# is up but passes nothing is left after 3 seconds instead of 90.
BOND = {
    "mode": "802.3ad",
    "lacp-rate": "fast",
    "mii-monitor-interval": 100,
    "min-links": 1,
    "transmit-hash-policy": "layer3+4",
}
# Nothing that the site file doesn't state: no addresses made up, none taken from a router's word.
QUIET = {"dhcp4": False, "dhcp6": False, "accept-ra": False, "link-local": []}


def netplan_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The whole document as ``network``."""
    kinds: dict[str, dict[str, Any]] = {"physical": {}, "bond": {}, "vlan": {}}
    route = way_out(model, node)
    for interface in node.interfaces:
        entry = _entry(interface)
        if interface.address is not None:
            entry["addresses"] = [str(interface.address)]
        if route is not None and interface.network == route.purpose:
            entry["routes"] = [{"to": "default", "via": str(route.gateway)}]
        if interface.network == "management":
            servers = [str(server) for server in model.dns_servers]
            entry["nameservers"] = {"addresses": servers, "search": [model.domain]}
        kinds[interface.kind][interface.name] = entry
    named = {"ethernets": kinds["physical"], "bonds": kinds["bond"], "vlans": kinds["vlan"]}
    document = {"version": 2, "renderer": "networkd", **{name: part for name, part in named.items() if part}}
    return {"network": document}


def way_out(model: SiteModel, node: Node) -> Network | None:
    """The network whose gateway is this node's way out: external where it is on it, else management, else none."""
    for purpose in ("external", "management"):
        network, interface = model.networks.get(purpose), node.interface(purpose)
        if network is not None and network.gateway and interface is not None and interface.address:
            return network
    return None


def _entry(interface: Interface) -> dict[str, Any]:
    """An interface without its addresses. The boot port may be without a link: booting doesn't wait for it."""
    rest = {"mtu": interface.mtu, **QUIET}
    if interface.kind == "physical":
        match = {"match": {"macaddress": interface.mac}, "set-name": interface.name}
        return {**match, **rest, **({"optional": True} if interface.network == "oob" else {})}
    if interface.kind == "bond":
        parts = {"interfaces": list(interface.members), "macaddress": interface.mac, "parameters": BOND}
        return {**parts, **rest}
    return {"id": interface.vlan, "link": interface.parent, **rest}


ARTEFACTS = (
    Artefact(
        "netplan",
        role=None,
        values=netplan_values,
        files=(Template("netplan/60-rackwright.yaml.j2", "/etc/netplan/60-rackwright.yaml", mode="0600"),),
    ),
)
