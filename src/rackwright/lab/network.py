"""A lab's networks: one namespace with a bridge for each network of the site, and a namespace for each node.

What is wanted is compared with what the kernel shows, and only the difference is made. All devices live in
the lab's own namespaces; there is no way from them to the world.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from rackwright.lab.command import attempt, run
from rackwright.lab.spec import BridgeSpec, LabSpec, LinkSpec, NodeSpec

NETNS = Path("/run/netns")

#: How a line for ``ip -batch`` begins that deletes a device.
DELETE = "link delete "

#: The namespace routes between the site's networks, as its gateway would; bridged frames meet no filter.
SYSCTLS = (
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
)


def node_namespace(lab: str, node: str) -> str:
    """The network namespace of a node; a lab's name has no dot, so no two labs share one."""
    return f"rw-{lab}.{node}"


@dataclass(frozen=True)
class Device:
    """A network device as the kernel shows it."""

    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    master: str | None
    addresses: frozenset[IPv4Interface]


def parse(text: str) -> dict[str, Device]:
    """Devices by name, from the output of ``ip -json -details address``."""
    devices = {}
    for entry in json.loads(text or "[]"):
        if "ifname" in entry:
            devices[entry["ifname"]] = _device(entry)
    return devices


def _device(entry: Mapping[str, Any]) -> Device:
    return Device(
        name=entry["ifname"],
        kind=entry.get("linkinfo", {}).get("info_kind", ""),
        mac=entry.get("address", ""),
        mtu=int(entry.get("mtu", 0)),
        up="UP" in entry.get("flags", ()),
        master=entry.get("master"),
        addresses=frozenset(
            IPv4Interface(f"{a['local']}/{a['prefixlen']}")
            for a in entry.get("addr_info", ())
            if a.get("family") == "inet"
        ),
    )


