"""The sizing: needs packed onto each kind of server, compared by servers, rack units and watts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rackwright.catalog import Catalogue, GpuOption
from rackwright.sizing.layout import Machine, place
from rackwright.sizing.need import (
    Need,
    Problem,
    Result,
    count,
    holders,
    kind_name,
    kinds_of,
    linked_gpus,
    need_of,
)
from rackwright.sizing.workload import Order


class Placement(Result):
    """Instances of a model on one kind of server."""

    name: str
    instances: int
    gpus_per_instance: int


class Block(Result):
    """Servers of one kind. ``power_w`` of all of them, planned; None where the catalogue doesn't know it."""

    profile: str
    product: str
    gpu: str
    gpus_per_server: int
    placements: tuple[Placement, ...]
    gpus_needed: int
    servers_needed: int
    servers: int
    gpus_free: int
    rack_units: int
    power_w: int | None
    steps: tuple[str, ...]


class Plan(Result):
    """One way to buy it. ``racks`` hold the switches and the control plane too; ``problems``: why it can't be."""

    name: str
    blocks: tuple[Block, ...] = ()
    servers: int = 0
    rack_units: int = 0
    power_w: int | None = None
    racks: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether all models fit."""
        return not self.problems


class Sizing(Result):
    """The whole answer; ``best`` names the plan with the fewest planned watts, then rack units."""

    needs: tuple[Need, ...]
    plans: tuple[Plan, ...]
    best: str | None
    spare: int

    def plan(self, name: str) -> Plan:
        """The plan of a name."""
        return next(plan for plan in self.plans if plan.name == name)


def size(order: Order) -> Sizing:
    """Size a workload."""
    needs = tuple(need_of(entry, order) for entry in order.workload.models)
    allowed = order.workload.profiles
    kinds = [kind for kind in kinds_of(order.catalogue) if not allowed or kind[0] in allowed]
    plans = [_plan(kind_name(*kind), needs, {need.name: kind for need in needs}, order) for kind in kinds]
    mixed = _cheapest_each(needs, kinds, order)
    if mixed:
        plans.append(_plan("mixed", needs, mixed, order))
    known = all(need.instances is not None for need in needs)
    possible = [plan for plan in plans if plan.possible and known]
    best = min(
        possible, key=lambda plan: (plan.power_w is None, plan.power_w or 0, plan.rack_units), default=None
    )
    return Sizing(
        needs=needs,
        plans=tuple(plans),
        best=best.name if best is not None else None,
        spare=order.workload.spare,
    )


Kind = tuple[str, GpuOption]


def gpus_of_instance(need: Need, option: GpuOption, catalogue: Catalogue) -> tuple[int, str] | Problem:
    """GPUs that one instance takes on a kind of server, and why; or why it can't run there (table 3)."""
    memory, linked = catalogue.gpus[option.product].memory_gb, linked_gpus(option)
    fewest = -int(-need.memory_gb // memory)
    # Tensor parallelism divides a model's heads, so it goes by powers of two.
    power_of_two = 1 << (fewest - 1).bit_length()
    gpus = max(power_of_two, need.least_gpus)
    if power_of_two > linked:
        what = f"{linked} linked GPUs hold" if linked > 1 else "one GPU holds"
        message = f"{need.name} takes {need.memory_gb:.4g} GB, {what} {linked * memory} GB"
        return Problem(message=message, options=_larger(need, catalogue))
    if gpus > linked:
        links = f"links {linked}" if linked > 1 else "links none"
        message = f"{need.name} is spread over {gpus} GPUs ({need.least_gpus_explanation}), a server {links}"
        return Problem(message=message, options=_larger(need, catalogue))
    measured = need.capacity.measured_on if need.capacity is not None else None
    slower = _slower(measured, option.product, catalogue)
    if slower:
        message = f"{need.name} was measured on {slower}: the figure isn't carried over to a slower one"
        options = (f"a sweep on the {option.product} (--sweep), or concurrency_per_instance in the workload",)
        return Problem(message=message, options=options)
    if gpus == need.least_gpus and gpus > power_of_two:
        return gpus, f"{need.least_gpus_explanation}; by memory {power_of_two} would do"
    return gpus, f"{need.memory_gb:.4g} GB within {gpus} x {memory} GB"


def _slower(measured: str | None, product: str, catalogue: Catalogue) -> str:
    """The measured GPU and both bandwidths, where the product's memory is slower or nobody knows."""
    if measured is None or measured == product or measured not in catalogue.gpus:
        return ""
    had, has = (catalogue.gpus[key].memory_bandwidth_gbs for key in (measured, product))
    if had is not None and has is not None and has >= had:
        return ""
    return f"{measured} ({had or '?'} GB/s of memory bandwidth; {product}: {has or '?'} GB/s)"


def _larger(need: Need, catalogue: Catalogue) -> tuple[str, ...]:
    """The kinds of server that hold a model; where none does, its need says so already."""
    fitting = holders(need, catalogue)
    return (f"it fits {', '.join(fitting)}",) if fitting else ()


def _cheapest_each(needs: Sequence[Need], kinds: Sequence[Kind], order: Order) -> dict[str, Kind]:
    """For each model the kind of server that spends the fewest planned watts on an instance.

    Empty where that is one kind for all, or none for one.
    """
    chosen: dict[str, Kind] = {}
    for need in needs:
        costs: list[tuple[float, int]] = []
        for index, (profile, option) in enumerate(kinds):
            answer = gpus_of_instance(need, option, order.catalogue)
            if not isinstance(answer, Problem):
                watts = _server_power(profile, option, order.catalogue)
                costs.append(((watts or 0) * answer[0] / option.counts[0], index))
        if costs:
            chosen[need.name] = kinds[min(costs)[1]]
    used = set(chosen.values())
    # A service is bound to profiles: it can't tell two kinds of GPU of one profile apart.
    distinct = len({profile for profile, _ in used}) == len(used)
    return chosen if distinct and len(used) > 1 and len(chosen) == len(needs) else {}


def _server_power(profile: str, option: GpuOption, catalogue: Catalogue) -> int | None:
    parts = catalogue.power_parts(profile, option.product, option.counts[0])
    return sum(parts.values()) if parts is not None else None


def _plan(name: str, needs: Sequence[Need], kinds: dict[str, Kind], order: Order) -> Plan:
    """All models on the kinds of server that are given for them."""
    problems: list[Problem] = []
    chosen: dict[str, tuple[Kind, list[tuple[Need, int, str]]]] = {}
    for need in needs:
        kind = kinds[need.name]
        answer = gpus_of_instance(need, kind[1], order.catalogue)
        if isinstance(answer, Problem):
            problems.append(answer)
        else:
            chosen.setdefault(kind_name(*kind), (kind, []))[1].append((need, *answer))
    if problems:
        return Plan(name=name, problems=tuple(problems))
    blocks = tuple(_block(kind, parts, order) for kind, parts in chosen.values())
    watts = [block.power_w for block in blocks]
    machines = machines_of(blocks, order.catalogue)
    try:
        racks = len({placed.rack for placed in place(order.catalogue, machines, order.workload.rack)})
    except ValueError as error:
        options = ("more watts or units in 'rack' of the workload", "a kind of server that draws less")
        return Plan(name=name, problems=(Problem(message=str(error), options=options),))
    return Plan(
        name=name,
        blocks=blocks,
        servers=sum(block.servers for block in blocks),
        rack_units=sum(block.rack_units for block in blocks),
        power_w=sum(watt for watt in watts if watt is not None) if None not in watts else None,
        racks=racks,
    )


def machines_of(blocks: Sequence[Block], catalogue: Catalogue) -> list[Machine]:
    """The GPU servers of a plan, to be placed."""
    machines: list[Machine] = []
    for block in blocks:
        server = catalogue.servers[block.profile]
        usual = server.gpus[0].product == block.gpu
        watts = (block.power_w or 0) // max(block.servers, 1)
        gpus = None if usual else (block.gpu, block.gpus_per_server)
        machines += [Machine(block.profile, server.height, watts, gpus)] * block.servers
    return machines


def _block(kind: Kind, parts: Sequence[tuple[Need, int, str]], order: Order) -> Block:
    profile, option = kind
    server, total = order.catalogue.servers[profile], option.counts[0]
    placements = tuple(
        Placement(name=need.name, instances=need.instances or 0, gpus_per_instance=gpus)
        for need, gpus, _ in parts
    )
    gpus = sum(item.instances * item.gpus_per_instance for item in placements)
    needed = servers_for(((item.gpus_per_instance, item.instances) for item in placements), option)
    servers = needed + order.workload.spare if needed else 0
    watts = _server_power(profile, option, order.catalogue)
    return Block(
        profile=profile,
        product=server.product,
        gpu=option.product,
        gpus_per_server=total,
        placements=placements,
        gpus_needed=gpus,
        servers_needed=needed,
        servers=servers,
        gpus_free=servers * total - gpus,
        rack_units=servers * server.height,
        power_w=servers * watts if watts is not None else None,
        steps=tuple(_steps(kind, parts, placements, needed, servers, watts, order)),
    )


def servers_for(instances: Iterable[tuple[int, int]], option: GpuOption) -> int:
    """Servers for pairs of (GPUs of an instance, number of instances).

    An instance never spans GPUs that aren't linked, so the directly linked groups are filled, the largest
    instances first.
    """
    total = option.counts[0]
    span = min(option.span, total)
    free: Counter[int] = Counter()
    groups = 0
    for gpus, number in sorted(instances, reverse=True):
        left = number
        for room in sorted((size for size, amount in free.items() if size >= gpus and amount), reverse=False):
            while left and free[room]:
                taken = min(room // gpus, left)
                free[room] -= 1
                free[room - taken * gpus] += 1
                left -= taken
        each = span // gpus
        full, rest = divmod(left, each)
        groups += full + bool(rest)
        free[span - each * gpus] += full
        if rest:
            free[span - rest * gpus] += 1
    return -(-groups // (total // span))


def _steps(
    kind: Kind,
    parts: Sequence[tuple[Need, int, str]],
    placements: Sequence[Placement],
    needed: int,
    servers: int,
    watts: int | None,
    order: Order,
) -> Iterable[str]:
    """The arithmetic in words, as the design's chapter 6 shows it."""
    profile, option = kind
    server, total = order.catalogue.servers[profile], option.counts[0]
    for need, gpus, why in parts:
        yield f"{need.name}: {count(gpus, 'GPU')} for each instance ({why})"
    if any(need.instances is None for need, _, _ in parts):
        return
    terms = " + ".join(f"{item.instances} x {item.gpus_per_instance}" for item in placements)
    gpus = sum(item.instances * item.gpus_per_instance for item in placements)
    yield f"GPUs: {terms} = {gpus}"
    linked = f", linked in groups of {option.span}" if 1 < option.span < total else ""
    yield f"servers: {gpus} GPUs / {total} of each {server.product}{linked} = {needed}"
    if servers != needed:
        yield f"spare: {needed} + {servers - needed} = {servers}"
    yield f"rack units: {servers} x {server.height} = {servers * server.height}"
    parts_w = order.catalogue.power_parts(profile, option.product, total)
    if watts is not None and parts_w is not None:
        yield (
            f"power: {servers} x {watts} W = {servers * watts / 1000:.1f} kW planned (CPUs {parts_w['cpus']} W and "
            f"GPUs {parts_w['gpus']} W at their limits, the rest {parts_w['rest']} W estimated)"
        )
