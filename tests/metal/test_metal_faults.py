"""Each fault through the whole chain: what a person is told, and that the same run goes on once it is mended."""

from __future__ import annotations

import pytest
from conftest import Rehearsed
from fault_cases import BESIDE, CASES, DIAGNOSED, OVERCOME, RAID

pytestmark = pytest.mark.metal


@pytest.mark.parametrize("name", [case.name for case in (*DIAGNOSED, *RAID)])
def test_fault_is_named_and_the_same_run_goes_on_when_it_is_mended(rehearsed: Rehearsed, name: str) -> None:
    case, lane = CASES[name], rehearsed.lane(name)
    first, second = lane.runs
    assert first.failure is not None, f"nothing was told; it is {first.state}"
    told = first.failure
    print(told)
    assert first.stage == case.stage
    assert f"({case.named})" in told.what
    assert lane.node.name in told.where
    assert all(word in told.evidence for word in case.said)
    assert second.failure is None, f"after it was mended: {second.failure}"
    assert second.state == "active"
