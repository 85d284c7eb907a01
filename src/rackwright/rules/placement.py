"""Rules of what is served: models, memory, GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright import catalog
from rackwright.intent import schema
from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.rules import room
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts, GpuServer, gpu_kinds

SPREAD = "table 3"
MEMORY = "tables 3 and 13"


class UnknownModel(Rule):
    id = "unknown-model"
    what = "A served model is in the catalogue."
    why = "Its memory and its files come from there."
    mend = "Take a key of catalog/models.yml, or add the model in catalog/models.yml beside the site."
    source = "table 10"

    def check(self, facts: Facts) -> Iterator[Fault]:
        models = facts.catalogue.models
        for at, service in facts.models:
            if service.model not in models:
                message = f"'{service.model}' is not a model of the catalogue"
                yield Fault((*at, "model"), message, did_you_mean(service.model, models))


class ModelNotShipped(Rule):
    id = "model-not-shipped"
    severity = "warning"
    what = "The release's bundle carries a served model's weights."
    why = (
        "The site can be planned, rendered and printed, but not rolled out: there would be nothing to serve."
    )
    mend = "Serve a model that the bundle carries, or wait with the roll-out: a bundle can't carry other weights yet."
    source = "operations, the bundle"

    def check(self, facts: Facts) -> Iterator[Fault]:
        models = facts.catalogue.models
        shipped = ", ".join(sorted(name for name, model in models.items() if model.shipped))
        for at, service in facts.models:
            if service.model in models and not models[service.model].shipped:
                message = f"{service.model}: its weights aren't in the bundle: the site can't be rolled out"
                hint = (
                    f"the bundle carries: {shipped}; with another model the site can be planned, rendered and printed, "
                    "and rollout refuses it until a bundle can carry the weights"
                )
                yield Fault((*at, "model"), message, hint)


class ProfileWithoutGpus(Rule):
    id = "profile-without-gpus"
    what = "A model runs on profiles that have GPUs."
    why = "It would wait for ever for a GPU."
    mend = "Name profiles of GPU servers."
    source = "tables 4 to 7"

    def check(self, facts: Facts) -> Iterator[Fault]:
        having = [name for name, server in facts.catalogue.servers.items() if server.gpus]
        for at, service in facts.models:
            for index, profile in enumerate(service.profiles):
                if profile not in having:
                    message = f"profile {profile} has no GPUs: model {service.name} can't run on it"
                    yield Fault((*at, "profiles", index), message, f"choose one of {', '.join(having)}")


class ProfileTwice(Rule):
    id = "profile-twice"
    what = "A model names each profile once."
    why = "The second is a slip, and most often meant to be another."
    mend = "Remove one of them."
    source = "operations, placement"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            for index, profile in enumerate(service.profiles):
                if profile in service.profiles[:index]:
                    message = f"model {service.name} names the profile {profile} twice"
                    yield Fault((*at, "profiles", index), message, "remove one of them")


class ProfileNotThere(Rule):
    id = "profile-not-there"
    what = "The site has a GPU worker of each profile that a model may run on."
    why = "Most often the profile is a slip, and the model would run elsewhere or nowhere."
    mend = "Name profiles that the site has."
    source = "operations, placement"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        present = sorted({server.profile for _, server in facts.roles["gpu_worker"]})
        for at, service in facts.models:
            for index, profile in enumerate(service.profiles):
                if profile not in present and facts.catalogue.servers[profile].gpus:
                    message = (
                        f"model {service.name} is to run on {profile}, but the site has no such GPU worker"
                    )
                    hint = f"profiles here: {', '.join(present) or 'none'}"
                    yield Fault((*at, "profiles", index), message, hint)


class GpuNotThere(Rule):
    id = "gpu-not-there"
    what = "Where a model names its GPUs, a worker of its profiles has such."
    why = "No pod would find a node: the service would never be complete."
    mend = "Name GPUs that the servers have, by their key in the catalogue."
    source = "operations, placement"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            there = {kind.product for kind in facts.gpu_servers if kind.profile in service.profiles}
            if service.gpu in facts.catalogue.gpus and there and service.gpu not in there:
                message = (
                    f"model {service.name} is to run on {service.gpu}, but no worker of its profiles has such"
                )
                yield Fault((*at, "gpu"), message, f"they have: {', '.join(sorted(there))}")


class UnknownGpu(Rule):
    id = "unknown-gpu"
    what = "The GPUs that a model names are in the catalogue."
    why = "Which nodes have them is known from there."
    mend = "Take a key of catalog/gpus.yml."
    source = "table 2"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            if service.gpu is not None and service.gpu not in facts.catalogue.gpus:
                message = f"'{service.gpu}' is not a GPU of the catalogue"
                hint = did_you_mean(service.gpu, facts.catalogue.gpus)
                if service.gpu.isdecimal():
                    hint = f"how many of them is 'gpus': gpus: {service.gpu}"
                yield Fault((*at, "gpu"), message, hint)


class GpusMixed(Rule):
    id = "gpus-mixed"
    severity = "warning"
    what = "A model says which GPUs it takes, where servers of one profile have different ones."
    why = (
        "Its replicas land on either kind: they answer at different speeds, and need not be measured on both."
    )
    mend = "State 'gpu' of the model."
    source = "table 5; operations, placement"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            for index, profile in enumerate(service.profiles):
                kinds = _placed(facts, service, profile)
                names = {
                    kind.product: _names(facts, [k for k in kinds if k.product == kind.product])
                    for kind in kinds
                }
                if len(names) > 1 and profile not in service.profiles[:index]:
                    have = ", ".join(f"{product} ({names[product]})" for product in sorted(names))
                    message = f"model {service.name} takes any GPU of {profile}, which are different: {have}"
                    yield Fault((*at, "profiles", index), message, f"add 'gpu': {' or '.join(sorted(names))}")


def _names(facts: Facts, kinds: list[GpuServer]) -> str:
    """The servers of some kinds in words: the first, and how many more."""
    names = [name for kind in kinds for name in facts.gpu_servers[kind]]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


class ReplicaInServer(Rule):
    id = "replica-in-server"
    what = "A replica's GPUs are all in one server."
    why = "Models that span servers are beyond the design: the pod would wait for ever."
    mend = "Lower 'gpus', or choose a larger profile."
    source = "chapter 4, network infrastructure"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            for profile in dict.fromkeys(service.profiles):
                most = max((kind.count for kind in gpu_kinds(facts, service, profile)), default=0)
                if 0 < most < service.gpus:
                    message = f"a replica of {service.name} takes {service.gpus} GPUs, a server {profile} has {most}"
                    yield Fault((*at, "gpus"), message, f"at most {most}, or a larger profile")


def _even(gpus: int) -> bool:
    """Whether a layer can be divided among so many GPUs."""
    return not gpus & (gpus - 1)


class TensorParallel(Rule):
    id = "tensor-parallel"
    what = "A replica has 1, 2, 4, 8 … GPUs."
    why = (
        "A layer's attention heads are divided evenly among them: with another number the model doesn't load."
    )
    mend = "Take a power of two."
    source = "chapter 5, models used for validation"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            if not _even(service.gpus):
                below = 1 << (service.gpus.bit_length() - 1)
                message = f"a replica of {service.name} is spread over {service.gpus} GPUs, no power of two"
                yield Fault((*at, "gpus"), message, f"gpus: {below} or {2 * below}")


class ModelSpread(Rule):
    id = "model-spread"
    what = "A replica has as many GPUs as its model is spread over: Llama 2 70B eight, of one XE9680."
    why = "Its files are cut for that many."
    mend = "Raise 'gpus', and choose a profile that has as many."
    source = "chapter 5, models used for validation; table 3"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            model = facts.catalogue.models.get(service.model)
            if model is not None and service.gpus < model.min_gpus:
                message = (
                    f"{service.model} is spread over {model.min_gpus} GPUs, a replica has {service.gpus}"
                )
                yield Fault((*at, "gpus"), message, f"gpus: {model.min_gpus}; {_fitting(facts, model)}")


def _placed(facts: Facts, service: schema.ModelService, profile: str) -> list[GpuServer]:
    """Servers of a profile that a replica may land on; none where another rule says why not."""
    model = facts.catalogue.models.get(service.model)
    if model is None or service.gpus < model.min_gpus:
        return []
    return [kind for kind in gpu_kinds(facts, service, profile) if kind.count >= service.gpus]


class ModelFits(Rule):
    id = "model-fits"
    what = "Every server that a model may run on can hold it in the memory of directly linked GPUs."
    why = "The server would run out of GPU memory while loading."
    mend = "Choose a larger profile, or more GPUs for each replica."
    source = MEMORY

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            for index, profile in enumerate(service.profiles):
                for kind in _placed(facts, service, profile):
                    model = facts.catalogue.models[service.model]
                    linked = min(service.gpus, kind.span)
                    if model.memory_gb > linked * kind.memory_gb and profile not in service.profiles[:index]:
                        yield _too_large(facts, (*at, "profiles", index), service, kind, linked)
                        break


def _too_large(
    facts: Facts, path: Path_, service: schema.ModelService, kind: GpuServer, linked: int
) -> Fault:
    model = facts.catalogue.models[service.model]
    message = (
        f"model {service.model} takes {model.memory_gb:g} GB, but {linked} directly linked "
        f"GPU{'s' if linked > 1 else ''} of {kind.profile} hold{'' if linked > 1 else 's'} {linked * kind.memory_gb} GB"
    )
    return Fault(path, message, _fitting(facts, model))


def _fitting(facts: Facts, model: catalog.Model) -> str:
    """Which profiles hold the model, with how many GPUs."""
    places = []
    for profile, server in facts.catalogue.servers.items():
        for option in server.gpus[:1]:
            gpu = facts.catalogue.gpus[option.product]
            least = max(model.min_gpus, -int(-model.memory_gb // gpu.memory_gb))
            needed = 1 << (least - 1).bit_length()
            if needed <= option.span or (needed == 1 and option.counts):
                places.append(f"{profile} with {needed} GPU{'s' if needed > 1 else ''}")
    return f"it fits {', '.join(places)}" if places else "no validated server holds it"


class ReplicaLinked(Rule):
    id = "replica-linked"
    severity = "warning"
    what = "A replica's GPUs are linked directly: a bridged pair on an R760xa, none on L40s."
    why = "GPUs that are not linked talk over PCIe, many times slower: the replica is no faster for them."
    mend = "Give a replica as many GPUs as are linked, and raise 'replicas'."
    source = "figure 1; table 3"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            for index, profile in enumerate(service.profiles):
                kinds = _placed(facts, service, profile)
                span = min((kind.span for kind in kinds), default=service.gpus)
                memory = min((kind.memory_gb for kind in kinds), default=0)
                # Where the memory doesn't suffice either, or no server takes the number, that is the fault.
                model = facts.catalogue.models.get(service.model)
                if model is None or model.memory_gb > span * memory or not _even(service.gpus):
                    continue
                if span < service.gpus:
                    linked = f"only {span}" if span > 1 else "none"
                    servers = _names(facts, [kind for kind in kinds if kind.span == span])
                    message = (
                        f"a replica of {service.name} takes {service.gpus} GPUs, "
                        f"but on {servers} {linked} are linked directly"
                    )
                    better = sorted({kind.product for kind in kinds if kind.span >= service.gpus})
                    choice = f"gpu: {better[0]}, which are linked; or " if better else ""
                    yield Fault(
                        (*at, "profiles", index), message, f"{choice}gpus: {span}, and more 'replicas'"
                    )


class ModelServers(Rule):
    id = "model-servers"
    severity = "warning"
    what = "A model runs on servers that it was shown on."
    why = "It may well run, but nobody has measured it there."
    mend = "Choose a profile that it was shown on, or measure it first."
    source = SPREAD

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            model = facts.catalogue.models.get(service.model)
            for index, profile in enumerate(service.profiles):
                kinds = _placed(facts, service, profile)
                linked = [min(service.gpus, kind.span) * kind.memory_gb for kind in kinds]
                # Where it doesn't fit, that is the fault.
                if model is None or not model.servers or not kinds or min(linked) < model.memory_gb:
                    continue
                if profile not in model.servers:
                    message = f"{service.model} was not shown on {profile}"
                    yield Fault((*at, "profiles", index), message, f"it was on {', '.join(model.servers)}")


RULES: tuple[type[Rule], ...] = (
    UnknownModel,
    ModelNotShipped,
    ProfileWithoutGpus,
    ProfileTwice,
    ProfileNotThere,
    UnknownGpu,
    GpuNotThere,
    GpusMixed,
    ReplicaInServer,
    TensorParallel,
    ModelSpread,
    ModelFits,
    ReplicaLinked,
    ModelServers,
    *room.RULES,
)
