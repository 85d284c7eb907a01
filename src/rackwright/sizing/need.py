"""What one model needs: memory, GPUs and requests at a time of an instance, and so how many instances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from rackwright.catalog import Catalogue, GpuOption, Load, Model
from rackwright.sizing.sweep import Measurement
from rackwright.sizing.workload import Demand, Order

# Design, chapter 6: GPU memory of a language model at 16 bits, in GB for each billion of parameters.
GB_PER_BILLION = 2.1


class Result(BaseModel):
    """Base of what sizing answers; ``--format json`` prints it."""

    model_config = ConfigDict(frozen=True)


class Problem(Result):
    """What can't be answered or done, and what would make it possible."""

    message: str
    options: tuple[str, ...] = ()


class Capacity(Result):
    """Requests that one instance takes at once.

    ``measured_on``: the GPU of the measurement, where it is known; ``latency_ms`` at the percentile that
    ``latency_name`` says; ``throughput`` in inferences per second; ``gpu_memory_gb`` at that concurrency.
    """

    concurrency: int
    explanation: str
    measured_on: str | None = None
    latency_ms: float | None = None
    latency_name: str | None = None
    throughput: float | None = None
    gpu_memory_gb: float | None = None
    copies: int = Field(1, description="copies of the model that shared the GPU of the measurement")


class Need(Result):
    """A model's need. ``memory_gb`` of one instance; ``instances`` is None where nobody can know it."""

    name: str
    model: str | None
    product: str
    users: int
    p95_ms: float | None
    memory_gb: float
    memory_explanation: str
    least_gpus: int = Field(description="GPUs of one instance whatever their memory")
    least_gpus_explanation: str
    capacity: Capacity | None
    instances: int | None
    steps: tuple[str, ...]
    problems: tuple[Problem, ...]


def rule_memory_gb(parameters_b: float) -> float:
    """The design's rule: 2.1 GB for each billion of parameters at 16 bits."""
    return GB_PER_BILLION * parameters_b


def rule_deviation(model: Model) -> float | None:
    """By how much the rule misses the measured memory, as a part of that; None where there is nothing to compare."""
    if model.parameters_b is None or not model.memory_measured:
        return None
    return (rule_memory_gb(model.parameters_b) - model.memory_gb) / model.memory_gb


def need_of(entry: Demand, order: Order) -> Need:
    """The need of one entry of the workload."""
    catalogue = order.catalogue
    model = catalogue.models[entry.model] if entry.model is not None else None
    measured = [row for row in order.sweep if row.model in entry.sweep_names]
    answer = _capacity(entry, model, measured, order)
    capacity = answer if isinstance(answer, Capacity) else None
    memory, how = _memory(entry, model, capacity)
    steps = [f"memory of one instance: {how}"]
    instances = None
    if capacity is not None:
        instances = math.ceil(entry.users / capacity.concurrency)
        steps.append(f"requests at a time of one instance: {capacity.explanation}")
        steps.append(
            f"instances: {entry.users} users / {capacity.concurrency} requests at a time = "
            f"{_quotient(entry.users, capacity.concurrency)}{count(instances, 'instance')}"
        )
    if model is not None and model.note:
        steps.append(f"note: {model.note}")
    stated = entry.gpus or 1
    least = max(stated, model.min_gpus if model is not None else 1)
    why = "stated in the workload" if stated >= least and entry.gpus else "the catalogue's least"
    problems = [answer] if isinstance(answer, Problem) else []
    if not any(_holds(option, memory, least, catalogue) for _, option in kinds_of(catalogue)):
        problems.append(_too_large(entry.label, memory, least, catalogue))
    return Need(
        name=entry.label,
        model=entry.model,
        product=model.product if model is not None else entry.label,
        users=entry.users,
        p95_ms=entry.p95_ms,
        memory_gb=memory,
        memory_explanation=how,
        least_gpus=least,
        least_gpus_explanation=why if least > 1 else "",
        capacity=capacity,
        instances=instances,
        steps=tuple(steps),
        problems=tuple(problems),
    )


def kinds_of(catalogue: Catalogue) -> list[tuple[str, GpuOption]]:
    """Every kind of GPU server: a profile with one of its GPU options."""
    return [(profile, option) for profile, server in catalogue.servers.items() for option in server.gpus]


def linked_gpus(option: GpuOption) -> int:
    """GPUs that one instance can be spread over: those linked directly (table 3)."""
    return min(option.span, option.counts[0])


def _holds(option: GpuOption, memory_gb: float, gpus: int, catalogue: Catalogue) -> bool:
    linked = linked_gpus(option)
    return gpus <= linked and memory_gb <= linked * catalogue.gpus[option.product].memory_gb


