"""Rules of addresses: each in its network, each once, each range by itself."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from rackwright.intent.document import Path_
from rackwright.intent.load import Intent
from rackwright.rules.base import Fault, Rule, Stated, free_address, line_of, stated_addresses


class AddressOutside(Rule):
    id = "address-outside"
    what = "Each address lies in the network that it is stated for."
    why = "Nobody else on that network could reach it."
    mend = "Take an address of the network."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for stated in stated_addresses(intent):
            network = intent.networks.get(stated.network)
            if network is None or stated.path[0] == "networks":
                continue
            edges = (network.cidr.network_address, network.cidr.broadcast_address)
            if stated.address not in network.cidr:
                message = (
                    f"{stated.address} of {stated.owner} isn't in the {stated.network} network {network.cidr}"
                )
                yield Fault(stated.path, message, free_address(intent, stated.network, stated.address))
            elif stated.address in edges:
                message = f"{stated.address} of {stated.owner} is the network's own or its broadcast address"
                yield Fault(stated.path, message, free_address(intent, stated.network, stated.address))


class NetworkNotThere(Rule):
    id = "network-not-there"
    what = "A server has addresses only on networks that the site has."
    why = "Without the network's length and tag the interface can't be set up."
    mend = "State the network, or remove the address."
    needs = frozenset({"networks"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        for stated in stated_addresses(intent):
            if stated.network not in intent.networks:
                message = f"{stated.owner} has an address, but the site has no {stated.network} network"
                hint = f"add networks.{stated.network}, or remove the address"
                yield Fault(stated.path, message, hint, key=True)


class DuplicateAddress(Rule):
    id = "duplicate-address"
    what = "No address is stated twice."
    why = "Two machines with one address are each unreachable half of the time."
    mend = "Give one of the two another address."

    def check(self, intent: Intent) -> Iterator[Fault]:
        seen: dict[IPv4Address, Stated] = {}
        for stated in stated_addresses(intent):
            first = seen.setdefault(stated.address, stated)
            if first is not stated:
                where = line_of(intent, first.path, stated.path)
                message = f"{stated.address} of {stated.owner} is already taken by {first.owner} ({where})"
                yield Fault(stated.path, message, free_address(intent, stated.network, stated.address))


class AddressInDhcpRange(Rule):
    id = "address-in-dhcp-range"
    what = "No stated address lies in a DHCP range."
    why = "A booting server may be given it while its owner uses it."
    mend = "Take an address outside the range, or shorten the range."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for stated in stated_addresses(intent):
            network = intent.networks.get(stated.network)
            if network is None or network.dhcp_range is None:
                continue
            first, last = network.dhcp_range
            if first <= stated.address <= last:
                message = f"{stated.address} of {stated.owner} lies in the DHCP range {first}-{last}"
                yield Fault(stated.path, message, free_address(intent, stated.network, stated.address))


class ServingRange(Rule):
    id = "serving-range"
    what = "The range for served models lies in the external network and holds no other address."
    why = "The pod network announces these addresses: whoever else has one is cut off."
    mend = "Take a stretch of the external network that nothing else uses."

    def check(self, intent: Intent) -> Iterator[Fault]:
        external = intent.networks.get("external")
        if intent.serving is None or external is None:
            return
        first, last = intent.serving.vip_range
        path: Path_ = ("serving", "vip_range")
        cidr = external.cidr
        if first <= cidr.network_address or last >= cidr.broadcast_address:
            hosts = f"{cidr.network_address + 1} to {cidr.broadcast_address - 1}"
            message = f"vip_range {first}-{last} isn't within the external network {cidr}"
            yield Fault(path, message, f"its hosts are {hosts}")
            return
        for stated in stated_addresses(intent):
            if stated.path[0] != "serving" and first <= stated.address <= last:
                message = f"{stated.address} of {stated.owner} lies in vip_range {first}-{last}"
                yield Fault(stated.path, message, free_address(intent, stated.network, stated.address))


class ServingRangeTooSmall(Rule):
    id = "serving-range-too-small"
    what = "vip_range holds an address for each served model."
    why = "A model without an address can't be reached."
    mend = "Widen the range."
    needs = frozenset({"serving"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        if intent.serving is None:
            return
        first, last = intent.serving.vip_range
        size, models = int(last) - int(first) + 1, len(intent.models)
        if size < models:
            message = f"vip_range {first}-{last} holds {size} addresses for {models} models"
            yield Fault(("serving", "vip_range"), message, f"widen it to {models} addresses at least")


class VipOutsideRange(Rule):
    id = "vip-outside-range"
    what = "A served model's VIP lies in vip_range."
    why = "The pod network hands out and announces that range only."
    mend = "Take an address of the range, or leave 'vip' out."

    def check(self, intent: Intent) -> Iterator[Fault]:
        if intent.serving is None:
            return
        first, last = intent.serving.vip_range
        external = intent.networks.get("external")
        for at, service in intent.models:
            vip = service.vip
            # Outside the network is another rule's.
            if vip is None or first <= vip <= last or (external is not None and vip not in external.cidr):
                continue
            message = f"the VIP {vip} of model {service.name} isn't in vip_range {first}-{last}"
            yield Fault((*at, "vip"), message, "take an address of the range, or leave 'vip' out")


RULES: tuple[type[Rule], ...] = (
    AddressOutside,
    NetworkNotThere,
    DuplicateAddress,
    AddressInDhcpRange,
    ServingRange,
    ServingRangeTooSmall,
    VipOutsideRange,
)
