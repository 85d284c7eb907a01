"""A site as NetBox's REST API would give it: the shape of its 4.x list results."""

from __future__ import annotations

from itertools import count
from typing import Any

from rackwright.derive.model import Node, SiteModel

API = "https://netbox.example/api"
SLUGS = {"head": "head", "control_plane": "control-plane", "gpu_worker": "gpu-worker"}
Lists = dict[str, list[dict[str, Any]]]


def _device(number: int, name: str, product: str, site: str, rack: str, unit: int) -> dict[str, Any]:
    url = f"{API}/dcim/devices/{number}/"
    model = {
        "id": 1,
        "url": f"{API}/dcim/device-types/1/",
        "model": product,
        "slug": product.lower().replace(" ", "-"),
    }
    return {
        "id": number,
        "url": url,
        "display": name,
        "name": name,
        "device_type": {**model, "manufacturer": {"id": 1, "name": "Dell", "slug": "dell"}},
        "role": {"id": 1, "name": "Switch", "slug": "switch"},
        "serial": "",
        "site": {"id": 1, "name": site.upper(), "slug": site},
        "rack": {"id": 1, "name": rack, "display": rack},
        "position": float(unit),
        "face": {"value": "front", "label": "Front"},
        "status": {"value": "active", "label": "Active"},
        "primary_ip": None,
        "primary_ip4": None,
        "oob_ip": None,
        "tags": [],
    }


def _address(text: object) -> dict[str, Any]:
    return {
        "id": 1,
        "url": f"{API}/ipam/ip-addresses/1/",
        "display": str(text),
        "family": 4,
        "address": str(text),
    }


def _interface(number: int, device: dict[str, Any], name: str, mac: str | None) -> dict[str, Any]:
    return {
        "id": number,
        "url": f"{API}/dcim/interfaces/{number}/",
        "device": {"id": device["id"], "name": device["name"], "display": device["name"]},
        "name": name,
        "mac_address": mac.upper() if mac else None,
        "mgmt_only": False,
        "cable": None,
        "link_peers": [],
        "connected_endpoints": None,
    }


def export(model: SiteModel) -> Lists:
    """devices, interfaces, cables, racks, ip_addresses and prefixes of a site."""
    numbers = count(1)
    made: Lists = {
        kind: [] for kind in ("devices", "interfaces", "cables", "racks", "ip_addresses", "prefixes")
    }
    ends: dict[tuple[str, str], dict[str, Any]] = {}
    lengths = {purpose: network.cidr.prefixlen for purpose, network in model.networks.items()}
    for switch in model.switches:
        device = _device(next(numbers), switch.name, switch.product, model.name, switch.rack, switch.unit)
        device["oob_ip"] = _address(f"{switch.address}/{lengths['oob']}")
        made["devices"].append(device)
        for port in switch.ports:
            ends[switch.name, port.name] = _interface(next(numbers), device, port.name, None)
    for node in model.nodes:
        device = _server(model, node, next(numbers), lengths["oob"])
        made["devices"].append(device)
        bmc = _interface(next(numbers), device, "iDRAC", node.bmc.mac)
        ends[node.name, "idrac"] = bmc | {"mgmt_only": True}
        for interface in node.interfaces:
            port = "lom1" if interface.name == "eno1" else interface.name
            ends[node.name, port] = _interface(next(numbers), device, interface.name, interface.mac)
            if interface.address is not None:
                assigned = {
                    "id": 1,
                    "device": {"id": device["id"], "name": node.name},
                    "name": interface.name,
                }
                made["ip_addresses"].append(_address(interface.address) | {"assigned_object": assigned})
    made["interfaces"] = list(ends.values())
    for cable in model.cables:
        sides = {}
        for side, end in (("a", cable.a), ("b", cable.b)):
            there = ends[end.device, end.port]
            nested = {key: there[key] for key in ("id", "url", "device", "name")}
            one = {"object_type": "dcim.interface", "object_id": there["id"], "object": nested}
            sides[f"{side}_terminations"] = [one]
        number = next(numbers)
        made["cables"].append({"id": number, "url": f"{API}/dcim/cables/{number}/", "label": "", **sides})
    for rack in sorted({device["rack"]["name"] for device in made["devices"]}):
        made["racks"].append(
            {"id": 1, "url": f"{API}/dcim/racks/1/", "name": rack, "u_height": 42, "site": {}}
        )
    for purpose, network in model.networks.items():
        vlan = {"id": 1, "vid": network.vlan, "name": f"vlan{network.vlan}"} if network.vlan else None
        role = {"id": 1, "name": purpose.title(), "slug": purpose}
        url = f"{API}/ipam/prefixes/1/"
        made["prefixes"].append(
            {"id": 1, "url": url, "prefix": str(network.cidr), "role": role, "vlan": vlan}
        )
    return made


def _server(model: SiteModel, node: Node, number: int, length: int) -> dict[str, Any]:
    device = _device(number, node.name, node.product, model.name, node.rack, node.unit)
    roles = sorted(node.roles)
    device["role"] = {"id": 2, "name": roles[0], "slug": SLUGS[roles[0]]}
    device["tags"] = [{"id": 3, "name": role, "slug": SLUGS[role]} for role in roles[1:]]
    device["serial"] = node.service_tag
    management = node.interface("management")
    device["primary_ip4"] = device["primary_ip"] = _address(management.address if management else "")
    device["oob_ip"] = _address(f"{node.bmc.address}/{length}")
    return device


def results(items: list[dict[str, Any]]) -> dict[str, Any]:
    """One list result, of a single page."""
    return {"count": len(items), "next": None, "previous": None, "results": items}
