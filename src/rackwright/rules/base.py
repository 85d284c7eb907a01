"""What a rule is, and what rules share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar, Literal

from rackwright.intent.document import Path_
from rackwright.intent.load import Intent


@dataclass(frozen=True)
class Fault:
    """What a rule found, at a path of the document: at its value, or at its key."""

    path: Path_
    message: str
    hint: str
    key: bool = False


class Rule(ABC):
    """One rule. ``needs`` names the sections that must be whole for the rule to judge."""

    id: ClassVar[str]
    severity: ClassVar[Literal["error", "warning"]] = "error"
    what: ClassVar[str]
    why: ClassVar[str]
    mend: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def check(self, intent: Intent) -> Iterator[Fault]:
        """Every breach of the rule."""


@dataclass(frozen=True)
class Stated:
    """An address that the site states: where, on which network, and whose it is in words."""

    path: Path_
    address: IPv4Address
    network: str
    owner: str


def stated_addresses(intent: Intent) -> list[Stated]:
    """Every single address of the site, in the order of the files."""
    found: list[Stated] = []
    for purpose, network in intent.networks.items():
        if network.gateway is not None:
            path: Path_ = ("networks", purpose, "gateway")
            found.append(Stated(path, network.gateway, purpose, f"the gateway of {purpose}"))
    if intent.kubernetes is not None:
        path = ("kubernetes", "api_vip")
        found.append(Stated(path, intent.kubernetes.api_vip, "management", "the API's VIP"))
    for at, switch in intent.switches:
        found.append(Stated((*at, "address"), switch.address, "oob", f"switch {switch.name}"))
    for at, server in intent.servers:
        found.append(Stated((*at, "bmc", "address"), server.bmc.address, "oob", f"the BMC of {server.name}"))
        for purpose in type(server.addresses).model_fields:
            address = getattr(server.addresses, purpose)
            if address is not None:
                path = (*at, "addresses", purpose)
                found.append(Stated(path, address, purpose, f"{server.name} on {purpose}"))
    for at, service in intent.models:
        if service.vip is not None:
            found.append(Stated((*at, "vip"), service.vip, "external", f"the VIP of model {service.name}"))
    return in_order(intent, found)


def devices(intent: Intent) -> list[tuple[Path_, str]]:
    """Path and name of every switch and server."""
    switches = [(at, switch.name) for at, switch in intent.switches]
    return switches + [(at, server.name) for at, server in intent.servers]


def in_order(intent: Intent, found: Iterable[Stated]) -> list[Stated]:
    """Sorted by the place in the files, so that of two the later is the duplicate."""

    def place(stated: Stated) -> tuple[str, int, int]:
        mark = intent.document.mark(stated.path)
        return mark.file, mark.line, mark.column

    return sorted(found, key=place)


def line_of(intent: Intent, path: Path_, seen_from: Path_) -> str:
    """``line 12``, with the file where that is another one."""
    mark, here = intent.document.mark(path), intent.document.mark(seen_from)
    return f"line {mark.line}" if mark.file == here.file else f"{mark.file}, line {mark.line}"


def free_address(intent: Intent, purpose: str, near: IPv4Address | None = None) -> str:
    """A hint naming a free address of a network: from the host part of ``near`` upwards."""
    network = intent.networks.get(purpose)
    if network is None:
        return ""
    used = {stated.address for stated in stated_addresses(intent)}
    ranges = [n.dhcp_range for n in intent.networks.values() if n.dhcp_range]
    if intent.serving is not None:
        ranges.append(intent.serving.vip_range)
    base, hosts = int(network.cidr.network_address), network.cidr.num_addresses
    start = int(near) % hosts if near is not None else 1
    # Looking 4096 addresses far is enough for a hint, even in a /8.
    for step in range(min(hosts, 4096)):
        address = IPv4Address(base + (start + step) % hosts)
        if address in (network.cidr.network_address, network.cidr.broadcast_address):
            continue
        if address not in used and not any(first <= address <= last for first, last in ranges):
            return f"{address} is free on the {purpose} network"
    return f"choose a free address of {network.cidr}"
