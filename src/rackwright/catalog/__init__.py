"""Facts of products and the releases' versions: YAML beside this module, typed here, read once."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

FOLDER = Path(__file__).resolve().parent
T = TypeVar("T")


def _value(fact: Any) -> Any:
    """``{value, source}`` → value. A fact without a source is refused."""
    if isinstance(fact, dict) and set(fact) == {"value", "source"} and fact["source"]:
        return fact["value"]
    raise ValueError("a fact of the catalogue is written as {value: …, source: …}")


_sourced = BeforeValidator(_value)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerPort(_Entry):
    """A network port; ``interface`` is the operating system's name for it."""

    speed_gbps: int
    product: str
    interface: str


class GpuOption(_Entry):
    """GPUs that a server can be bought with; the first of ``counts`` is the usual number."""

    product: str
    counts: tuple[int, ...] = Field(min_length=1)
    interconnect: Literal["nvlink_bridge", "nvlink", "nvswitch", "none"]
    span: int


class Cpu(_Entry):
    """Processors; cores and threads of one of them."""

    sockets: int
    product: str
    cores: int
    threads: int


class Disks(_Entry):
    """Data disks, all alike."""

    count: int
    size_gb: int
    kind: str
    controller: str


class Server(_Entry):
    """A validated server configuration; ``height`` in rack units; the first GPU option is the usual one."""

    product: Annotated[str, _sourced]
    height: Annotated[int, _sourced]
    cpu: Annotated[Cpu, _sourced]
    memory_gb: Annotated[int, _sourced]
    disks: Annotated[Disks, _sourced]
    roles: Annotated[tuple[str, ...], _sourced]
    ports: Annotated[dict[str, ServerPort], _sourced]
    gpus: Annotated[tuple[GpuOption, ...], _sourced]


class Gpu(_Entry):
    """A GPU product."""

    product: Annotated[str, _sourced]
    form_factor: Annotated[Literal["PCIe", "SXM"], _sourced]
    memory_gb: Annotated[int, _sourced]
    memory_mib: Annotated[int, _sourced]
    power_w: Annotated[int, _sourced]
    mig_instances: Annotated[int, _sourced]


class PortRange(_Entry):
    """``count`` ports in a row, the last number of ``first`` counting up."""

    first: str
    count: int
    speed_gbps: int

    def names(self) -> list[str]:
        """The ports' names."""
        stem, _, number = self.first.rpartition("/")
        return [f"{stem}/{int(number) + index}" for index in range(self.count)]


class Switch(_Entry):
    """A switch product."""

    product: Annotated[str, _sourced]
    height: Annotated[int, _sourced]
    ports: Annotated[tuple[PortRange, ...], _sourced]

    def speeds(self) -> dict[str, int]:
        """Each port's speed in Gbit/s, in the order of the front panel."""
        return {name: group.speed_gbps for group in self.ports for name in group.names()}


class Model(_Entry):
    """A model: GPU memory of one copy in GB, the fewest GPUs it is spread over, whether it is bundled."""

    product: Annotated[str, _sourced]
    memory_gb: Annotated[float, _sourced]
    min_gpus: Annotated[int, _sourced]
    shipped: Annotated[bool, _sourced]


class Distribution(_Entry):
    """An operating system of the nodes.

    ``packages`` maps the roles' names of packages to its own where they differ.
    """

    product: str
    id: str
    version: str
    codename: str
    exercised: bool
    end_of_life: datetime.date
    packages: dict[str, str]
    services: dict[str, str]
    paths: dict[str, str]


class Release(BaseModel):
    """Versions that were tested together. ``components`` maps a name to its facts, ``version`` among them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    release: str
    status: str
    components: dict[str, dict[str, Any]]

    @property
    def versions(self) -> Mapping[str, str]:
        """Version by component."""
        return {name: str(facts["version"]) for name, facts in sorted(self.components.items())}


def _read(name: str, kind: type[T]) -> T:
    data = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return TypeAdapter(kind).validate_python(data)


@dataclass(frozen=True)
class Catalogue:
    """Products by key: the package's own, and what stands in ``catalog/`` beside a site."""

    servers: Mapping[str, Server]
    gpus: Mapping[str, Gpu]
    switches: Mapping[str, Switch]
    models: Mapping[str, Model]


KINDS: Mapping[str, type[_Entry]] = {"servers": Server, "gpus": Gpu, "switches": Switch, "models": Model}


@functools.cache
def builtin() -> Catalogue:
    """The package's catalogue."""
    return Catalogue(
        servers=_read("servers.yml", dict[str, Server]),
        gpus=_read("gpus.yml", dict[str, Gpu]),
        switches=_read("switches.yml", dict[str, Switch]),
        models=_read("models.yml", dict[str, Model]),
    )


@functools.cache
def distributions() -> dict[str, Distribution]:
    """Operating systems by key."""
    return _read("distributions.yml", dict[str, Distribution])


@functools.cache
def releases() -> dict[str, Release]:
    """Releases by name."""
    found = (_read(f"releases/{path.name}", Release) for path in sorted((FOLDER / "releases").glob("*.yml")))
    return {release.release: release for release in found}
