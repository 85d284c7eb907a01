"""Where machines stand: the switches and the control plane in the first rack, GPU servers from the top downwards."""

from __future__ import annotations

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


def first_rack(catalogue: Catalogue) -> list[Machine]:
    """What every site has: two leaf switches and a control plane of three (design, tables 4 and 8)."""
    switch, server = catalogue.switches[SWITCH], catalogue.servers[MANAGEMENT]
    parts = catalogue.power_parts(MANAGEMENT)
    return [
        *(Machine(SWITCH, switch.height, switch.power_w or 0) for _ in range(SWITCHES)),
        *(Machine(MANAGEMENT, server.height, sum(parts.values()) if parts else 0) for _ in range(MANAGERS)),
    ]


def place(machines: Sequence[Machine], limits: RackLimits) -> list[Placed]:
    """Each machine's place, rack by rack, none above the rack's units or watts.

    Raises ValueError where one machine alone is too much for an empty rack.
    """
    placed: list[Placed] = []
    rack, free, power = 0, limits.units, 0
    for machine in machines:
        if machine.height > limits.units:
            raise ValueError(f"a {machine.key} takes {machine.height} rack units, a rack has {limits.units}")
        if limits.power_w is not None and machine.power_w > limits.power_w:
            raise ValueError(
                f"a {machine.key} is planned with {machine.power_w} W, a rack has {limits.power_w} W"
            )
        over = limits.power_w is not None and power + machine.power_w > limits.power_w
        if machine.height > free or over:
            rack, free, power = rack + 1, limits.units, 0
        free -= machine.height
        power += machine.power_w
        placed.append(Placed(machine, rack_name(rack), free + 1))
    return placed
