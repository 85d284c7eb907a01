"""Rules of what servers are: GPUs of their profile, and profiles that are at least the design's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from rackwright import catalog
from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

TABLES = {"r660": 4, "r760xa": 5, "xe8640": 6, "xe9680": 7}
OWN = "catalog/servers.yml beside the site"


def profiles(facts: Facts) -> list[tuple[Path_, str, catalog.Server]]:
    """Where each profile is used first, its name and its entry."""
    first = {server.profile: (*at, "profile") for at, server in reversed(facts.servers)}
    return [(at, name, facts.catalogue.servers[name]) for name, at in first.items()]


class GpuOption(Rule):
    id = "gpu-option"
    what = "Stated GPUs are a product that the profile takes."
    why = "Others don't fit the chassis, or were not validated."
    mend = "Take an option of catalog/servers.yml, or leave 'gpus' out for the usual ones."
    source = "tables 2 and 5 to 7"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            if server.gpus is None:
                continue
            options = [option.product for option in facts.catalogue.servers[server.profile].gpus]
            if not options:
                message = f"{server.name}: profile {server.profile} takes no GPUs"
                yield Fault((*at, "gpus"), message, "remove 'gpus'", key=True)
            elif server.gpus.product not in options:
                message = f"{server.name}: profile {server.profile} doesn't take '{server.gpus.product}'"
                yield Fault((*at, "gpus", "product"), message, did_you_mean(server.gpus.product, options))


class GpuCount(Rule):
    id = "gpu-count"
    what = "Stated GPUs are as many as the profile was validated with."
    why = "Power, cooling and links between the GPUs were validated for these numbers only."
    mend = "Take a number of catalog/servers.yml, or leave 'gpus' out for the usual one."
    source = "tables 5 to 7"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            for option in facts.catalogue.servers[server.profile].gpus:
                stated = server.gpus
                if stated is None or stated.product != option.product or stated.count in option.counts:
                    continue
                counts = " or ".join(str(count) for count in sorted(option.counts))
                message = f"{server.name}: {stated.count} x {option.product} is not a validated number"
                yield Fault((*at, "gpus", "count"), message, f"profile {server.profile} takes {counts}")


class _Minimum(Rule):
    """An own entry for a validated profile, held against the package's entry."""

    severity = "warning"
    why = "The design's tables are a minimum: what was measured there doesn't hold for less."
    mend = f"Correct the entry in {OWN}, or call the configuration by another name."
    source = "tables 4 to 7"

    @abstractmethod
    def less(self, own: catalog.Server, validated: catalog.Server) -> str:
        """In what the own entry is less (``has …, not …``); empty where it isn't."""

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name, own in profiles(facts):
            validated = catalog.builtin().servers.get(name)
            if validated is None or own is validated:
                continue
            if less := self.less(own, validated):
                message = f"profile {name} as this site has it is less than table {TABLES[name]}: {less}"
                yield Fault(at, message, f"correct {OWN}, or give the configuration another name")


class ProfileCpu(_Minimum):
    id = "profile-cpu"
    what = "A profile's processors have as many cores as in the design."

    def less(self, own: catalog.Server, validated: catalog.Server) -> str:
        mine, theirs = (s.cpu.sockets * s.cpu.cores for s in (own, validated))
        return f"{mine} cores, not {theirs}" if mine < theirs else ""


class ProfileMemory(_Minimum):
    id = "profile-memory"
    what = "A profile has as much memory as in the design."

    def less(self, own: catalog.Server, validated: catalog.Server) -> str:
        mine, theirs = own.memory_gb, validated.memory_gb
        return f"{mine} GB of memory, not {theirs}" if mine < theirs else ""


class ProfileDisks(_Minimum):
    id = "profile-disks"
    what = "A profile has as many disks, and as large, as in the design."

    def less(self, own: catalog.Server, validated: catalog.Server) -> str:
        mine, theirs = own.disks, validated.disks
        if mine.count < theirs.count or mine.size_gb < theirs.size_gb:
            return f"{mine.count} disks of {mine.size_gb} GB, not {theirs.count} of {theirs.size_gb}"
        return ""


