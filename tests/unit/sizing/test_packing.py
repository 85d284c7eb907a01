"""Packing instances into servers against every possible packing, and what must hold of any workload."""

from __future__ import annotations

import functools

from hypothesis import given
from hypothesis import strategies as st

from rackwright import catalog
from rackwright.catalog import GpuOption
from rackwright.sizing.need import kinds_of, linked_gpus
from rackwright.sizing.size import servers_for

KINDS = [option for _, option in kinds_of(catalog.builtin())]


def fewest_servers(sizes: tuple[int, ...], option: GpuOption) -> int:
    """By trying every group of linked GPUs for every instance."""
    span = linked_gpus(option)

    @functools.cache
    def groups(rest: tuple[int, ...], free: tuple[int, ...]) -> int:
        if not rest:
            return len(free)
        size, *others = rest
        choices = [
            groups(tuple(others), tuple(sorted((*free[:at], room - size, *free[at + 1 :]))))
            for at, room in enumerate(free)
            if room >= size
        ]
        return min([*choices, groups(tuple(others), tuple(sorted((*free, span - size))))])

    return -(-groups(tuple(sorted(sizes, reverse=True)), ()) // (option.counts[0] // span))


@given(st.sampled_from(KINDS), st.lists(st.sampled_from([1, 2, 4, 8]), max_size=7))
def test_of_powers_of_two_nothing_packs_tighter(option: GpuOption, sizes: list[int]) -> None:
    fitting = tuple(size for size in sizes if size <= linked_gpus(option))
    counted = [(size, fitting.count(size)) for size in set(fitting)]
    assert servers_for(counted, option) == fewest_servers(fitting, option)


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 500)), max_size=6),
    st.integers(0, 50),
)
def test_never_too_few_and_never_fewer_for_more(
    option: GpuOption, instances: list[tuple[int, int]], more: int
) -> None:
    fitting = [(gpus, number) for gpus, number in instances if gpus <= linked_gpus(option)]
    servers = servers_for(fitting, option)
    assert servers * option.counts[0] >= sum(gpus * number for gpus, number in fitting)
    assert servers_for([*fitting, (linked_gpus(option), more)], option) >= servers
