"""Where machines stand: the switches and the control plane first, then the GPU servers, from the top downwards."""

from __future__ import annotations

import itertools
import string
from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.catalog import Catalogue
from rackwright.sizing.workload import RackLimits

SWITCH, SWITCHES = "s5248f-on", 2
MANAGEMENT, MANAGERS = "r660", 3


@dataclass(frozen=True)
class Machine:
    """A machine to be placed: a key of the catalogue, its height in rack units, its planned watts.

    ``gpus``: product and number, where they aren't the profile's usual ones.
    """

    key: str
    height: int
    power_w: int
    gpus: tuple[str, int] | None = None


@dataclass(frozen=True)
class Placed:
    """A machine in its place; ``unit`` is the lowest that it takes."""

    machine: Machine
    rack: str
    unit: int


def rack_name(index: int) -> str:
    """a … z, aa, ab …"""
    letters = string.ascii_lowercase
    name = letters[index % 26]
    while index >= 26:
        index = index // 26 - 1
        name = letters[index % 26] + name
    return name


def everywhere(catalogue: Catalogue) -> list[Machine]:
    """What every site has: two leaf switches and a control plane of three (design, tables 4 and 8)."""
    switch, server = catalogue.switches[SWITCH], catalogue.servers[MANAGEMENT]
    parts = catalogue.power_parts(MANAGEMENT)
    leaf = Machine(SWITCH, switch.height, switch.power_w or 0)
    manager = Machine(MANAGEMENT, server.height, sum(parts.values()) if parts else 0)
    return [leaf] * SWITCHES + [manager] * MANAGERS


class _Rack:
    """A rack being filled from the top downwards."""

    def __init__(self, name: str, limits: RackLimits) -> None:
        self.name, self.free, self.power, self.limit = name, limits.units, 0, limits.power_w

    def takes(self, machine: Machine) -> bool:
        within = self.limit is None or self.power + machine.power_w <= self.limit
        return machine.height <= self.free and within

    def put(self, machine: Machine) -> Placed:
        self.free -= machine.height
        self.power += machine.power_w
        return Placed(machine, self.name, self.free + 1)


def place(catalogue: Catalogue, workers: Sequence[Machine], limits: RackLimits) -> list[Placed]:
    """Each machine's place, the switches and the control plane first, none above a rack's units or watts.

    Of several racks each gets its part of the switches and of the control plane, so that none holds all.
    Raises ValueError where one machine alone is too much for an empty rack.
    """
    fixed = everywhere(catalogue)
    for machine in (*fixed, *workers):
        if machine.height > limits.units:
            raise ValueError(f"a {machine.key} takes {machine.height} rack units, a rack has {limits.units}")
        if limits.power_w is not None and machine.power_w > limits.power_w:
            raise ValueError(
                f"a {machine.key} is planned with {machine.power_w} W, a rack has {limits.power_w} W"
            )
    racks = -(-sum(machine.height for machine in (*fixed, *workers)) // limits.units)
    while True:
        placed = _within([_Rack(rack_name(index), limits) for index in range(racks)], fixed, workers)
        if placed is not None:
            return placed
        racks += 1


def _within(racks: list[_Rack], fixed: Sequence[Machine], workers: Sequence[Machine]) -> list[Placed] | None:
    """All machines in these racks, or None where they don't fit."""
    placed: list[Placed] = []
    for group in (fixed[:SWITCHES], fixed[SWITCHES:]):
        for index, machine in enumerate(group):
            rack = racks[index % len(racks)]
            if not rack.takes(machine):
                return None
            placed.append(rack.put(machine))
    for _, alike in itertools.groupby(workers):
        here = 0
        for machine in alike:
            while here < len(racks) and not racks[here].takes(machine):
                here += 1
            if here == len(racks):
                return None
            placed.append(racks[here].put(machine))
    return placed
