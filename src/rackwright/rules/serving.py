"""Rules of what is served: models, memory, GPUs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rackwright import catalog
from rackwright.intent.explain import did_you_mean
from rackwright.intent.hardware import chosen_gpus
from rackwright.intent.load import Intent
from rackwright.rules.base import Fault, Rule


def _gpus_of(intent: Intent) -> list[tuple[str, int, int, int]]:
    """Profile, GPUs, GPUs linked directly and memory of one in GB, of each GPU worker."""
    found: list[tuple[str, int, int, int]] = []
    for _, server in intent.servers:
        chosen = chosen_gpus(server, intent.catalogue)
        if chosen is not None and "gpu_worker" in server.roles:
            option, count = chosen
            memory = intent.catalogue.gpus[option.product].memory_gb
            found.append((server.profile, count, min(option.span, count), memory))
    return found


class UnknownModel(Rule):
    id = "unknown-model"
    what = "A served model is in the catalogue, and the release's bundle carries it."
    why = "Its memory and its files come from there."
    mend = "Take a key of catalog/models.yml whose 'shipped' is true."

    def check(self, intent: Intent) -> Iterator[Fault]:
        models = intent.catalogue.models
        shipped = ", ".join(sorted(name for name, model in models.items() if model.shipped))
        for at, service in intent.models:
            if service.model not in models:
                message = f"'{service.model}' is not a model of the catalogue"
                yield Fault((*at, "model"), message, did_you_mean(service.model, models))
            elif not models[service.model].shipped:
                message = f"{service.model} is known, but the release's bundle has no files of it to serve"
                yield Fault((*at, "model"), message, f"the bundle carries: {shipped}")


class ModelFits(Rule):
    id = "model-fits"
    what = "Each profile that a model may run on can hold it: GPUs, memory of directly linked GPUs (table 3)."
    why = "The server would run out of GPU memory while loading, or wait for GPUs that it never gets."
    mend = "Choose a larger profile, or more GPUs for each replica."

    def check(self, intent: Intent) -> Iterator[Fault]:
        workers = _gpus_of(intent)
        for at, service in intent.models:
            model = intent.catalogue.models.get(service.model)
            for index, profile in enumerate(service.profiles):
                here = [worker for worker in workers if worker[0] == profile]
                path = (*at, "profiles", index)
                if not intent.catalogue.servers[profile].gpus:
                    message = f"profile {profile} has no GPUs: model {service.name} can't run on it"
                    yield Fault(path, message, "choose r760xa, xe8640 or xe9680")
                    continue
                if not here:
                    continue
                _, count, span, memory = max(here, key=lambda worker: (worker[1], worker[3]))
                if service.gpus > count:
                    needs = f"a replica of {service.name} takes {service.gpus} GPUs"
                    yield Fault(
                        (*at, "gpus"),
                        f"{needs}, a server {profile} has {count}",
                        f"at most {count}, or a larger profile",
                    )
                elif model is not None and model.memory_gb > min(service.gpus, span) * memory:
                    linked = min(service.gpus, span)
                    message = (
                        f"model {service.model} takes {model.memory_gb:g} GB, but {linked} directly linked "
                        f"GPU{'s' if linked > 1 else ''} of {profile} hold {linked * memory} GB"
                    )
                    yield Fault(path, message, _fitting(intent, model))
            if model is not None and service.gpus < model.min_gpus:
                message = (
                    f"{service.model} is spread over {model.min_gpus} GPUs, a replica has {service.gpus}"
                )
                yield Fault((*at, "gpus"), message, f"gpus: {model.min_gpus}; {_fitting(intent, model)}")


def _fitting(intent: Intent, model: catalog.Model) -> str:
    """Which profiles hold the model, with how many GPUs."""
    places = []
    for profile, server in intent.catalogue.servers.items():
        for option in server.gpus[:1]:
            memory = intent.catalogue.gpus[option.product].memory_gb
            needed = max(model.min_gpus, -int(-model.memory_gb // memory))
            if needed <= option.span or (needed == 1 and option.counts):
                places.append(f"{profile} with {needed} GPU{'s' if needed > 1 else ''}")
    return f"it fits {', '.join(places)}" if places else "no validated server holds it"


class ProfileNotThere(Rule):
    id = "profile-not-there"
    what = "The site has a GPU worker of each profile that a model may run on."
    why = "Most often the profile is a slip, and the model would run elsewhere or nowhere."
    mend = "Name profiles that the site has."
    needs = frozenset({"servers"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        present = sorted({worker[0] for worker in _gpus_of(intent)})
        for at, service in intent.models:
            for index, profile in enumerate(service.profiles):
                if profile not in present and intent.catalogue.servers[profile].gpus:
                    message = (
                        f"model {service.name} is to run on {profile}, but the site has no such GPU worker"
                    )
                    yield Fault(
                        (*at, "profiles", index), message, f"profiles here: {', '.join(present) or 'none'}"
                    )


class GpusSuffice(Rule):
    id = "gpus-suffice"
    what = "All replicas of all models find their GPUs at once."
    why = "A pod without GPUs waits for ever: the service would never be complete."
    mend = "Lower replicas or GPUs, or allow more profiles."
    needs = frozenset({"servers"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        workers = _gpus_of(intent)
        alone: set[str] = set()
        for at, service in intent.models:
            places = sum(
                count // service.gpus for profile, count, _, _ in workers if profile in service.profiles
            )
            # No place at all is another rule's: the profile isn't there, or too small.
            if 0 < places < service.replicas:
                alone.add(service.name)
                message = (
                    f"{service.replicas} replicas of {service.name} with {service.gpus} GPU each don't fit: "
                    f"{', '.join(service.profiles)} have room for {places}"
                )
                yield Fault((*at, "replicas"), message, f"at most {places}, or allow more profiles")
        yield from self._together(intent, workers, alone)

    def _together(
        self, intent: Intent, workers: list[tuple[str, int, int, int]], alone: set[str]
    ) -> Iterator[Fault]:
        """Models that fit each by itself, but not beside the others that may use only the same servers."""
        profiles = sorted({worker[0] for worker in workers})
        for size in range(1, len(profiles) + 1):
            for chosen in itertools.combinations(profiles, size):
                bound = [(at, s) for at, s in intent.models if set(s.profiles) <= set(chosen)]
                if any(service.name in alone for _, service in bound) or len(bound) < 2:
                    continue
                supply = sum(count for profile, count, _, _ in workers if profile in chosen)
                demand = sum(service.replicas * service.gpus for _, service in bound)
                if demand > supply:
                    names = ", ".join(service.name for _, service in bound)
                    message = f"{names} take {demand} GPUs together, but {', '.join(chosen)} have {supply}"
                    at, _ = bound[-1]
                    yield Fault(
                        (*at, "replicas"), message, f"lower replicas or gpus by {demand - supply} GPUs in all"
                    )
                    return


RULES: tuple[type[Rule], ...] = (UnknownModel, ModelFits, ProfileNotThere, GpusSuffice)
