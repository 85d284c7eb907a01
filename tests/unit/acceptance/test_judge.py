"""Judgements over the recorded evidence of a sound H100, and over the same with each fault."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from rackwright.acceptance import judge
from rackwright.acceptance.judge import Outcome
from rackwright.acceptance.promise import Promise, designs, of_profile
from rackwright.acceptance.smi import (
    Inventory,
    Topology,
    parse_query,
    parse_samples,
)
from rackwright.catalog import builtin
from rackwright.errors import UsageError

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def seen() -> Inventory:
    return parse_query((RECORDED / "h100.xml").read_text())


@pytest.fixture
def rates() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / "hardware.json").read_text())
    return found


def promise(profile: str = "xe8640", gpu: str = "h100-sxm", count: int = 1) -> Promise:
    return of_profile(builtin(), profile, gpu, count)


def failed(outcomes: list[Outcome]) -> set[str]:
    assert all(bool(one.hint) == (one.result == "failed") for one in outcomes)
    return {one.id for one in outcomes if one.result == "failed"}


def with_gpu(seen: Inventory, **changes: Any) -> Inventory:
    return dataclasses.replace(seen, gpus=(dataclasses.replace(seen.gpus[0], **changes),))


def test_the_recorded_server_is_what_was_ordered(seen: Inventory, rates: dict[str, Any]) -> None:
    outcomes = judge.inventory(promise(), seen) + judge.hardware(promise(), rates)
    assert failed(outcomes) == set()
    ratios = {one.id: one.ratio for one in outcomes if one.ratio is not None}
    assert ratios["speed.memory-copy"] == pytest.approx(0.905, abs=0.005)
    assert ratios["speed.host-to-gpu"] == pytest.approx(0.82, abs=0.05)


def test_another_gpu_than_ordered(seen: Inventory, rates: dict[str, Any]) -> None:
    wrong = promise("xe9680", "h200-sxm")
    found = failed(judge.inventory(wrong, seen) + judge.hardware(wrong, rates))
    assert {"inventory.product", "inventory.memory", "speed.memory-copy"} <= found


def test_a_gpu_is_missing(seen: Inventory) -> None:
    assert failed(judge.inventory(promise(count=2), seen)) == {"inventory.count"}


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"processes": ("python (812)",)}, "health.idle"),
        ({"used_mib": 20000}, "health.idle"),
        ({"uncorrected": 1}, "health.memory"),
        ({"ecc": "Disabled"}, "health.memory"),
        ({"unrepairable": True}, "health.memory"),
        ({"remap_pending": True}, "health.row-remap"),
        ({"remap_failed": True}, "health.row-remap"),
        ({"link_width": 8}, "inventory.link"),
        ({"link_generation_most": 4}, "inventory.link"),
        ({"mig": "Enabled"}, "inventory.mig"),
        ({"power_limit_w": 500.0}, "health.power-limit"),
        ({"memory_mib": 40000}, "inventory.memory"),
    ],
)
def test_each_fault_fails_its_check(seen: Inventory, changes: dict[str, Any], fails: str) -> None:
    assert failed(judge.inventory(promise(), with_gpu(seen, **changes))) == {fails}


def test_fabric_manager_is_judged_only_with_nvswitches(seen: Inventory) -> None:
    assert not [one for one in judge.inventory(promise(), seen) if one.id == "health.fabric"]
    switched = promise("xe9680", "h100-sxm", 1)
    assert failed(judge.inventory(switched, seen)) == {"health.fabric"}
    working = with_gpu(seen, fabric_state="Completed", fabric_status="Success")
    assert failed(judge.inventory(switched, working)) == set()


def test_links_of_a_bridged_pair() -> None:
    ordered = promise("r760xa", "h100-pcie", 2)
    assert failed(judge.links(ordered, Topology({(0, 1): "NV12", (1, 0): "NV12"}, {}))) == set()
    assert failed(judge.links(ordered, Topology({(0, 1): "SYS", (1, 0): "SYS"}, {}))) == {"fabric.links"}


def test_slow_memory_and_wrong_results_fail(rates: dict[str, Any]) -> None:
    rates["gpus"][0]["memory_copy"]["gbs"]["median"] *= 0.6
    rates["gpus"][0]["memory_copy"]["right"] = False
    assert failed(judge.hardware(promise(), rates)) == {"speed.memory-copy", "speed.correct"}


def test_several_gpus(rates: dict[str, Any]) -> None:
    ordered = promise("xe9680", "h100-sxm", 2)
    rates["peers"] = [{"from": 0, "to": 1, "direct": True, "right": True, "gbs": {"median": 380.0}}]
    rates["all_reduce"] = {"gpus": 2, "right": True, "bus_gbs": {"median": 350.0}}
    outcomes = judge.together(ordered, rates)
    assert failed(outcomes) == set()
    assert [one.limit for one in outcomes] == [450.0, 450.0]
    rates["peers"][0]["gbs"]["median"] = 40.0
    rates["all_reduce"] = {"error": "a rank failed"}
    assert failed(judge.together(ordered, rates)) == {"speed.peer", "speed.all-reduce"}


def test_clocks_and_heat_under_load(seen: Inventory) -> None:
    line = "0, 510.0, 100, 8883, {clock}, 44, 0x{reasons:016x}"
    for clock, reasons, fails in (
        (1980, 0, set()),
        (1980, 0x4, set()),  # the power limit, reached by matrix products
        (1200, 0, {"load.clock"}),
        (1980, 0x40, {"load.throttling"}),
    ):
        samples = parse_samples([line.format(clock=clock, reasons=reasons)] * 5)
        assert failed(judge.under_load(promise(), seen, samples)) == fails
    [unknown] = judge.under_load(promise(), seen, ())
    assert unknown.result == "not measured"


def test_xids_fail_and_an_unreadable_log_is_said() -> None:
    assert judge.kernel_log(()).result == "passed"
    assert judge.kernel_log(("NVRM: Xid (PCI:0000:1b:00): 79",)).result == "failed"
    assert judge.kernel_log(None).result == "not measured"


def test_promises_come_from_the_catalogue() -> None:
    usual = of_profile(builtin(), "xe9680", None, None)
    assert (usual.key, usual.count, usual.interconnect) == ("h100-sxm", 8, "nvswitch")
    found = designs(builtin())
    assert set(found) == {"345m", "1.3b", "5b", "20b"}
    # Tables 13 and 14.
    assert (found["20b"].memory_gb, found["20b"].load.concurrency, found["20b"].load.p95_ms) == (
        42.4,
        16,
        1112.39,
    )
    for profile, gpu in (("r660", None), ("r999", None), ("xe9680", "h999")):
        with pytest.raises(UsageError):
            of_profile(builtin(), profile, gpu, None)


def test_what_nvidia_smi_leaves_out_is_not_judged(seen: Inventory) -> None:
    silent = with_gpu(seen, ecc=None, remapped=None, link_width=None, pci_id="")
    results = {one.id: one.result for one in judge.inventory(promise(), silent)}
    unknown = {id for id, result in results.items() if result == "not measured"}
    assert unknown == {"health.memory", "health.row-remap", "inventory.link"}
    assert results["inventory.product"] == "passed"
