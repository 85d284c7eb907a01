"""Curves over concurrency, as SVG: one line for each setting of the sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rackwright.acceptance.sweep import Point
from rackwright.report import svg

WIDTH, HEIGHT = 520.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 96.0, 26.0, 34.0
TINTS = ("#2f6fde", "#d9822b", "#2a9d8f", "#7b57c9", "#c8372d", "#5d6b79")

Line = tuple[str, list[tuple[int, float]]]


def lines_of(points: Sequence[Point], value: Callable[[Point], float]) -> list[Line]:
    """A line for each setting, in the order of the sweep."""
    found: dict[str, list[tuple[int, float]]] = {}
    for one in points:
        found.setdefault(one.settings.label, []).append((one.concurrency, value(one)))
    return [(label, sorted(line)) for label, line in found.items()]


def ticks(most: float) -> list[float]:
    """About four round marks from 0 to ``most`` or a little beyond."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    return [step * index for index in range(math.ceil(most / step - 1e-9) + 1)]


def chart(lines: Sequence[Line], title: str, marks: Sequence[tuple[int, float, str]] = ()) -> str:
    """The drawing; concurrency to the right (doubling), the value upwards from 0. ``marks`` are single points."""
    columns = sorted({x for _, line in lines for x, _ in line} | {x for x, _, _ in marks})
    rows = ticks(max([y for _, line in lines for _, y in line] + [y for _, y, _ in marks], default=1.0))

    def across(x: int) -> float:
        low, high = math.log2(columns[0]), math.log2(columns[-1])
        share = (math.log2(x) - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - y / rows[-1] * (HEIGHT - TOP - BOTTOM)

    parts = [svg.text(LEFT, 14, title, 12, font_weight="600")]
    for y in rows:
        parts.append(svg.line(LEFT, up(y), WIDTH - RIGHT, up(y), svg.HAIR, 0.8))
        parts.append(svg.text(LEFT - 6, up(y) + 4, f"{y:g}", 10, svg.MUTED, text_anchor="end"))
    for x in columns:
        parts.append(svg.text(across(x), HEIGHT - BOTTOM + 16, str(x), 10, svg.MUTED, text_anchor="middle"))
    parts.append(
        svg.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, "concurrency", 10, svg.MUTED, text_anchor="middle")
    )
    for number, (label, line) in enumerate(lines):
        tint = TINTS[number % len(TINTS)]
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        parts.append(svg.element("polyline", points=path, fill="none", stroke=tint, stroke_width=2.0))
        parts += [svg.element("circle", cx=across(x), cy=up(y), r=2.5, fill=tint) for x, y in line]
        parts.append(svg.text(WIDTH - RIGHT + 10, TOP + 14 + 15 * number, label, 11, tint))
    for x, y, label in marks:
        parts.append(
            svg.element(
                "circle", cx=across(x), cy=up(y), r=4.5, fill="none", stroke=svg.INK, stroke_width=1.5
            )
        )
        parts.append(svg.text(across(x) + 8, up(y) + 4, label, 10, svg.INK))
    return svg.drawing(WIDTH, HEIGHT, "".join(parts), title)
