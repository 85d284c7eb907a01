"""Rules of the networks themselves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv4Network

from rackwright.intent.document import Path_
from rackwright.intent.load import Intent
from rackwright.rules.base import Fault, Rule, line_of

POD_PREFIX = 24
TAGGED = ("external", "storage")


class NetworksOverlap(Rule):
    id = "networks-overlap"
    what = "The site's networks, the pods' and the services' don't overlap."
    why = "A node would send packets for one of them out of the other's interface."
    mend = "Give one of the two another range."

    def check(self, intent: Intent) -> Iterator[Fault]:
        ranges: list[tuple[Path_, str, IPv4Network]] = [
            (("networks", purpose, "cidr"), purpose, network.cidr)
            for purpose, network in intent.networks.items()
        ]
        if intent.kubernetes is not None:
            ranges.append((("kubernetes", "pod_cidr"), "pod_cidr", intent.kubernetes.pod_cidr))
            ranges.append((("kubernetes", "service_cidr"), "service_cidr", intent.kubernetes.service_cidr))
        for (path_a, name_a, one), (path_b, name_b, other) in itertools.combinations(ranges, 2):
            if one.overlaps(other):
                message = f"{name_b} {other} overlaps {name_a} {one} ({line_of(intent, path_a, path_b)})"
                yield Fault(path_b, message, "give one of the two a range of its own")


class GatewayOutside(Rule):
    id = "gateway-outside"
    what = "A gateway lies in its network and is an address that a host may have."
    why = "Nodes can't reach a router that isn't on their link."
    mend = "Take an address of the network, often the first or the last."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for purpose, network in intent.networks.items():
            gateway, cidr = network.gateway, network.cidr
            edges = (cidr.network_address, cidr.broadcast_address)
            if gateway is not None and (gateway not in cidr or gateway in edges):
                message = f"gateway {gateway} is no host's address of the {purpose} network {cidr}"
                yield Fault(("networks", purpose, "gateway"), message, f"such as {cidr.network_address + 1}")


class DhcpRangeOutside(Rule):
    id = "dhcp-range-outside"
    what = "A DHCP range lies within its network."
    why = "dnsmasq refuses to hand out addresses of another network."
    mend = "Take the range from the network."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for purpose, network in intent.networks.items():
            if network.dhcp_range is None:
                continue
            first, last = network.dhcp_range
            if first <= network.cidr.network_address or last >= network.cidr.broadcast_address:
                message = f"DHCP range {first}-{last} isn't within the {purpose} network {network.cidr}"
                hosts = f"{network.cidr.network_address + 1} to {network.cidr.broadcast_address - 1}"
                yield Fault(("networks", purpose, "dhcp_range"), message, f"its hosts are {hosts}")


class DhcpOnlyOob(Rule):
    id = "dhcp-only-oob"
    what = "Only the oob network has a DHCP range."
    why = "New servers boot over their LOM on oob; elsewhere it would meet the data centre's own DHCP server."
    mend = "Move the range to networks.oob."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for purpose, network in intent.networks.items():
            if purpose != "oob" and network.dhcp_range is not None:
                message = f"a DHCP range on the {purpose} network"
                yield Fault(("networks", purpose, "dhcp_range"), message, "move it to networks.oob", key=True)


class VlanTags(Rule):
    id = "vlan-tags"
    what = (
        "External and storage have a VLAN tag each, of their own; management and oob reach servers untagged."
    )
    why = "They share the servers' bond: without different tags their packets can't be told apart."
    mend = "State the tag that the switches use for the network."

    def check(self, intent: Intent) -> Iterator[Fault]:
        seen: dict[int, str] = {}
        for purpose, network in intent.networks.items():
            path: Path_ = ("networks", purpose, "vlan")
            if network.vlan is None:
                if purpose in TAGGED:
                    message = f"the {purpose} network has no VLAN tag, but shares the bond with management"
                    yield Fault(path, message, "add 'vlan': the tag that the switches use for it", key=True)
            elif purpose not in TAGGED:
                message = f"the {purpose} network has a VLAN tag, but reaches the servers untagged"
                yield Fault(path, message, "remove it; the switches' ports set it", key=True)
            elif network.vlan in seen:
                message = f"VLAN {network.vlan} of {purpose} is already that of {seen[network.vlan]}"
                yield Fault(path, message, "give each network a tag of its own")
            else:
                seen[network.vlan] = purpose


class LargestMtu(Rule):
    id = "largest-mtu"
    what = "No tagged network's MTU is larger than management's."
    why = "They share the bond, whose MTU is management's: larger packets are dropped."
    mend = "Raise management's MTU to the largest, on the switches' ports too, or lower the other."

    def check(self, intent: Intent) -> Iterator[Fault]:
        management = intent.networks.get("management")
        for purpose in TAGGED:
            network = intent.networks.get(purpose)
            if network is not None and management is not None and network.mtu > management.mtu:
                message = f"MTU {network.mtu} of {purpose} is larger than {management.mtu} of management"
                hint = f"both pass the bond: set networks.management.mtu to {network.mtu}, or lower this"
                yield Fault(("networks", purpose, "mtu"), message, hint)


class PodRange(Rule):
    id = "pod-range"
    what = f"pod_cidr holds a /{POD_PREFIX} for each node."
    why = "A node that gets no range of its own can't run a pod."
    mend = "Take a larger range: a /16 holds 256 nodes."
    needs = frozenset({"servers"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        if intent.kubernetes is None:
            return
        cidr, nodes = intent.kubernetes.pod_cidr, len(intent.servers)
        holds = 2 ** (POD_PREFIX - cidr.prefixlen) if cidr.prefixlen <= POD_PREFIX else 0
        if holds < nodes:
            message = (
                f"pod_cidr {cidr} holds {holds} nodes of a /{POD_PREFIX} each, but there are {nodes} servers"
            )
            hint = f"take a /{POD_PREFIX - max(nodes - 1, 1).bit_length()} or larger"
            yield Fault(("kubernetes", "pod_cidr"), message, hint)


class ServiceRange(Rule):
    id = "service-range"
    what = "service_cidr is between a /12 and a /24."
    why = "Kubernetes refuses a larger one; in a smaller one the cluster's services run out of addresses."
    mend = "Take a /16."

    def check(self, intent: Intent) -> Iterator[Fault]:
        if intent.kubernetes is not None and not 12 <= intent.kubernetes.service_cidr.prefixlen <= 24:
            message = f"service_cidr {intent.kubernetes.service_cidr} isn't between a /12 and a /24"
            yield Fault(("kubernetes", "service_cidr"), message, "take a /16, such as 10.96.0.0/16")


RULES: tuple[type[Rule], ...] = (
    NetworksOverlap,
    GatewayOutside,
    DhcpRangeOutside,
    DhcpOnlyOob,
    VlanTags,
    LargestMtu,
    PodRange,
    ServiceRange,
)
