"""The cables of bare machines: taps, a bridge for each switch that they are cabled to, and a trunk to the networks.

```
machine ── tap ── sw-leaf-a ── peer link ── sw-leaf-b ── tap ── the same machine
                      │
                  trunk ═ trunk-x ── (BPF: by tag) ── x-external ═ n-external ── br-external ── containers
```

Tagged frames stay tagged on the switches' bridges, which look at no tags; ports and trunk do, by BPF (``metal_bpf``).
One trunk, in a row of switches: there is no loop, and each address is learnt on one port.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rackwright.lab import network
from rackwright.lab.command import run
from rackwright.lab.metal_spec import FabricSpec, PortSpec, named, short
from rackwright.lab.network import Device
from rackwright.lab.spec import LabSpec

TRUNK, TRUNK_FAR = "trunk", "trunk-x"
#: Kinds of devices that are made here; what else of these kinds is in the namespace begins with ``OTHERS``.
KINDS = ("tun", "veth", "bridge")
OTHERS = ("br", "v")


def ports(lab: LabSpec) -> tuple[PortSpec, ...]:
    """All bare machines' ports."""
    return tuple(port for n in lab.nodes if n.machine is not None for port in n.machine.ports)


def peer_links(fabric: FabricSpec) -> Iterable[tuple[str, str, str, str]]:
    """Between each switch and the next: bridge, its end's name, the other end's name, the other bridge."""
    for one, other in zip(fabric.switches, fabric.switches[1:], strict=False):
        yield one, short("pa", one, other), short("pb", one, other), other


def plan(lab: LabSpec, have: Mapping[str, Device]) -> list[str]:
    """Lines for ``ip -batch`` in the lab's namespace that make the difference; none where all is as it should be."""
    mtus = {bridge.purpose: bridge.mtu for bridge in lab.bridges}
    made: set[str] = set()
    lines: list[str] = []

    def device(name: str, add: str, mtu: int, master: str | None = None) -> None:
        made.add(name)
        there = have.get(name)
        if there is None and add:
            lines.append(add)
        if there is None or there.mtu != mtu:
            lines.append(f"link set {name} mtu {mtu}")
        if master is not None and (there is None or there.master != master):
            lines.append(f"link set {name} master {master}")
        if there is None or not there.up:
            lines.append(f"link set {name} up")

    def pair(one: str, other: str, mtu: int, master: str, far_master: str | None) -> None:
        device(one, f"link add {one} type veth peer name {other}", mtu, master)
        device(other, "", mtu, far_master)

    if lab.fabric is not None:
        for switch in lab.fabric.switches:
            # No address is learned from LACP's own frames: an idle member of a bond sends them with the bond's address,
            # and what is for the bond would be sent to the member that doesn't take it.
            add = f"link add {switch} type bridge stp_state 0 forward_delay 0 mcast_snooping 0 no_linklocal_learn 1"
            device(switch, add, lab.fabric.mtu)
        for one, near, far, other in peer_links(lab.fabric):
            pair(near, far, lab.fabric.mtu, one, other)
        pair(TRUNK, TRUNK_FAR, lab.fabric.mtu, lab.fabric.switches[0], None)
        for purpose, _ in lab.fabric.networks:
            pair(named("n", purpose), named("x", purpose), mtus[purpose], named("br", purpose), None)
    for port in ports(lab):
        device(port.tap, f"tuntap add dev {port.tap} mode tap", port.mtu, port.bridge)
    strays = [
        name
        for name, d in have.items()
        if d.kind in KINDS and not name.startswith(OTHERS) and name not in made
    ]
    # Of a veth pair both ends are strays, and the second is gone with the first.
    gone = [name for name in strays if not (name.startswith(("x-", "pb")) or name == TRUNK_FAR)]
    return [f"link delete {name}" for name in sorted(gone)] + lines


def programs(lab: LabSpec) -> list[dict[str, Any]]:
    """What ``metal_bpf`` is to attach, and where."""
    found: list[dict[str, Any]] = []
    if lab.fabric is not None:
        native = next((named("x", p) for p, vlan in lab.fabric.networks if vlan is None), None)
        vlans = {str(vlan): named("x", p) for p, vlan in lab.fabric.networks if vlan is not None}
        sort_out = {"kind": "sort_out", "native": native, "vlans": vlans}
        found.append({"device": TRUNK_FAR, "hook": "ingress", **sort_out})
        for purpose, vlan in lab.fabric.networks:
            bring = {"kind": "bring", "vlan": vlan, "trunk": TRUNK_FAR}
            found.append({"device": named("x", purpose), "hook": "ingress", **bring})
    for port in ports(lab):
        if port.vlans is not None:
            allow = {"kind": "port", "native": port.native, "vlans": list(port.vlans)}
            found += [{"device": port.tap, "hook": hook, **allow} for hook in ("ingress", "egress")]
    return found


def ensure(lab: LabSpec) -> None:
    """The switches, the trunk and the machines' taps as they should be; what is left of earlier ones goes."""
    doing = f"cable the bare machines of lab {lab.name}"
    lines = plan(lab, network.devices(lab.namespace))
    network.apply(lab.namespace, lines, doing)
    wanted = programs(lab)
    if wanted:
        attach = [sys.executable, "-m", "rackwright.lab.metal_bpf"]
        run([*network.enter(lab.namespace), *attach], doing, text=json.dumps(wanted), where=lab.namespace)
