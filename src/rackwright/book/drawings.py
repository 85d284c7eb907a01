"""The book's small drawings: a switch's ports, and memory against capacity."""

from __future__ import annotations

from rackwright.derive.documents import PortMap, PortRow
from rackwright.report import svg

PORT, GAP, ROWS = 19.0, 3.0, 2
SPEEDS = {1: "#7d8a97", 10: "#8a6d3b", 25: "#2a7f9e", 40: "#9a6a2f", 50: "#3d7a57", 100: "#6d5aa8"}
OTHER_SPEED = "#444f5a"


def panel(ports: PortMap) -> str:
    """The ports in the order of their names, two rows of them, coloured where something is plugged in."""
    parts = []
    columns = -(-len(ports.ports) // ROWS)
    for number, port in enumerate(ports.ports):
        x = number // ROWS * (PORT + GAP)
        y = number % ROWS * (PORT + GAP)
        parts.append(_port(port, x, y))
    label = f"Ports of {ports.switch.name}"
    about = f"{ports.used} of {len(ports.ports)} ports have a cable; those are filled."
    height = ROWS * (PORT + GAP)
    return svg.drawing(columns * (PORT + GAP), height, "".join(parts), label, about)


def _port(port: PortRow, x: float, y: float) -> str:
    colour = SPEEDS.get(port.speed_gbps, OTHER_SPEED)
    number = port.name.rpartition("/")[2]
    taken = port.far is not None
    box = svg.box(x + 0.5, y + 0.5, PORT, PORT, colour if taken else "#fff", colour, 2.5)
    size = 9.0 if len(number) < 3 else 6.5
    ink = "#fff" if taken else colour
    name = svg.text(x + PORT / 2 + 0.5, y + PORT / 2 + 3.6, number, size, ink, text_anchor="middle")
    said = f"{port.name}, {port.speed_gbps} Gbit/s: "
    return svg.titled(box + name, said + (f"{port.far.device} {port.far.port}" if port.far else "free"))


def bar(share: float) -> str:
    """How much of a whole is taken; more than all of it is shown as all, in red."""
    wide, high = 150.0, 11.0
    colour = svg.BAD if share > 1 else svg.GOOD
    taken = max(min(share, 1.0) * wide, 1.5)
    parts = svg.box(0.5, 0.5, wide, high, svg.PANEL, svg.HAIR, 2)
    parts += svg.box(0.5, 0.5, taken, high, colour, radius=2)
    return svg.drawing(wide + 1, high + 1, parts, f"{share:.0%} of the memory")
