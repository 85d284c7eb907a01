"""Racks from the front: unit numbers, servers and switches where they are and as high as they are."""

from __future__ import annotations

from collections.abc import Sequence

from rackwright.derive.documents import Elevation, Slot
from rackwright.report import svg
from rackwright.report.looks import colours, gpu_text, short

UNIT = 13.0
TOP = 30.0
LEFT = 30.0
NARROW = 250.0
WIDE = 430.0


def side_by_side(elevations: Sequence[Elevation], site: str) -> str:
    """All racks in one drawing, names and machines only."""
    highest = max((rack.units for rack in elevations), default=0)
    parts = [
        _rack(rack, LEFT + i * (NARROW + 54), TOP + (highest - rack.units) * UNIT, NARROW)
        for i, rack in enumerate(elevations)
    ]
    width = LEFT + len(elevations) * (NARROW + 54)
    return svg.drawing(width, highest * UNIT + TOP + 14, "".join(parts), f"Racks of {site}")


def single(elevation: Elevation) -> str:
    """One rack, with service tags."""
    devices = ", ".join(f"{slot.name} in unit {slot.unit}" for slot in elevation.slots)
    drawn = _rack(elevation, LEFT, TOP, WIDE)
    about = f"{elevation.units} units, from the top down: {devices}"
    return svg.drawing(
        LEFT + WIDE + 12, elevation.units * UNIT + TOP + 12, drawn, f"Rack {elevation.rack}", about
    )


def _rack(elevation: Elevation, x: float, top: float, inner: float) -> str:
    height = elevation.units * UNIT
    parts = [
        svg.text(
            x + inner / 2, top - 14, f"Rack {elevation.rack}", 13, text_anchor="middle", font_weight="600"
        ),
        svg.box(x - 6, top - 6, inner + 12, height + 12, "#fff", svg.SWITCH_EDGE, 5),
        svg.box(x, top, inner, height, svg.PANEL, svg.HAIR, 2),
    ]
    every = 1 if inner > NARROW else 5
    for unit in range(1, elevation.units + 1):
        y = top + (elevation.units - unit) * UNIT
        parts.append(svg.line(x, y, x + inner, y, "#e3e9ef", 0.6))
        if unit % every == 0 or unit in (1, elevation.units):
            parts.append(svg.text(x - 11, y + UNIT - 3, str(unit), 9, svg.MUTED, text_anchor="end"))
    parts += [_device(elevation, slot, x, top, inner) for slot in elevation.slots]
    return "".join(parts)


def _device(elevation: Elevation, slot: Slot, x: float, top: float, inner: float) -> str:
    y = top + (elevation.units - slot.top) * UNIT
    middle = y + slot.height * UNIT / 2 + 3.4
    fill, edge = colours(slot.node) if slot.node else (svg.SWITCH_FILL, svg.SWITCH_EDGE)
    machine = short(slot.product)
    if slot.node is not None:
        machine = f"{machine}  {gpu_text(slot.node)}".strip()
    parts = [svg.box(x + 2, y + 0.8, inner - 4, slot.height * UNIT - 1.6, fill, edge, 2.5)]
    if inner > NARROW:
        names, machines = inner * 0.42, inner * 0.4
        parts.append(svg.text(x + inner * 0.44, middle, svg.fitted(machine, machines, 9.5), 9.5, svg.MUTED))
        if slot.service_tag:
            tag = svg.text(
                x + inner - 8, middle, slot.service_tag, 9, text_anchor="end", font_family="monospace"
            )
            parts.append(tag)
    else:
        names = inner - 30 - len(machine) * 5.4
        parts.append(svg.text(x + inner - 10, middle, machine, 9.5, svg.MUTED, text_anchor="end"))
    parts.append(svg.text(x + 10, middle, svg.fitted(slot.name, names, 10), 10, font_weight="600"))
    units = f"unit {slot.unit}" + (f" to {slot.top}" if slot.height > 1 else "")
    return svg.titled("".join(parts), f"{slot.name}, {units}")