def holders(need: Need, catalogue: Catalogue) -> list[str]:
    """The kinds of server that hold an instance."""
    kinds = kinds_of(catalogue)
    return [kind_name(*kind) for kind in kinds if _holds(kind[1], need.memory_gb, need.least_gpus, catalogue)]


def kind_name(profile: str, option: GpuOption) -> str:
    """``xe9680 with h100-sxm``."""
    return f"{profile} with {option.product}"


def _too_large(name: str, memory_gb: float, gpus: int, catalogue: Catalogue) -> Problem:
    kinds = [option for _, option in kinds_of(catalogue)]
    linked = max((linked_gpus(option) for option in kinds), default=0)
    largest = max(
        (linked_gpus(option) * catalogue.gpus[option.product].memory_gb for option in kinds), default=0
    )
    own = (
        "a larger server of your own in catalog/servers.yml beside the workload; models over several servers "
        "are outside the design (note to table 3)"
    )
    if gpus > linked:
        return Problem(
            message=f"no server of the catalogue links {gpus} GPUs, over which {name} is spread; at most {linked}",
            options=(f"gpus: {linked} or fewer, where the model allows it", own),
        )
    spread = f", over {gpus} GPUs" if gpus > 1 else ""
    return Problem(
        message=f"no server of the catalogue holds {name}: it takes {memory_gb:.4g} GB{spread}; the most that "
        f"linked GPUs of one server have is {largest} GB",
        options=(
            f"a model of at most {math.floor(largest / GB_PER_BILLION)} billion parameters at 16 bits",
            "the same model with weights of fewer bits: measure its memory and its answers, then state memory_gb",
            own,
        ),
    )


def count(number: int, word: str) -> str:
    """``3 servers``, ``1 server``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _quotient(users: int, concurrency: int) -> str:
    return "" if users % concurrency == 0 else f"{users / concurrency:.4g}, so "


def _memory(entry: Demand, model: Model | None, capacity: Capacity | None) -> tuple[float, str]:
    """GB of one instance, and why. A sweep's configuration may hold several copies of the model."""
    if entry.memory_gb is not None:
        return entry.memory_gb, f"{entry.memory_gb:g} GB, stated in the workload"
    if capacity is not None and capacity.gpu_memory_gb is not None:
        at = f"with {count(capacity.concurrency, 'request')} at a time"
        # Less than one request takes can't be the whole instance.
        if model is None or capacity.gpu_memory_gb >= model.memory_gb:
            return capacity.gpu_memory_gb, f"{capacity.gpu_memory_gb:g} GB, measured {at}"
    if capacity is not None and capacity.copies > 1:
        one, how = _memory(entry, model, None)
        return capacity.copies * one, f"{capacity.copies} copies, as in your sweep, each {how}"
    if model is None:
        parameters = entry.parameters_b or 0
        return rule_memory_gb(parameters), _by_rule(parameters)
    if model.memory_measured:
        return model.memory_gb, f"{model.memory_gb:g} GB, measured with one request (table 13)"
    if model.parameters_b is not None:
        return model.memory_gb, _by_rule(model.parameters_b)
    return model.memory_gb, f"{model.memory_gb:g} GB, from the catalogue"


def _by_rule(parameters_b: float) -> str:
    gigabytes = rule_memory_gb(parameters_b)
    return (
        f"{GB_PER_BILLION} GB x {parameters_b:g} billion parameters = {gigabytes:.4g} GB (rule of chapter 6)"
    )


def _capacity(
    entry: Demand, model: Model | None, rows: Sequence[Measurement], order: Order
) -> Capacity | Problem:
    """The workload's own figure, else the sweep's, else the design's."""
    if entry.concurrency_per_instance is not None:
        stated = entry.concurrency_per_instance
        text = f"{stated}, stated in the workload; its latency isn't known here"
        if model is not None and model.load is not None and stated > model.load.concurrency:
            text += f"; above {model.load.concurrency}, the design's optimum (table 14), latency grows"
        return Capacity(concurrency=stated, explanation=text, measured_on=entry.measured_on)
    if rows:
        return _from_sweep(entry, model, rows)
    if model is not None and model.load is not None:
        return _from_design(entry, model.load, order.catalogue)
    return _unknown(entry, model, order.sweep)


