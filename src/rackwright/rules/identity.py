"""Rules of identity and place: names, MAC addresses, service tags, rack units."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from rackwright.intent.document import Path_
from rackwright.intent.load import Intent
from rackwright.rules.base import Fault, Rule, devices, line_of

GROUPS = frozenset({"all", "ungrouped", "head", "control_plane", "gpu_worker", "kubernetes"})
SERVICES = ("api", "mirror", "registry")
RACK_UNITS = 52


class _Unique(Rule):
    """Something that may stand only once."""

    label: ClassVar[str]
    hint: ClassVar[str]

    @abstractmethod
    def stated(self, intent: Intent) -> Iterable[tuple[Path_, str, str]]:
        """Path, value and owner of each."""

    def check(self, intent: Intent) -> Iterator[Fault]:
        seen: dict[str, tuple[Path_, str]] = {}
        for path, value, owner in self.stated(intent):
            if value not in seen:
                seen[value] = (path, owner)
                continue
            first_path, first_owner = seen[value]
            whose = f" of {owner}" if owner else ""
            taken = f"already that of {first_owner}" if first_owner else "already taken"
            message = f"{self.label} {value}{whose} is {taken} ({line_of(intent, first_path, path)})"
            yield Fault(path, message, self.hint)


class DuplicateName(_Unique):
    id = "duplicate-name"
    what = "Servers and switches have different names."
    why = "The name is the machine's, in DNS, in Kubernetes and in every message."
    mend = "Rename one of the two."
    label = "the name"
    hint = "rename one of the two"

    def stated(self, intent: Intent) -> Iterable[tuple[Path_, str, str]]:
        for at, name in devices(intent):
            yield (*at, "name"), name, ""


class DuplicateModelName(_Unique):
    id = "duplicate-model-name"
    what = "Served models have different names."
    why = "Clients ask for a model by its name."
    mend = "Rename one of the two, or raise the replicas of the one."
    label = "the model name"
    hint = "rename one of the two; for more copies of one raise its 'replicas'"

    def stated(self, intent: Intent) -> Iterable[tuple[Path_, str, str]]:
        for at, service in intent.models:
            yield (*at, "name"), service.name, ""


class DuplicateMac(_Unique):
    id = "duplicate-mac"
    what = "No MAC address is stated twice."
    why = "The boot service tells servers apart by it, and switches would send packets to the wrong one."
    mend = "Read the right one from the iDRAC or the label."
    label = "MAC address"
    hint = "read the right one from the iDRAC (Network Devices) or the pull-out tag"

    def stated(self, intent: Intent) -> Iterable[tuple[Path_, str, str]]:
        for at, server in intent.servers:
            yield (*at, "bmc", "mac"), server.bmc.mac, f"the BMC of {server.name}"
            for name, port in server.ports.items():
                yield (*at, "ports", name, "mac"), port.mac, f"{server.name} {name}"


class DuplicateServiceTag(_Unique):
    id = "duplicate-service-tag"
    what = "No service tag is stated twice."
    why = "It tells the machines apart before they have addresses: one would be set up as the other."
    mend = "Read the right one from the pull-out tag or the iDRAC."
    label = "service tag"
    hint = "read the right one from the pull-out tag or the iDRAC"

    def stated(self, intent: Intent) -> Iterable[tuple[Path_, str, str]]:
        for at, server in intent.servers:
            yield (*at, "service_tag"), server.service_tag, server.name


class ReservedName(Rule):
    id = "reserved-name"
    what = "No machine is named as a group of the inventory or as a service of the site."
    why = "Ansible can't tell a host from a group, nor DNS a machine from a service, of one name."
    mend = "Rename the machine."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, name in devices(intent):
            if name in GROUPS or name in SERVICES:
                what = "a group of the inventory" if name in GROUPS else "a service of the site"
                yield Fault(
                    (*at, "name"), f"'{name}' is the name of {what}", f"rename the machine, such as {name}-1"
                )


class RackUnits(Rule):
    id = "rack-unit"
    what = "No two machines take the same rack unit."
    why = "They would not fit, and the report would send somebody to the wrong machine."
    mend = "Move one of the two; 'unit' is the lowest one that a machine takes."

    def check(self, intent: Intent) -> Iterator[Fault]:
        taken: dict[tuple[str, int], tuple[Path_, str]] = {}
        for at, name, rack, unit, height in machines(intent):
            top = unit + height - 1
            clash = next((taken[rack, u] for u in range(unit, top + 1) if (rack, u) in taken), None)
            span = f"unit {unit}" if height == 1 else f"units {unit} to {top}"
            if clash is not None:
                first_path, first = clash
                where = line_of(intent, first_path, at)
                message = f"{name} takes {span} of rack {rack}, of which some are {first}'s ({where})"
                yield Fault((*at, "unit"), message, _free_unit(intent, rack, unit, height))
                continue
            if top > RACK_UNITS:
                message = f"{name} takes {span} of rack {rack}, beyond the top unit {RACK_UNITS}"
                yield Fault((*at, "unit"), message, _free_unit(intent, rack, unit, height))
            for number in range(unit, top + 1):
                taken[rack, number] = ((*at, "unit"), name)


def machines(intent: Intent) -> list[tuple[Path_, str, str, int, int]]:
    """Path, name, rack, lowest unit and height of whatever stands in a rack."""
    found: list[tuple[Path_, str, str, int, int]] = []
    for at, switch in intent.switches:
        product = intent.catalogue.switches.get(switch.product)
        found.append((at, switch.name, switch.rack, switch.unit, product.height if product else 1))
    for at, server in intent.servers:
        height = intent.catalogue.servers[server.profile].height
        found.append((at, server.name, server.rack, server.unit, height))
    return found


def _free_unit(intent: Intent, rack: str, near: int, height: int) -> str:
    used = {u for _, _, r, unit, h in machines(intent) if r == rack for u in range(unit, unit + h)}
    places = [u for u in range(1, 43 - height) if not used & set(range(u, u + height))]
    if not places:
        return f"rack {rack} has no {height} free units in a row"
    return f"the nearest free place for it is unit {min(places, key=lambda u: (abs(u - near), u))}"


RULES: tuple[type[Rule], ...] = (
    DuplicateName,
    DuplicateModelName,
    DuplicateMac,
    DuplicateServiceTag,
    ReservedName,
    RackUnits,
)
