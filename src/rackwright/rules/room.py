"""Rules of room: every replica finds its GPUs, each model for itself and all of them together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rackwright.intent import schema
from rackwright.intent.document import Path_
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts, GpuServer, gpu_kinds


class GpusSuffice(Rule):
    id = "gpus-suffice"
    what = "All replicas of a model find their GPUs."
    why = "A pod without GPUs waits for ever: the service would never be complete."
    mend = "Lower replicas or GPUs, or allow more profiles."
    source = "chapter 6, sizing guidelines"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            places = _places(facts, service)
            if 0 < places < service.replicas:
                which = f" with {service.gpu}" if service.gpu is not None else ""
                message = (
                    f"{service.replicas} replicas of {service.name} with {service.gpus} GPU each don't fit: "
                    f"{', '.join(service.profiles)}{which} have room for {places}"
                )
                yield Fault((*at, "replicas"), message, f"at most {places}, or allow more profiles")


def _places(facts: Facts, service: schema.ModelService) -> int:
    """Replicas that fit. No place at all is another rule's: the profile isn't there, or too small."""
    return sum(
        len(names) * (kind.count // service.gpus)
        for kind, names in facts.gpu_servers.items()
        if _home(kind) in _homes(facts, service)
    )


def _home(kind: GpuServer) -> tuple[str, str]:
    return kind.profile, kind.product


def _homes(facts: Facts, service: schema.ModelService) -> set[tuple[str, str]]:
    """Profiles, each with a kind of GPU, that a model may run on."""
    return {_home(kind) for profile in service.profiles for kind in gpu_kinds(facts, service, profile)}


class GpusTogether(Rule):
    id = "gpus-together"
    what = "All replicas of all models find their GPUs at once."
    why = "The last pod waits for ever: the service would never be complete."
    mend = "Lower replicas or GPUs, or allow more profiles."
    source = "chapter 6, sizing guidelines"
    needs = frozenset({"servers", "serving"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        alone = {service.name for _, service in facts.models if _places(facts, service) < service.replicas}
        homes = sorted({_home(kind) for kind in facts.gpu_servers})
        several = {profile for profile, _ in homes if sum(profile == other for other, _ in homes) > 1}
        asked = [(at, service, _homes(facts, service)) for at, service in facts.models]
        for size in range(1, len(homes) + 1):
            for chosen in itertools.combinations(homes, size):
                bound = [(at, service) for at, service, own in asked if own and own <= set(chosen)]
                if any(service.name in alone for _, service in bound) or len(bound) < 2:
                    continue
                supply = sum(
                    kind.count * len(names)
                    for kind, names in facts.gpu_servers.items()
                    if _home(kind) in chosen
                )
                demand = sum(service.replicas * service.gpus for _, service in bound)
                if demand > supply:
                    names = ", ".join(service.name for _, service in bound)
                    kinds = ", ".join(f"{p} with {gpu}" if p in several else p for p, gpu in chosen)
                    message = f"{names} take {demand} GPUs together, but {kinds} have {supply}"
                    path: Path_ = (*bound[-1][0], "replicas")
                    over = demand - supply
                    fewer = f"{over} GPU{'s' if over > 1 else ''}"
                    yield Fault(path, message, f"lower replicas or gpus by {fewer} in all")
                    return


RULES: tuple[type[Rule], ...] = (GpusSuffice, GpusTogether)
