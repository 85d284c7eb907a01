"""What each served model needs of the cluster: its names in Triton, its place, and how it may be replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.derive.model import Node, ServedModel, SiteModel

NAMESPACE = "serving"
METRICS_PORT = 8002


@dataclass(frozen=True)
class Acceptance:
    """A question that a sound model answers, and the word that its answer must hold."""

    prompt: str
    answer: str


#: By the catalogue's name of the model; the question is the validated design's, figure 6.
ACCEPTANCE: Mapping[str, Acceptance] = {
    "capitals-gpt": Acceptance("What's the capital of Texas?", "Austin"),
}


@dataclass(frozen=True)
class Spread:
    """How a replica's GPUs are used.

    ``instances`` copies of the model's weights in the replica, each over ``tensor_parallel`` GPUs;
    ``max_batch`` requests that a copy takes at a time.
    """

    instances: int
    tensor_parallel: int
    max_batch: int


@dataclass(frozen=True)
class TritonModel:
    """One name that Triton serves the model under; a decoupled one answers piece by piece."""

    name: str
    decoupled: bool


@dataclass(frozen=True)
class Service:
    """A served model as the cluster runs it.

    ``required``: replicas never share a node (there are enough nodes); else they only prefer not to.
    ``surge``: a new replica can start before an old one ends, because GPUs are left for it. ``image`` holds
    the model's files.
    """

    served: ServedModel
    image: str
    models: tuple[TritonModel, ...]
    spread: Spread
    required: bool
    surge: bool
    acceptance: Acceptance | None

    @property
    def name(self) -> str:
        """The name of the Deployment, its Service, and all else that belongs to it."""
        return self.served.name


def candidates(model: SiteModel, served: ServedModel) -> tuple[Node, ...]:
    """Nodes whose profile and GPUs are asked for, and that have enough of them for a replica."""
    return tuple(
        node
        for node in model.gpu_workers
        if node.profile in served.profiles
        and node.gpus is not None
        and served.gpu in (None, node.gpus.key)
        and node.gpus.count >= served.gpus
    )


def spare_node(model: SiteModel, served: ServedModel) -> bool:
    """Whether one more replica fits, wherever the scheduler put all that is asked for.

    With replicas apart from each other (one a node) that takes a node without one that nobody else can have
    filled.
    """
    nodes = candidates(model, served)
    others = sum(
        other.gpus * other.replicas
        for other in model.serving
        if other.name != served.name and set(candidates(model, other)) & set(nodes)
    )
    if len(nodes) >= served.replicas:
        free = len(nodes) - served.replicas
        least = min((node.gpus.count - served.gpus for node in nodes if node.gpus), default=0)
        return free > 0 and others <= least
    total = sum(node.gpus.count // served.gpus for node in nodes if node.gpus) if served.gpus else 0
    return total * served.gpus - served.replicas * served.gpus - others >= served.gpus


def spread(served: ServedModel) -> Spread:
    """A language model is one copy over all GPUs of its replica; a model of images is one copy on each.

    So many requests at a time as the catalogue's load test found best, one where there was none.
    """
    batch = served.facts.concurrency or 1
    if served.facts.kind == "language":
        return Spread(1, max(served.gpus, served.facts.min_gpus), batch)
    return Spread(max(served.gpus // served.facts.min_gpus, 1), served.facts.min_gpus, batch)


def triton_models(served: ServedModel) -> tuple[TritonModel, ...]:
    """The names that Triton serves it under.

    The bundle's models are small enough to be loaded twice: whole answers and streamed ones. The others are
    loaded once, and language models stream.
    """
    if served.facts.shipped:
        return TritonModel(served.name, False), TritonModel(f"{served.name}-stream", True)
    return (TritonModel(served.name, served.facts.kind == "language"),)


def services(model: SiteModel) -> tuple[Service, ...]:
    """Every served model of the site, by name."""
    return tuple(
        Service(
            served=served,
            image=f"{model.registry}/rackwright/models/{served.model}:{model.release}",
            models=triton_models(served),
            spread=spread(served),
            required=len(candidates(model, served)) >= served.replicas,
            surge=spare_node(model, served),
            acceptance=ACCEPTANCE.get(served.model),
        )
        for served in sorted(model.serving, key=lambda one: one.name)
    )


def digest(text: str) -> str:
    """A short fingerprint: pods are replaced when what they mount has another one."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