def plan_bridges(bridges: Iterable[BridgeSpec], have: Mapping[str, Device]) -> list[str]:
    """Lines for ``ip -batch`` that make the bridges as they should be; none if they are."""
    lines = [] if _is_up(have, "lo") else ["link set lo up"]
    for bridge in bridges:
        device = have.get(bridge.name)
        if device is None:
            lines.append(f"link add {bridge.name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        if device is None or device.mac != bridge.mac:
            lines.append(f"link set {bridge.name} address {bridge.mac}")
        if device is None or device.mtu != bridge.mtu:
            lines.append(f"link set {bridge.name} mtu {bridge.mtu}")
        if device is None or bridge.address not in device.addresses:
            lines.append(f"address add {bridge.address} brd + dev {bridge.name}")
        if device is None or not device.up:
            lines.append(f"link set {bridge.name} up")
    return lines


def plan_ports(
    lab: LabSpec, node: NodeSpec, ports: Mapping[str, Device], links: Mapping[str, Device]
) -> tuple[list[str], list[str]]:
    """Lines for ``ip -batch`` in the lab's namespace and in the node's that cable the node; none if it is.

    ``ports`` are the devices of the lab's namespace, ``links`` those of the node's. Addresses that the node
    has beyond its own (a virtual one, a pod's) are left alone.
    """
    bridges = {bridge.purpose: bridge for bridge in lab.bridges}
    outside: list[str] = []
    inside: list[str] = [] if _is_up(links, "lo") else ["link set lo up"]
    for link in node.links:
        bridge = bridges[link.purpose]
        port, device = ports.get(link.port), links.get(link.name)
        if port is None or device is None:
            outside += _recable(lab, link, bridge, port, device, inside)
            port = device = None
        elif port.master != bridge.name:
            outside.append(f"link set {link.port} master {bridge.name}")
        if port is None or not port.up:
            outside.append(f"link set {link.port} up")
        if device is None or device.mac != link.mac:
            inside.append(f"link set {link.name} address {link.mac}")
        if device is None or device.mtu != link.mtu:
            inside.append(f"link set {link.name} mtu {link.mtu}")
        if link.address is not None and (device is None or link.address not in device.addresses):
            inside.append(f"address add {link.address} brd + dev {link.name}")
        if device is None or not device.up:
            inside.append(f"link set {link.name} up")
    if node.gateway is not None and inside:
        inside.append(f"route replace default via {node.gateway}")
    return outside, inside


def _recable(
    lab: LabSpec,
    link: LinkSpec,
    bridge: BridgeSpec,
    port: Device | None,
    device: Device | None,
    inside: list[str],
) -> list[str]:
    lines = [f"{DELETE}{link.port}"] if port is not None else []
    if device is not None:
        inside.append(f"{DELETE}{link.name}")
    peer = node_namespace(lab.name, link.node)
    lines.append(
        f"link add {link.port} mtu {bridge.mtu} type veth "
        f"peer name {link.name} mtu {link.mtu} address {link.mac} netns {peer}"
    )
    lines.append(f"link set {link.port} master {bridge.name} alias {link.node}:{link.name}")
    return lines


def _is_up(have: Mapping[str, Device], name: str) -> bool:
    device = have.get(name)
    return device is not None and device.up


def exists(namespace: str) -> bool:
    """Whether a namespace of this name is there and alive (its file may outlive the mount after a crash)."""
    return _inode(NETNS / namespace) is not None


def _inode(path: Path) -> int | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    proc = Path("/proc/self/ns/net").stat()
    return stat.st_ino if stat.st_dev == proc.st_dev else None


def inode(namespace: str) -> int | None:
    """The number by which the kernel knows a namespace; None if it isn't there."""
    return _inode(NETNS / namespace)


def create(namespace: str) -> None:
    """Make a namespace unless it is there; a dead file of that name is replaced."""
    if exists(namespace):
        return
    (NETNS / namespace).unlink(missing_ok=True)
    run(["ip", "netns", "add", namespace], f"make the network namespace {namespace}")


def delete(namespace: str) -> None:
    """Delete a namespace's name, if it is there; its devices go with its last process."""
    if not (NETNS / namespace).exists():
        return
    if attempt(["ip", "netns", "delete", namespace]).returncode != 0:
        (NETNS / namespace).unlink(missing_ok=True)


def forget_directory() -> None:
    """Remove the directory of names, which ``ip netns add`` mounts, if no one's namespace is left in it."""
    with contextlib.suppress(OSError):
        if NETNS.is_dir() and not any(NETNS.iterdir()):
            attempt(["umount", str(NETNS)])
            NETNS.rmdir()


def namespaces(lab: str) -> tuple[str, ...]:
    """All of a lab's namespaces that are there, nodes first."""
    if not NETNS.is_dir():
        return ()
    found = sorted(p.name for p in NETNS.iterdir())
    return tuple([n for n in found if n.startswith(f"rw-{lab}.")] + [n for n in found if n == f"rw-{lab}"])


def labs() -> frozenset[str]:
    """The names of all labs that have a namespace."""
    if not NETNS.is_dir():
        return frozenset()
    found = (re.fullmatch(r"rw-([^.]+)(\..*)?", p.name) for p in NETNS.iterdir())
    return frozenset(m.group(1) for m in found if m)


def devices(namespace: str) -> dict[str, Device]:
    """The devices of a namespace; RunFailure if they can't be listed."""
    argv = ["ip", "-netns", namespace, "-json", "-details", "address", "show"]
    return parse(run(argv, f"list the network devices of {namespace}"))


def apply(namespace: str, lines: list[str], doing: str) -> None:
    """Give lines to ``ip -batch`` in a namespace; what is to be deleted goes first."""
    gone = [line.removeprefix(DELETE) for line in lines if line.startswith(DELETE)]
    rest = [line for line in lines if not line.startswith(DELETE)]
    remove(namespace, gone, doing)
    if rest:
        run(["ip", "-netns", namespace, "-batch", "-"], doing, text="\n".join(rest) + "\n", where=namespace)


def remove(namespace: str, names: Iterable[str], doing: str) -> None:
    """Delete the devices of these names that are there.

    The kernel deletes them too, when the namespace of their other end has gone: whichever is gone
    between the look and the deletion is no failure.
    """
    left = set(names)
    while left and (left := left & devices(namespace).keys()):
        name = min(left)
        if attempt(["ip", "-netns", namespace, "link", "delete", name]).returncode == 0:
            left.discard(name)
        elif name in devices(namespace):
            run(["ip", "-netns", namespace, "link", "delete", name], doing, where=namespace)


def ensure_lab(lab: LabSpec) -> None:
    """The lab's namespace with its bridges, as they should be."""
    create(lab.namespace)
    apply(
        lab.namespace,
        plan_bridges(lab.bridges, devices(lab.namespace)),
        f"make the bridges of lab {lab.name}",
    )
    script = "; ".join(
        f"if [ -e /proc/sys/net/{key} ]; then echo {value} > /proc/sys/net/{key}; fi"
        for key, value in SYSCTLS
    )
    run([*enter(lab.namespace), "sh", "-c", script], f"set up routing in {lab.namespace}")


def ensure_node(lab: LabSpec, node: NodeSpec) -> bool:
    """The node's namespace, cabled; whether anything had to be done."""
    namespace = node_namespace(lab.name, node.name)
    create(namespace)
    outside, inside = plan_ports(lab, node, devices(lab.namespace), devices(namespace))
    doing = f"cable {node.name}"
    removed = [line for line in inside if line.startswith(DELETE)]
    apply(namespace, removed, doing)
    apply(lab.namespace, outside, doing)
    apply(namespace, [line for line in inside if line not in removed], doing)
    return bool(outside or inside)


def remove_node(lab: LabSpec, node: str, ports: Iterable[str] = ()) -> None:
    """Uncable a node: delete its namespace and its ports (at once, the kernel would take its time)."""
    delete(node_namespace(lab.name, node))
    if exists(lab.namespace):
        remove(lab.namespace, ports, f"uncable {node}")


def enter(namespace: str) -> list[str]:
    """The start of a command line that runs a program in a namespace."""
    return ["nsenter", f"--net={NETNS / namespace}", "--"]


def processes(namespace: str) -> frozenset[int]:
    """All processes whose network namespace this is."""
    wanted = inode(namespace)
    found: set[int] = set()
    if wanted is None:
        return frozenset()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.stat(entry / "ns/net").st_ino == wanted:  # noqa: PTH116 (a link that has no path of its own)
                    found.add(int(entry.name))
            except OSError:
                continue
    return frozenset(found)
