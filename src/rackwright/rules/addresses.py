"""Rules of addresses: each in its network, each once, each range by itself."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from rackwright.intent.document import Path_
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts, Stated

DESIGN = "chapter 4, networking design"


class AddressOutside(Rule):
    id = "address-outside"
    what = "Each address lies in the network that it is stated for: a BMC's on oob, a VIP's on its own."
    why = "Nobody else on that network could reach it."
    mend = "Take an address of the network."
    source = "operations, addressing"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for stated in facts.stated:
            network = facts.networks.get(stated.network)
            if network is None or stated.path[0] == "networks":
                continue
            edges = (network.cidr.network_address, network.cidr.broadcast_address)
            if stated.address not in network.cidr:
                message = (
                    f"{stated.address} of {stated.owner} isn't in the {stated.network} network {network.cidr}"
                )
                yield Fault(stated.path, message, facts.free_address(stated.network, stated))
            elif stated.address in edges:
                message = f"{stated.address} of {stated.owner} is the network's own or its broadcast address"
                yield Fault(stated.path, message, facts.free_address(stated.network, stated))


class NetworkNotThere(Rule):
    id = "network-not-there"
    what = "A server has addresses only on networks that the site has."
    why = "Without the network's length and tag the interface can't be set up."
    mend = "State the network, or remove the address."
    source = "operations, addressing"
    needs = frozenset({"networks"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for stated in facts.stated:
            # A storage network that external storage needs is another rule's.
            if stated.network == "storage" and facts.storage is not None:
                continue
            if stated.network not in facts.networks:
                message = f"{stated.owner} has an address, but the site has no {stated.network} network"
                hint = f"add networks.{stated.network}, or remove the address"
                yield Fault(stated.path, message, hint, key=True)


class DuplicateAddress(Rule):
    id = "duplicate-address"
    what = "No address is stated twice."
    why = "Two machines with one address are each unreachable half of the time."
    mend = "Give one of the two another address."
    source = "operations, addressing"

    def check(self, facts: Facts) -> Iterator[Fault]:
        seen: dict[IPv4Address, Stated] = {}
        for stated in facts.stated:
            first = seen.setdefault(stated.address, stated)
            if first is not stated:
                where = facts.line_of(first.path, stated.path)
                message = f"{stated.address} of {stated.owner} is already taken by {first.owner} ({where})"
                yield Fault(stated.path, message, facts.free_address(stated.network, stated))


class AddressInDhcpRange(Rule):
    id = "address-in-dhcp-range"
    what = "No stated address lies in a DHCP range."
    why = "A booting server may be given it while its owner uses it."
    mend = "Take an address outside the range, or shorten the range."
    source = "operations, DHCP"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for stated in facts.stated:
            network = facts.networks.get(stated.network)
            if network is None or network.dhcp_range is None:
                continue
            first, last = network.dhcp_range
            if first <= stated.address <= last:
                message = f"{stated.address} of {stated.owner} lies in the DHCP range {first}-{last}"
                yield Fault(stated.path, message, facts.free_address(stated.network, stated))


class DhcpRangeOutside(Rule):
    id = "dhcp-range-outside"
    what = "A DHCP range lies within its network."
    why = "dnsmasq refuses to hand out addresses of another network."
    mend = "Take the range from the network."
    source = "operations, DHCP"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for purpose, network in facts.networks.items():
            if network.dhcp_range is None:
                continue
            first, last = network.dhcp_range
            if not _holds(network.cidr, first, last):
                message = f"DHCP range {first}-{last} isn't within the {purpose} network {network.cidr}"
                hosts = f"{network.cidr.network_address + 1} to {network.cidr.broadcast_address - 1}"
                yield Fault(("networks", purpose, "dhcp_range"), message, f"its hosts are {hosts}")


def _holds(cidr: IPv4Network, first: IPv4Address, last: IPv4Address) -> bool:
    """Whether a range consists of addresses that hosts of a network may have."""
    return cidr.network_address < first and last < cidr.broadcast_address


class DhcpOnlyOob(Rule):
    id = "dhcp-only-oob"
    what = "Only the oob network has a DHCP range."
    why = "New servers boot over their LOM on oob; elsewhere it would meet the data centre's own DHCP server."
    mend = "Move the range to networks.oob."
    source = DESIGN

    def check(self, facts: Facts) -> Iterator[Fault]:
        for purpose, network in facts.networks.items():
            if purpose != "oob" and network.dhcp_range is not None:
                message = f"a DHCP range on the {purpose} network"
                yield Fault(("networks", purpose, "dhcp_range"), message, "move it to networks.oob", key=True)


class DhcpRangeTooSmall(Rule):
    id = "dhcp-range-too-small"
    what = "The oob network's DHCP range holds an address for each server that has none of its own there."
    why = "They boot at once after a power cut: those that get no address stay down."
    mend = "Widen the range, or state addresses.oob of the servers."
    source = "operations, DHCP"
    needs = frozenset({"servers", "networks"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        oob = facts.networks.get("oob")
        if oob is None or oob.dhcp_range is None:
            return
        first, last = oob.dhcp_range
        size, servers = int(last) - int(first) + 1, len(_booting(facts))
        if size < servers:
            message = f"DHCP range {first}-{last} holds {size} of the {servers} servers that need it"
            hint = "widen it, or give them addresses.oob"
            yield Fault(("networks", "oob", "dhcp_range"), message, hint)


class DhcpRangeMissing(Rule):
    id = "dhcp-range-missing"
    severity = "warning"
    what = "The oob network has a DHCP range where a server has no address of its own there."
    why = "Such a server can't boot over the network."
    mend = "State networks.oob.dhcp_range, or addresses.oob of the servers."
    source = DESIGN
    needs = frozenset({"servers", "networks"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        oob, booting = facts.networks.get("oob"), _booting(facts)
        if oob is not None and oob.dhcp_range is None and booting:
            more = f" and {len(booting) - 1} more" if len(booting) > 1 else ""
            message = (
                f"{booting[0]}{more} can't boot over oob: no DHCP range there, and no address of their own"
            )
            yield Fault(("networks", "oob"), message, "add 'dhcp_range', or their addresses.oob", key=True)


def _booting(facts: Facts) -> list[str]:
    """Servers that boot over their LOM and have no address of their own on oob."""
    return [s.name for _, s in facts.servers if "lom1" in s.ports and s.addresses.oob is None]


class ServingRange(Rule):
    id = "serving-range"
    what = "The range for served models lies in the external network."
    why = "The nodes announce these addresses there: elsewhere nobody can reach them."
    mend = "Take a stretch of the external network that nothing else uses."
    source = DESIGN

    def check(self, facts: Facts) -> Iterator[Fault]:
        external = facts.networks.get("external")
        if facts.serving is None or external is None:
            return
        first, last = facts.serving.vip_range
        cidr = external.cidr
        if not _holds(cidr, first, last):
            hosts = f"{cidr.network_address + 1} to {cidr.broadcast_address - 1}"
            message = f"vip_range {first}-{last} isn't within the external network {cidr}"
            yield Fault(("serving", "vip_range"), message, f"its hosts are {hosts}")


class AddressInServingRange(Rule):
    id = "address-in-serving-range"
    what = "Only served models have addresses of vip_range."
    why = "The pod network announces these addresses: whoever else has one is cut off."
    mend = "Take an address outside the range, or shorten the range."
    source = "operations, served models"

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.serving is None:
            return
        first, last = facts.serving.vip_range
        external = facts.networks.get("external")
        # A range that isn't of the network is another rule's.
        if external is not None and not _holds(external.cidr, first, last):
            return
        for stated in facts.stated:
            if stated.path[0] != "serving" and first <= stated.address <= last:
                message = f"{stated.address} of {stated.owner} lies in vip_range {first}-{last}"
                yield Fault(stated.path, message, facts.free_address(stated.network, stated))


class ServingRangeTooSmall(Rule):
    id = "serving-range-too-small"
    what = "vip_range holds an address for each served model."
    why = "A model without an address can't be reached."
    mend = "Widen the range."
    source = "operations, served models"
    needs = frozenset({"serving"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.serving is None:
            return
        first, last = facts.serving.vip_range
        size, models = int(last) - int(first) + 1, len(facts.models)
        if size < models:
            message = f"vip_range {first}-{last} holds {size} addresses for {models} models"
            yield Fault(("serving", "vip_range"), message, f"widen it to {models} addresses at least")


class VipOutsideRange(Rule):
    id = "vip-outside-range"
    what = "A served model's VIP lies in vip_range."
    why = "The pod network hands out and announces that range only."
    mend = "Take an address of the range, or leave 'vip' out."
    source = "operations, served models"

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.serving is None:
            return
        first, last = facts.serving.vip_range
        external = facts.networks.get("external")
        for at, service in facts.models:
            vip = service.vip
            # Outside the network is another rule's.
            if vip is None or first <= vip <= last or (external is not None and vip not in external.cidr):
                continue
            message = f"the VIP {vip} of model {service.name} isn't in vip_range {first}-{last}"
            path: Path_ = (*at, "vip")
            yield Fault(path, message, "take an address of the range, or leave 'vip' out")


RULES: tuple[type[Rule], ...] = (
    AddressOutside,
    NetworkNotThere,
    DuplicateAddress,
    AddressInDhcpRange,
    DhcpRangeOutside,
    DhcpOnlyOob,
    DhcpRangeTooSmall,
    DhcpRangeMissing,
    ServingRange,
    AddressInServingRange,
    ServingRangeTooSmall,
    VipOutsideRange,
)
