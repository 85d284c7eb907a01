"""What several rules look up in a site: each index is made once for all rules, and only when asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from rackwright import catalog
from rackwright.intent import schema
from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.hardware import chosen_gpus
from rackwright.intent.load import Intent

HINT_SEARCH = 256
HINTED_WORDS = 32
VARIABLES = ("group_vars", "host_vars")
LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Stated:
    """An address that the site states: where, on which network, and whose it is in words."""

    path: Path_
    address: IPv4Address
    network: str
    owner: str


@dataclass(frozen=True)
class Machine:
    """Whatever stands in a rack: its lowest unit, its height in units, and W (None: not in the catalogue)."""

    path: Path_
    name: str
    rack: str
    unit: int
    height: int
    power_w: int | None


@dataclass(frozen=True)
class End:
    """The end of a cable at a switch: where it is stated, and whose cable it is in words."""

    path: Path_
    switch: str
    port: str
    owner: str


@dataclass(frozen=True)
class GpuServer:
    """GPU workers of one kind: key and number of their GPUs, how many are linked directly, memory of one in GB."""

    profile: str
    product: str
    count: int
    span: int
    memory_gb: int


def spelling(rack: str) -> str:
    """A rack's name without case and punctuation, as Ansible's groups have it."""
    return re.sub(r"[^a-z0-9]", "_", rack.lower())


@dataclass
class Facts(Intent):
    """An intent, and what is looked up in it."""

    @classmethod
    def of(cls, intent: Intent) -> Facts:
        """The facts of an intent."""
        return cls(**{field.name: getattr(intent, field.name) for field in fields(intent)})

    @cached_property
    def folder(self) -> Path:
        """The directory of the site file."""
        return Path(self.document.mark(()).file).parent

    @cached_property
    def beside(self) -> Mapping[Path, str]:
        """The texts of the files beside the site file, and of those in group_vars and host_vars."""
        inside = [path for name in VARIABLES for path in sorted((self.folder / name).rglob("*"))]
        return {
            path: path.read_text(encoding="utf-8", errors="replace")
            for path in [*sorted(self.folder.glob("*")), *inside]
            if path.name != "site.yml" and path.is_file() and path.stat().st_size <= LARGEST_FILE
        }

    @cached_property
    def stated(self) -> list[Stated]:
        """Every single address of the site, in the order of the files: of two the later is the duplicate."""

        def place(stated: Stated) -> tuple[str, int, int]:
            mark = self.document.mark(stated.path)
            return mark.file, mark.line, mark.column

        return sorted(self._stated(), key=place)

    def _stated(self) -> Iterator[Stated]:
        for purpose, network in self.networks.items():
            if network.gateway is not None:
                path: Path_ = ("networks", purpose, "gateway")
                yield Stated(path, network.gateway, purpose, f"the gateway of {purpose}")
        if self.kubernetes is not None:
            yield Stated(("kubernetes", "api_vip"), self.kubernetes.api_vip, "management", "the API's VIP")
        if self.head is not None:
            yield Stated(("head", "vip"), self.head.vip, "management", "the head's VIP")
        if self.storage is not None:
            yield Stated(
                ("storage", "address"), self.storage.address, "storage", f"storage {self.storage.name}"
            )
        for at, switch in self.switches:
            yield Stated((*at, "address"), switch.address, "oob", f"switch {switch.name}")
        for at, server in self.servers:
            yield Stated((*at, "bmc", "address"), server.bmc.address, "oob", f"the BMC of {server.name}")
            for purpose in schema.PURPOSES:
                address: IPv4Address | None = getattr(server.addresses, purpose)
                if address is not None:
                    path = (*at, "addresses", purpose)
                    yield Stated(path, address, purpose, f"{server.name} on {purpose}")
        for at, service in self.models:
            if service.vip is not None:
                yield Stated((*at, "vip"), service.vip, "external", f"the VIP of model {service.name}")

    @cached_property
    def named(self) -> list[tuple[Path_, str]]:
        """Path and name of whatever has a name in the site's domain: switches, servers, external storage."""
        found = [(at, switch.name) for at, switch in self.switches]
        found += [(at, server.name) for at, server in self.servers]
        if self.storage is not None:
            found.append((("storage",), self.storage.name))
        return found

    @cached_property
    def roles(self) -> Mapping[str, list[tuple[Path_, schema.Server]]]:
        """The servers of each role."""
        found: dict[str, list[tuple[Path_, schema.Server]]] = {
            "head": [],
            "control_plane": [],
            "gpu_worker": [],
        }
        for at, server in self.servers:
            for role in dict.fromkeys(server.roles):
                found[role].append((at, server))
        return found

    @cached_property
    def gpu_servers(self) -> Mapping[GpuServer, list[str]]:
        """Kinds of GPU workers, and the names of those of each."""
        kinds: dict[GpuServer, list[str]] = {}
        for _, server in self.roles["gpu_worker"]:
            chosen = chosen_gpus(server, self.catalogue)
            if chosen is not None:
                option, count = chosen
                memory = self.catalogue.gpus[option.product].memory_gb
                kind = GpuServer(server.profile, option.product, count, min(option.span, count), memory)
                kinds.setdefault(kind, []).append(server.name)
        return kinds

    @cached_property
    def machines(self) -> list[Machine]:
        """Whatever stands in a rack."""
        found: list[Machine] = []
        for at, switch in self.switches:
            product = self.catalogue.switches.get(switch.product)
            height, power = (product.height, product.power_w) if product else (1, 0)
            found.append(Machine(at, switch.name, switch.rack, switch.unit, height, power))
        power_of: dict[tuple[str, str | None, int], int | None] = {}
        for at, server in self.servers:
            chosen = chosen_gpus(server, self.catalogue)
            kind = (
                server.profile,
                chosen[0].product if chosen else None,
                chosen[1] if chosen else 0,
            )
            if kind not in power_of:
                power_of[kind] = self._power(*kind)
            height = self.catalogue.servers[server.profile].height
            found.append(Machine(at, server.name, server.rack, server.unit, height, power_of[kind]))
        return found

    def _power(self, profile: str, gpu: str | None, count: int) -> int | None:
        parts = self.catalogue.power_parts(profile, gpu, count)
        return None if parts is None else sum(parts.values())

    @cached_property
    def in_rack(self) -> Mapping[str, list[Machine]]:
        """What stands in each rack that is named by a machine."""
        found: dict[str, list[Machine]] = {}
        for machine in self.machines:
            found.setdefault(machine.rack, []).append(machine)
        return found

    @cached_property
    def rack_count(self) -> int:
        """Racks with servers: those stated, where they are, and one of names that differ in spelling only."""
        stated = {rack.name for _, rack in self.racks}
        used = {server.rack for _, server in self.servers if not stated or server.rack in stated}
        return len({spelling(name) for name in used})

    @cached_property
    def server_at(self) -> Mapping[Path_, schema.Server]:
        """The servers by path."""
        return dict(self.servers)

    @cached_property
    def port_speeds(self) -> Mapping[str, Mapping[str, int]]:
        """Gbit/s of each port of each switch whose product is known, parts of broken-out ports in their place."""
        return {
            switch.name: self.catalogue.switches[switch.product].speeds(switch.breakouts)
            for _, switch in self.switches
            if switch.product in self.catalogue.switches
        }

    @cached_property
    def port_groups(self) -> Mapping[str, Mapping[str, catalog.PortRange]]:
        """For each switch whose product is known: its whole ports, and the range that each is of."""
        products = {
            product: {name: group for group in facts.ports for name in group.names()}
            for product, facts in self.catalogue.switches.items()
        }
        return {s.name: products[s.product] for _, s in self.switches if s.product in products}

    @cached_property
    def switch_of(self) -> Mapping[str, schema.Switch]:
        """The switches by name."""
        return {switch.name: switch for _, switch in self.switches}

    @cached_property
    def ends(self) -> list[End]:
        """The ends at switches: of interconnects first, then of servers' cables."""
        found: list[End] = []
        for at, link in self.interconnects:
            owner = f"the link {' - '.join(link.switches)}"
            for place, ports in enumerate(link.ends()):
                paths = link.places(place)
                # One text may be both ends of a cable from a switch to itself.
                for switch, port, path in dict.fromkeys(zip(link.switches, ports, paths, strict=True)):
                    found.append(End((*at, *path), switch, port, owner))
        for at, server in self.servers:
            for name, cable in server.ports.items():
                if cable.switch is not None and cable.port is not None:
                    path = (*at, "ports", name, "port")
                    found.append(End(path, cable.switch, cable.port, f"{server.name} {name}"))
        return found

    @cached_property
    def used_ports(self) -> Mapping[str, set[str]]:
        """The ports of each switch that take a cable."""
        found: dict[str, set[str]] = {}
        for end in self.ends:
            found.setdefault(end.switch, set()).add(end.port)
        return found

    def line_of(self, path: Path_, seen_from: Path_) -> str:
        """``line 12``, with the file where that is another one."""
        mark, here = self.document.mark(path), self.document.mark(seen_from)
        return f"line {mark.line}" if mark.file == here.file else f"{mark.file}, line {mark.line}"

    @cached_property
    def _alike(self) -> dict[str, str]:
        return {}

    def alike(self, word: str, choices: Iterable[str]) -> str:
        """``did_you_mean`` for the first words that ask; a large site's thousandth wrong name gets no hint."""
        if word not in self._alike and len(self._alike) < HINTED_WORDS:
            self._alike[word] = did_you_mean(word, choices)
        return self._alike.get(word, "")

    def free_address(self, purpose: str, of: Stated | None = None) -> str:
        """A hint naming free addresses of a network, as many as ``of`` stands for, from its host part upwards.

        None is offered twice, and none while the network overlaps another.
        """
        network = self.networks.get(purpose)
        if network is None:
            return ""
        other = next((name for name, one in self._ranges(purpose) if one.overlaps(network.cidr)), None)
        if other is not None:
            return f"choose one of {network.cidr}, once that doesn't overlap {other} any more"
        place = self._place_of(of.path) if of is not None else None
        if place is None or place not in self._offers:
            # The addresses of a whole range move together; what it has now is then free.
            alike = [int(one.address) for one in self._alike_stated.get(place, ())] if place else []
            alike = alike or (
                [int(of.address)] if of is not None else [int(network.cidr.network_address) + 1]
            )
            hint = self._free(
                purpose, network.cidr, alike, frozenset(alike) if len(alike) > 1 else frozenset()
            )
            if place is None:
                return hint
            self._offers[place] = hint
        return self._offers[place]

    def _free(self, purpose: str, cidr: IPv4Network, alike: list[int], own: frozenset[int]) -> str:
        """A hint to free addresses that lie to one another as ``alike`` do; they aren't offered again."""
        base, hosts, low = int(cidr.network_address), cidr.num_addresses, min(alike)
        steps, span = [address - low for address in alike], max(alike) - low
        kept = [(int(first), int(last)) for first, last in self._handed_out()]
        for step in range(min(hosts, HINT_SEARCH)):
            first = base + (low + step) % hosts
            if first == base or first + span >= base + hosts - 1:
                continue
            found = [first + one for one in steps]
            if any(self._taken[one] > (one in own) for one in found):
                continue
            if any(one <= end and begin <= one for one in found for begin, end in kept):
                continue
            self._taken.update(found)
            if span == 0:
                return f"{IPv4Address(first)} is free on the {purpose} network"
            last = IPv4Address(first + span)
            return f"begin at {IPv4Address(first)}: up to {last} the range's addresses are free on the {purpose} network"
        many = f"{len(alike)} free addresses" if len(alike) > 1 else "a free address"
        return f"choose {many} of {cidr}"

    @cached_property
    def _taken(self) -> Counter[int]:
        """How often each address is stated, or offered by a hint."""
        return Counter(int(stated.address) for stated in self.stated)

    @cached_property
    def _offers(self) -> dict[Path_, str]:
        """Hints by place: two rules that find fault with one address offer the same."""
        return {}

    @cached_property
    def _alike_stated(self) -> Mapping[Path_, list[Stated]]:
        """The addresses that a range states as one series."""
        found: dict[Path_, list[Stated]] = {}
        for stated in self.stated:
            if stated.path[:2] in self.document.origins:
                found.setdefault(self._place_of(stated.path), []).append(stated)
        return found

    def _place_of(self, path: Path_) -> Path_:
        """The path in the file: for a machine of a range, the range's."""
        origin = self.document.origins.get(path[:2])
        return path if origin is None else (*origin.path, *path[2:])

    def _handed_out(self) -> Iterator[tuple[IPv4Address, IPv4Address]]:
        yield from (one.dhcp_range for one in self.networks.values() if one.dhcp_range)
        if self.serving is not None:
            yield self.serving.vip_range

    def _ranges(self, but: str) -> Iterator[tuple[str, IPv4Network]]:
        yield from ((name, network.cidr) for name, network in self.networks.items() if name != but)
        if self.kubernetes is not None:
            yield "pod_cidr", self.kubernetes.pod_cidr
            yield "service_cidr", self.kubernetes.service_cidr


def gpu_kinds(facts: Facts, service: schema.ModelService, profile: str) -> list[GpuServer]:
    """Kinds of servers of a profile with the GPUs that a model may run on."""
    return [k for k in facts.gpu_servers if k.profile == profile and service.gpu in (None, k.product)]
