"""A sizing in words: the arithmetic step by step, the kinds of server side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rackwright.sizing.layout import MANAGERS
from rackwright.sizing.need import Problem, count
from rackwright.sizing.size import Plan, Sizing

HEAD = ("", "servers", "GPUs", "free", "rack units", "planned kW", "racks")


def to_text(sizing: Sizing) -> str:
    """The whole answer for a terminal."""
    return "\n".join([*_needs(sizing), *_plans(sizing), *_verdict(sizing)]) + "\n"


def _needs(sizing: Sizing) -> Iterator[str]:
    yield "Models"
    for need in sizing.needs:
        target = f", p95 within {need.p95_ms:g} ms" if need.p95_ms is not None else ""
        yield f"  {need.name}: {need.product}, {count(need.users, 'user')} at a time{target}"
        yield from (f"    {step}" for step in need.steps)
        for problem in need.problems:
            yield from _problem(problem, "    ")


def _plans(sizing: Sizing) -> Iterator[str]:
    sized = all(need.instances is not None for need in sizing.needs)
    for plan in sizing.plans:
        yield ""
        yield plan.name + (" (the fewest watts)" if plan.name == sizing.best else "")
        for problem in plan.problems:
            yield from _problem(problem, "  ")
        for block in plan.blocks:
            indent = "  "
            if len(plan.blocks) > 1:
                yield f"  {block.product} with {block.gpu}"
                indent = "    "
            yield from (f"{indent}{step}" for step in block.steps)
    if sized and any(plan.possible for plan in sizing.plans):
        yield ""
        yield from _table(sizing.plans)
        yield (
            f"Racks hold the two leaf switches and the control plane of {MANAGERS} R660 too; the other columns "
            "are the GPU servers' alone."
        )


def _table(plans: Iterable[Plan]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [HEAD]
    for plan in plans:
        if plan.possible:
            rows.append(
                (
                    plan.name,
                    str(plan.servers),
                    str(sum(block.gpus_needed for block in plan.blocks)),
                    str(sum(block.gpus_free for block in plan.blocks)),
                    str(plan.rack_units),
                    f"{plan.power_w / 1000:.1f}" if plan.power_w is not None else "?",
                    str(plan.racks),
                )
            )
        else:
            rows.append((plan.name, "can't", "", "", "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        yield "  ".join(cells).rstrip()


def _verdict(sizing: Sizing) -> Iterator[str]:
    if sizing.best is None:
        yield ""
        yield "This workload can't be sized as it stands: see what would make it possible above."


def _problem(problem: Problem, indent: str) -> Iterator[str]:
    yield f"{indent}can't: {problem.message}"
    yield from (f"{indent}  possible with: {option}" for option in problem.options)
