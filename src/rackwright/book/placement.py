"""Where served models may run, and how much of the GPUs' memory they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.catalog import Catalogue
from rackwright.derive.model import Node, ServedModel, SiteModel
from rackwright.serving.plan import candidates


@dataclass(frozen=True)
class Placement:
    """A served model on one kind of server: a replica's need against its GPUs, in GB."""

    served: ServedModel
    product: str
    profile: str
    gpu: str
    nodes: tuple[Node, ...]
    need_gb: float
    capacity_gb: int

    @property
    def share(self) -> float:
        """Need over capacity; 1 is full."""
        return self.need_gb / self.capacity_gb


@dataclass(frozen=True)
class Budget:
    """The GPUs of one kind of server, and those that served models ask for.

    ``asked``: by models that may run nowhere else; ``shared``: by models that other kinds may take too.
    """

    profile: str
    gpu: str
    servers: int
    gpus: int
    memory_gb: int
    asked: int
    shared: int


def kinds(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """(profile, GPU's key) of the nodes with GPUs, each once."""
    return sorted({(node.profile, node.gpus.key) for node in nodes if node.gpus is not None})


def placements(model: SiteModel, catalogue: Catalogue) -> list[Placement]:
    """A row for each served model and each kind of server that it may run on; kinds without room are left out."""
    rows = []
    for served in model.serving:
        possible = candidates(model, served)
        facts = catalogue.models[served.model]
        for profile, key in kinds(possible):
            nodes = tuple(n for n in possible if n.profile == profile and n.gpus and n.gpus.key == key)
            gpu = catalogue.gpus[key]
            capacity = gpu.memory_gb * served.gpus
            row = Placement(served, facts.product, profile, gpu.product, nodes, facts.memory_gb, capacity)
            rows.append(row)
    return rows


def budgets(model: SiteModel, catalogue: Catalogue) -> list[Budget]:
    """The site's GPUs by kind of server."""
    rows = []
    homes = {served.name: kinds(candidates(model, served)) for served in model.serving}
    for profile, key in kinds(model.gpu_workers):
        here = [n for n in model.gpu_workers if n.profile == profile and n.gpus and n.gpus.key == key]
        wanting = [served for served in model.serving if (profile, key) in homes[served.name]]
        asked = sum(s.gpus * s.replicas for s in wanting if len(homes[s.name]) == 1)
        shared = sum(s.gpus * s.replicas for s in wanting if len(homes[s.name]) > 1)
        gpu = catalogue.gpus[key]
        total = sum(node.gpus.count for node in here if node.gpus)
        rows.append(Budget(profile, gpu.product, len(here), total, gpu.memory_gb, asked, shared))
    return rows
