"""Rules of the networks themselves: ranges, gateways, tags, packet sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv4Network

from rackwright.intent.document import Path_
from rackwright.intent.hardware import STORAGE_PORTS
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

POD_PREFIX = 24
TAGGED = ("external", "storage")
OOB_MTU = 1500
JUMBO_MTU = 9000
#: The default VLAN of every port, and the one that OS10 keeps for the link between two paired switches.
RESERVED_VLANS = {1: "the switches' default for untagged packets", 4094: "OS10's own between paired switches"}
RESERVED = {
    IPv4Network("0.0.0.0/8"): "'this network'",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("169.254.0.0/16"): "link-local",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
}
BRIDGE = IPv4Network("172.17.0.0/16")


def ranges(facts: Facts) -> list[tuple[Path_, str, IPv4Network]]:
    """Path, name and range of the networks, the pods and the services."""
    found: list[tuple[Path_, str, IPv4Network]] = [
        (("networks", purpose, "cidr"), purpose, network.cidr) for purpose, network in facts.networks.items()
    ]
    if facts.kubernetes is not None:
        found.append((("kubernetes", "pod_cidr"), "pod_cidr", facts.kubernetes.pod_cidr))
        found.append((("kubernetes", "service_cidr"), "service_cidr", facts.kubernetes.service_cidr))
    return found


class NetworksOverlap(Rule):
    id = "networks-overlap"
    what = "The site's networks, the pods' and the services' don't overlap."
    why = "A node would send packets for one of them out of the other's interface."
    mend = "Give one of the two another range."
    source = "operations, addressing"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for (path_a, name_a, one), (path_b, name_b, other) in itertools.combinations(ranges(facts), 2):
            if one.overlaps(other):
                message = f"{name_b} {other} overlaps {name_a} {one} ({facts.line_of(path_a, path_b)})"
                yield Fault(path_b, message, "give one of the two a range of its own")


class ReservedRange(Rule):
    id = "reserved-range"
    what = "No range is one that the Internet protocol keeps for itself."
    why = "Loopback, link-local and multicast addresses are never routed, and a host may not have them."
    mend = "Take a private range: of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
    source = "operations, addressing (RFC 6890)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, name, cidr in ranges(facts):
            for reserved, what in RESERVED.items():
                if cidr.overlaps(reserved):
                    message = f"{name} {cidr} lies in {reserved}, which is {what}"
                    yield Fault(path, message, "take a private range, such as one of 10.0.0.0/8")


class BridgeRange(Rule):
    id = "bridge-range"
    severity = "warning"
    what = f"No range overlaps {BRIDGE}."
    why = (
        "A container engine on any machine takes it for its own bridge, and is then cut off from the site's."
    )
    mend = "Take another private range."
    source = "operations, addressing (Docker's default bridge)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, name, cidr in ranges(facts):
            if cidr.overlaps(BRIDGE):
                message = f"{name} {cidr} overlaps {BRIDGE}, the usual bridge of container engines"
                yield Fault(path, message, "take another private range, such as one of 10.0.0.0/8")


class PublicRange(Rule):
    id = "public-range"
    severity = "warning"
    what = "Pods and services have private addresses."
    why = "In the cluster they hide whoever has these addresses on the Internet."
    mend = "Take a private range."
    source = "operations, addressing (RFC 1918)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, name, cidr in ranges(facts):
            if path[0] == "kubernetes" and cidr.is_global and not cidr.is_multicast:
                message = f"{name} {cidr} holds public addresses"
                yield Fault(path, message, "take a private range, such as one of 10.0.0.0/8")


class GatewayOutside(Rule):
    id = "gateway-outside"
    what = "A gateway lies in its network and is an address that a host may have."
    why = "Nodes can't reach a router that isn't on their link."
    mend = "Take an address of the network, often the first or the last."
    source = "operations, addressing"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for purpose, network in facts.networks.items():
            gateway, cidr = network.gateway, network.cidr
            edges = (cidr.network_address, cidr.broadcast_address)
            if gateway is not None and (gateway not in cidr or gateway in edges):
                message = f"gateway {gateway} is no host's address of the {purpose} network {cidr}"
                yield Fault(("networks", purpose, "gateway"), message, f"such as {cidr.network_address + 1}")


class ExternalGateway(Rule):
    id = "external-gateway"
    severity = "warning"
    what = "The external network has a gateway."
    why = "Without one only clients on that very network get answers from the served models."
    mend = "State networks.external.gateway."
    source = "chapter 4, networking design"

    def check(self, facts: Facts) -> Iterator[Fault]:
        external = facts.networks.get("external")
        if external is not None and external.gateway is None:
            message = "the external network has no gateway: clients beyond it get no answer"
            yield Fault(("networks", "external"), message, "add 'gateway': its router's address", key=True)


class VlanMissing(Rule):
    id = "vlan-missing"
    what = "The external and the storage network have a VLAN tag."
    why = "They share the servers' bonds with others: without a tag their packets can't be told apart."
    mend = "State the tag that the switches use for the network."
    source = "operations, VLANs"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for purpose in TAGGED:
            network = facts.networks.get(purpose)
            if network is not None and network.vlan is None:
                message = f"the {purpose} network has no VLAN tag, but shares the servers' bond with others"
                hint = "add 'vlan': the tag that the switches use for it"
                yield Fault(("networks", purpose), message, hint, key=True)


class VlanUnwanted(Rule):
    id = "vlan-unwanted"
    what = "The management and the oob network have no VLAN tag."
    why = "A server that boots for the first time knows no tags: these two reach it untagged."
    mend = "Remove the tag; the switches' ports set it."
    source = "operations, VLANs"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for purpose, network in facts.networks.items():
            if purpose not in TAGGED and network.vlan is not None:
                message = f"the {purpose} network has a VLAN tag, but reaches the servers untagged"
                hint = "remove it; the switches' ports set it"
                yield Fault(("networks", purpose, "vlan"), message, hint, key=True)


class VlanTwice(Rule):
    id = "vlan-twice"
    what = "Each tagged network has a VLAN of its own."
    why = "With the same tag their packets can't be told apart."
    mend = "Give each network a tag of its own."
    source = "operations, VLANs"

    def check(self, facts: Facts) -> Iterator[Fault]:
        seen: dict[int, str] = {}
        for purpose in TAGGED:
            network = facts.networks.get(purpose)
            if network is None or network.vlan is None:
                continue
            first = seen.setdefault(network.vlan, purpose)
            if first != purpose:
                message = f"VLAN {network.vlan} of {purpose} is already that of {first}"
                yield Fault(("networks", purpose, "vlan"), message, "give each network a tag of its own")


class VlanReserved(Rule):
    id = "vlan-reserved"
    what = "No network's tag is VLAN 1 or 4094."
    why = "VLAN 1 is what switches do with untagged packets; OS10 keeps 4094 for itself."
    mend = "Take a tag from 2 to 4093."
    source = "operations, OS10"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for purpose in TAGGED:
            network = facts.networks.get(purpose)
            if network is not None and network.vlan in RESERVED_VLANS:
                message = f"VLAN {network.vlan} of {purpose} is {RESERVED_VLANS[network.vlan]}"
                yield Fault(("networks", purpose, "vlan"), message, "take a tag from 2 to 4093")


class LargestMtu(Rule):
    id = "largest-mtu"
    what = "No network's MTU is larger than that of the bond that carries it."
    why = "External, and storage without an adapter of its own, share bond0, whose MTU is management's."
    mend = "Raise management's MTU to the largest, on the switches' ports too, or lower the other."
    source = "operations, MTU"

    def check(self, facts: Facts) -> Iterator[Fault]:
        management = facts.networks.get("management")
        shared = {"external"}
        if any(s.addresses.storage and STORAGE_PORTS[0] not in s.ports for _, s in facts.servers):
            shared.add("storage")
        for purpose in TAGGED:
            network = facts.networks.get(purpose)
            if purpose not in shared or network is None or management is None:
                continue
            if network.mtu > management.mtu:
                message = f"MTU {network.mtu} of {purpose} is larger than {management.mtu} of management"
                hint = f"both pass the bond: set networks.management.mtu to {network.mtu}, or lower this"
                yield Fault(("networks", purpose, "mtu"), message, hint)


class OobMtu(Rule):
    id = "oob-mtu"
    what = f"The oob network's MTU is {OOB_MTU} at most."
    why = "An iDRAC's port takes no larger packets, and neither does a boot over the network."
    mend = "Leave the oob network's 'mtu' out."
    source = "operations, iDRAC (the design's OOB network is 1 Gb Ethernet)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        oob = facts.networks.get("oob")
        if oob is not None and oob.mtu > OOB_MTU:
            message = f"MTU {oob.mtu} of oob is larger than the {OOB_MTU} that BMCs take"
            yield Fault(("networks", "oob", "mtu"), message, "leave 'mtu' out")


class StorageMtu(Rule):
    id = "storage-mtu"
    severity = "warning"
    what = f"Where there is external storage, its network's MTU is {JUMBO_MTU} or more."
    why = "With small packets a 100 Gbit/s port spends its time on headers, and models load slowly."
    mend = "Set networks.storage.mtu, and the same on the switches and the storage."
    source = "operations, PowerScale"

    def check(self, facts: Facts) -> Iterator[Fault]:
        network = facts.networks.get("storage")
        if facts.storage is not None and network is not None and network.mtu < JUMBO_MTU:
            message = f"MTU {network.mtu} of storage is small for {facts.storage.product}"
            hint = f"set networks.storage.mtu to {JUMBO_MTU}, on the switches and the storage too"
            yield Fault(("networks", "storage", "mtu"), message, hint)


class PodRange(Rule):
    id = "pod-range"
    what = f"pod_cidr holds a /{POD_PREFIX} for each node."
    why = "A node that gets no range of its own can't run a pod."
    mend = "Take a larger range: a /16 holds 256 nodes."
    source = "operations, Kubernetes"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.kubernetes is None:
            return
        cidr, nodes = facts.kubernetes.pod_cidr, len(facts.servers)
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
    source = "operations, Kubernetes"

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.kubernetes is not None and not 12 <= facts.kubernetes.service_cidr.prefixlen <= 24:
            message = f"service_cidr {facts.kubernetes.service_cidr} isn't between a /12 and a /24"
            yield Fault(("kubernetes", "service_cidr"), message, "take a /16, such as 10.96.0.0/16")


RULES: tuple[type[Rule], ...] = (
    NetworksOverlap,
    ReservedRange,
    BridgeRange,
    PublicRange,
    GatewayOutside,
    ExternalGateway,
    VlanMissing,
    VlanUnwanted,
    VlanTwice,
    VlanReserved,
    LargestMtu,
    OobMtu,
    StorageMtu,
    PodRange,
    ServiceRange,
)
