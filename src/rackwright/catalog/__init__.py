"""Facts of products and the releases' versions: YAML beside this module, typed in ``grammar``, read once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import TypeAdapter

from rackwright.catalog.grammar import (
    Cpu,
    Decoders,
    Dimms,
    Disks,
    Distribution,
    Entry,
    Firmware,
    Gpu,
    GpuOption,
    Load,
    Model,
    Nic,
    PortRange,
    Psu,
    Raid,
    Release,
    Score,
    Server,
    ServerPort,
    Storage,
    Switch,
    Tested,
    Volume,
)

__all__ = [
    "KINDS",
    "Catalogue",
    "Cpu",
    "Decoders",
    "Dimms",
    "Disks",
    "Distribution",
    "Firmware",
    "Gpu",
    "GpuOption",
    "Load",
    "Model",
    "Nic",
    "PortRange",
    "Psu",
    "Raid",
    "Release",
    "Score",
    "Server",
    "ServerPort",
    "Storage",
    "Switch",
    "Tested",
    "Volume",
    "builtin",
    "distributions",
    "releases",
]

FOLDER = Path(__file__).resolve().parent
T = TypeVar("T")


def _read(name: str, kind: type[T]) -> T:
    data = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return TypeAdapter(kind).validate_python(data)


@dataclass(frozen=True)
class Catalogue:
    """Products by key: the package's own, and what stands in ``catalog/`` beside a site."""

    servers: Mapping[str, Server]
    gpus: Mapping[str, Gpu]
    nics: Mapping[str, Nic]
    switches: Mapping[str, Switch]
    models: Mapping[str, Model]

    def power_parts(self, profile: str, gpu: str | None = None, count: int = 0) -> dict[str, int] | None:
        """What a server is planned to draw in W, by part (``cpus``, ``gpus``, ``rest``), all at their limits.

        None where the catalogue doesn't know a part of it.
        """
        server = self.servers[profile]
        if server.base_power_w is None or server.cpu.power_w is None:
            return None
        gpus = count * self.gpus[gpu].power_w if gpu is not None else 0
        return {"cpus": server.cpu.sockets * server.cpu.power_w, "gpus": gpus, "rest": server.base_power_w}


KINDS: Mapping[str, type[Entry]] = {
    "servers": Server,
    "gpus": Gpu,
    "nics": Nic,
    "switches": Switch,
    "models": Model,
}


@functools.cache
def builtin() -> Catalogue:
    """The package's catalogue."""
    return Catalogue(
        servers=_read("servers.yml", dict[str, Server]),
        gpus=_read("gpus.yml", dict[str, Gpu]),
        nics=_read("nics.yml", dict[str, Nic]),
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