def _from_design(entry: Demand, load: Load, catalogue: Catalogue) -> Capacity | Problem:
    if entry.p95_ms is None or load.p95_ms <= entry.p95_ms:
        target = f", target {entry.p95_ms:g} ms" if entry.p95_ms is not None else ""
        text = (
            f"{load.concurrency}, the design's optimum (table 14: p95 {load.p95_ms:g} ms{target}, "
            f"{load.throughput:g} inferences/s, GPU {load.gpu_utilization:g} % busy)"
        )
        return Capacity(
            concurrency=load.concurrency,
            explanation=text,
            measured_on=load.gpu,
            latency_ms=load.p95_ms,
            latency_name="p95",
            throughput=load.throughput,
            gpu_memory_gb=load.gpu_memory_gb,
        )
    unqueued = load.client_wait_ms - load.server_queue_ms
    options = [
        f"a target of {math.ceil(load.p95_ms)} ms or more",
        f"a sweep of your own below {load.concurrency} requests at a time (--sweep): {load.server_queue_ms:g} of "
        f"the {load.client_wait_ms:g} ms that clients wait are queueing, the rest is about {unqueued:.0f} ms",
        "a figure of your own: concurrency_per_instance in the workload",
    ]
    faster = _measured_within(catalogue.models, entry.p95_ms)
    if faster:
        options.append(f"a smaller model; measured within {entry.p95_ms:g} ms: {', '.join(faster)}")
    message = (
        f"a p95 of {entry.p95_ms:g} ms is below the {load.p95_ms:g} ms that the design measured with "
        f"{load.concurrency} requests at a time (table 14), and it shows no lower figure"
    )
    return Problem(message=message, options=tuple(options))


def _measured_within(models: Mapping[str, Model], p95_ms: float) -> list[str]:
    loads = ((key, model.load) for key, model in models.items())
    return [f"{key} ({load.p95_ms:g} ms)" for key, load in loads if load and load.p95_ms <= p95_ms]


def _from_sweep(entry: Demand, model: Model | None, rows: Sequence[Measurement]) -> Capacity | Problem:
    name = rows[0].latency_name
    target = entry.p95_ms
    within = [row for row in rows if target is None or row.latency_ms <= target]
    if not within:
        best = min(rows, key=lambda row: row.latency_ms)
        message = (
            f"none of the sweep's {count(len(rows), 'measurement')} keeps {name} within {target:g} ms; the lowest "
            f"is {best.latency_ms:g} ms with {count(best.concurrency, 'request')} at a time ({best.place})"
        )
        options = (
            f"a target of {math.ceil(best.latency_ms)} ms or more",
            "a smaller model, or one instance over more GPUs, swept again",
        )
        return Problem(message=message, options=options)
    if target is None:
        best = max(within, key=lambda row: (row.throughput / row.latency_ms, -row.concurrency))
        why = (
            f"of {count(len(rows), 'measurement')} the one with the most inferences for the latency, "
            "as the workload states no target"
        )
    else:

        def instances_then_latency(row: Measurement) -> tuple[int, float, int]:
            return math.ceil(entry.users / row.concurrency), row.latency_ms, row.concurrency

        best = min(within, key=instances_then_latency)
        why = (
            f"{len(within)} of {count(len(rows), 'measurement')} keep {name} within {target:g} ms; "
            f"this one needs the fewest instances for {entry.users} users, and of those it answers soonest"
        )
    config = f"{best.config}, " if best.config else ""
    bound = ", an upper bound of p95" if name == "p99" else ""
    text = (
        f"{best.concurrency}, your sweep ({config}{name} {best.latency_ms:g} ms{bound}, "
        f"{best.throughput:g} inferences/s; {best.place}): {why}"
    )
    return Capacity(
        concurrency=best.concurrency,
        explanation=text,
        measured_on=entry.measured_on,
        latency_ms=best.latency_ms,
        latency_name=name,
        throughput=best.throughput,
        gpu_memory_gb=best.memory_gb(model.memory_gb if model is not None else None),
        copies=best.instances,
    )


def _unknown(entry: Demand, model: Model | None, sweep: Iterable[Measurement]) -> Problem:
    swept = sorted({row.model for row in sweep})
    names = " or ".join(f"'{name}'" for name in entry.sweep_names)
    tried = f"; the sweep has {', '.join(swept)}, not {names}" if swept else ""
    product = model.product if model is not None else entry.label
    options = [
        "a sweep with Model Analyzer (docs/how-to/size-a-site.md), given with --sweep",
        "a figure of your own: concurrency_per_instance in the workload",
    ]
    if swept:
        options.append(f"sweep_model in the workload, where {product} is one of the sweep's models")
    message = (
        f"nobody measured how many requests at a time one instance of {product} takes: the design's table 14 "
        f"has the NeMo models of 345M, 1.3B, 5B and 20B only{tried}"
    )
    return Problem(message=message, options=tuple(options))
