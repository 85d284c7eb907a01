"""What a server was bought as, the limits of its hardware, and the marks that a sound one passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.catalog import Catalogue, Gpu, Load
from rackwright.errors import UsageError


@dataclass(frozen=True)
class Marks:
    """The least share of each limit (0 to 1) that is accepted; of all-reduce, of what NVLink or PCIe allows."""

    memory_copy: float = 0.88
    gemm: float = 0.60
    host: float = 0.70
    peer: float = 0.70
    all_reduce: float = 0.60
    clock: float = 0.85


#: By form factor. In long matrix products of random numbers an SXM module reaches its limit of 700 W (0.68 was seen
#: on a sound H100), a PCIe card its 350 W far earlier.
MARKS: Mapping[str, Marks] = {
    "SXM": Marks(),
    "PCIe": Marks(memory_copy=0.85, gemm=0.55, clock=0.60),
}


@dataclass(frozen=True)
class Promise:
    """A server as it was ordered: its profile, and how many of which GPU of the catalogue."""

    server: str
    profile: str
    key: str
    gpu: Gpu
    count: int
    interconnect: str
    catalogue: Catalogue

    @property
    def marks(self) -> Marks:
        """The pass marks for this kind of GPU."""
        return MARKS[self.gpu.form_factor]


@dataclass(frozen=True)
class Design:
    """What the design promises of one size of GPT: its catalogue entry, tables 13 (GB) and 14."""

    size: str
    model: str
    memory_gb: float
    load: Load


def of_profile(catalogue: Catalogue, profile: str, gpu: str | None, count: int | None) -> Promise:
    """The promise of a catalogue's profile, with its usual GPUs unless others are named.

    Raises UsageError for a profile without GPUs, or a profile or GPU that the catalogue doesn't know.
    """
    server = catalogue.servers.get(profile)
    if server is None or not server.gpus:
        known = ", ".join(sorted(name for name, entry in catalogue.servers.items() if entry.gpus))
        raise UsageError(f"{profile} is no profile of a GPU server", f"these are: {known}")
    key = gpu or server.gpus[0].product
    if key not in catalogue.gpus:
        raise UsageError(f"the catalogue has no GPU {key}", f"it has: {', '.join(sorted(catalogue.gpus))}")
    option = next((one for one in server.gpus if one.product == key), None)
    return Promise(
        server=server.product,
        profile=profile,
        key=key,
        gpu=catalogue.gpus[key],
        count=count or (option.counts[0] if option else 1),
        interconnect=option.interconnect if option else "none",
        catalogue=catalogue,
    )


def of_gpu(catalogue: Catalogue, gpu: str, count: int) -> Promise:
    """The promise of GPUs in a server that is none of the catalogue's: how they are linked isn't promised.

    Raises UsageError for a GPU that the catalogue doesn't know.
    """
    if gpu not in catalogue.gpus:
        raise UsageError(f"the catalogue has no GPU {gpu}", f"it has: {', '.join(sorted(catalogue.gpus))}")
    return Promise(
        "a server outside the catalogue", "none", gpu, catalogue.gpus[gpu], count, "none", catalogue
    )


def designs(catalogue: Catalogue) -> dict[str, Design]:
    """What the catalogue's ``nemo-gpt-<size>`` entries promise, by the synthetic GPT's size."""
    found = {}
    for name, model in catalogue.models.items():
        if name.startswith("nemo-gpt-") and model.load is not None:
            size = name.removeprefix("nemo-gpt-")
            found[size] = Design(size, model.product, model.memory_gb, model.load)
    return found