class ProfilePorts(_Minimum):
    id = "profile-ports"
    what = "A profile has the network ports of the design, as fast."

    def less(self, own: catalog.Server, validated: catalog.Server) -> str:
        for name in validated.usual_ports:
            fast = validated.ports[name].speed_gbps
            if name not in own.ports:
                return f"no port {name}"
            if own.ports[name].speed_gbps < fast:
                return f"{own.ports[name].speed_gbps} Gbit/s at {name}, not {fast}"
        return ""


class ProfileGpus(_Minimum):
    id = "profile-gpus"
    what = "A profile's usual GPUs are as many, with as much memory, as in the design."

    def less(self, own: catalog.Server, validated: catalog.Server) -> str:
        if not validated.gpus:
            return ""
        most = max(count for option in own.gpus for count in option.counts) if own.gpus else 0
        least = min(validated.gpus[0].counts)
        return f"{most} GPUs, not {least} at least" if most < least else ""


def _options(facts: Facts) -> Iterator[tuple[Path_, str, catalog.GpuOption, catalog.Gpu]]:
    """Each GPU option of the used profiles, with its profile's place and name."""
    for at, name, entry in profiles(facts):
        for option in entry.gpus:
            yield at, name, option, facts.catalogue.gpus[option.product]


class GpuInterconnect(Rule):
    id = "gpu-interconnect"
    what = "GPUs are linked as their form allows: SXM by NVLink, PCIe by bridges or not at all."
    why = "Where models are placed follows from these links: a wrong one puts a model where it can't run."
    mend = f"Correct 'interconnect' in {OWN}."
    source = "figure 1"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name, option, gpu in _options(facts):
            fits = ("nvlink", "nvswitch") if gpu.form_factor == "SXM" else ("nvlink_bridge", "none")
            if option.interconnect not in fits:
                message = (
                    f"profile {name} links {gpu.form_factor} GPUs ({option.product}) by {option.interconnect}"
                )
                yield Fault(at, message, f"'interconnect' of {gpu.form_factor} is {' or '.join(fits)}")


class FabricManager(Rule):
    id = "fabric-manager"
    what = "NVSwitch, and with it Fabric Manager, is where more than four SXM GPUs are, and nowhere else."
    why = "Without Fabric Manager CUDA fails on NVSwitch; elsewhere it fails to start and keeps the driver down."
    mend = f"Correct 'interconnect' in {OWN}."
    source = "figure 1; chapter 4, software architecture"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name, option, gpu in _options(facts):
            if gpu.form_factor != "SXM" or option.interconnect not in ("nvlink", "nvswitch"):
                continue
            most = max(option.counts)
            right = "nvswitch" if most > 4 else "nvlink"
            if option.interconnect != right:
                state = "would lack Fabric Manager" if right == "nvswitch" else "would run Fabric Manager"
                message = f"profile {name} has {most} SXM GPUs linked by {option.interconnect}: it {state}"
                yield Fault(at, message, f"'interconnect' of {most} SXM GPUs is {right}")


class GpuSpan(Rule):
    id = "gpu-span"
    what = "As many GPUs are linked directly as their link joins: a bridge two, NVLink and NVSwitch all."
    why = "A model's memory is spread over directly linked GPUs: it would be placed where it doesn't fit."
    mend = f"Correct 'span' in {OWN}."
    source = "figure 1; table 3"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name, option, _ in _options(facts):
            joined = {"none": 1, "nvlink_bridge": 2}.get(option.interconnect, max(option.counts))
            if option.span != joined:
                message = (
                    f"profile {name}: 'span' of {option.product} is {option.span}, "
                    f"but {option.interconnect} joins {joined}"
                )
                yield Fault(at, message, f"span: {joined}")


RULES: tuple[type[Rule], ...] = (
    GpuOption,
    GpuCount,
    ProfileCpu,
    ProfileMemory,
    ProfileDisks,
    ProfilePorts,
    ProfileGpus,
    GpuInterconnect,
    FabricManager,
    GpuSpan,
)
