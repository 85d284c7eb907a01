"""The published sizing: table 14's figures, both scenarios of table 15; and what a workload can run into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rackwright import catalog
from rackwright.sizing.size import Plan, Sizing, servers_for, size
from rackwright.sizing.sweep import Measurement
from rackwright.sizing.text import to_text
from rackwright.sizing.workload import load_workload

R760XA, L40, XE8640, XE9680 = (
    "r760xa with h100-pcie",
    "r760xa with l40",
    "xe8640 with h100-sxm",
    "xe9680 with h100-sxm",
)
# Table 14: concurrency, p95, client wait, queue (ms), throughput, server GB, GPU GB, GPU %.
TABLE_14 = {
    "nemo-gpt-345m": (4, 295.85, 275.34, 206.29, 14.5, 4.68, 3.1, 98),
    "nemo-gpt-1.3b": (4, 406.69, 396.45, 297.04, 10.07, 4.35, 4.12, 99),
    "nemo-gpt-5b": (4, 1135.52, 1101.13, 824.52, 3.61, 4.68, 12.41, 99),
    "nemo-gpt-20b": (16, 1112.39, 1099.72, 49.58, 14.51, 4.59, 44.76, 93.5),
}


def sized(tmp_path: Path, sweep: tuple[Measurement, ...] = (), /, **workload: Any) -> Sizing:
    path = tmp_path / "workload.yml"
    path.write_text(yaml.safe_dump(workload), encoding="utf-8")
    return size(load_workload(path, sweep))


def model(key: str, users: int, **more: Any) -> dict[str, Any]:
    return {"model": key, "users": users, **more}


def problems(plan: Plan) -> str:
    return "\n".join(problem.message for problem in plan.problems)


@pytest.mark.parametrize("key", TABLE_14)
def test_table_14(key: str) -> None:
    load = catalog.builtin().models[key].load
    assert load is not None
    assert TABLE_14[key] == (
        load.concurrency,
        load.p95_ms,
        load.client_wait_ms,
        load.server_queue_ms,
        load.throughput,
        load.server_memory_gb,
        load.gpu_memory_gb,
        load.gpu_utilization,
    )
    assert {name for name, model in catalog.builtin().models.items() if model.load} == set(TABLE_14)


def test_table_15_first_scenario(tmp_path: Path) -> None:
    """32 users of 5B and 64 of 20B: 8 and 4 instances, three R760xa or three XE8640."""
    sizing = sized(tmp_path, models=[model("nemo-gpt-5b", 32), model("nemo-gpt-20b", 64)])
    assert [(need.model, need.instances) for need in sizing.needs] == [
        ("nemo-gpt-5b", 8),
        ("nemo-gpt-20b", 4),
    ]
    for name in (R760XA, XE8640):
        plan = sizing.plan(name)
        assert plan.possible
        assert (plan.servers, plan.blocks[0].gpus_needed, plan.blocks[0].gpus_free) == (3, 12, 0)
        assert {item.gpus_per_instance for item in plan.blocks[0].placements} == {1}
    assert sizing.plan(R760XA).blocks[0].gpus_per_server == 4


def test_table_15_second_scenario(tmp_path: Path) -> None:
    """32 users of 1.3B, 64 of 5B and 128 of 20B: 8, 16 and 8 instances, four XE9680."""
    models = [model("nemo-gpt-1.3b", 32), model("nemo-gpt-5b", 64), model("nemo-gpt-20b", 128)]
    sizing = sized(tmp_path, models=models)
    assert [need.instances for need in sizing.needs] == [8, 16, 8]
    plan = sizing.plan(XE9680)
    assert (plan.servers, plan.blocks[0].gpus_needed) == (4, 32)
    assert {item.gpus_per_instance for item in plan.blocks[0].placements} == {1}


def test_the_arithmetic_is_shown(tmp_path: Path) -> None:
    text = to_text(sized(tmp_path, models=[model("nemo-gpt-5b", 32), model("nemo-gpt-20b", 64)]))
    assert "instances: 32 users / 4 requests at a time = 8 instances" in text
    assert "GPUs: 8 x 1 + 4 x 1 = 12" in text
    assert "servers: 12 GPUs / 4 of each PowerEdge R760xa, linked in groups of 2 = 3" in text
    assert "rack units: 3 x 2 = 6" in text


def test_users_that_dont_divide_are_rounded_up_and_a_spare_is_added(tmp_path: Path) -> None:
    sizing = sized(tmp_path, models=[model("nemo-gpt-5b", 33)], spare=1, profiles=["xe8640"])
    assert sizing.needs[0].instances == 9
    assert [plan.name for plan in sizing.plans] == [XE8640]
    block = sizing.plans[0].blocks[0]
    assert (block.servers_needed, block.servers, block.rack_units, block.gpus_free) == (3, 4, 16, 7)
    assert block.power_w == 4 * (4 * 700 + 2 * 350 + 1100)


def test_llama_70b_runs_on_eight_gpus_of_an_xe9680_only(tmp_path: Path) -> None:
    sizing = sized(tmp_path, models=[model("llama-2-70b", 10, concurrency_per_instance=10)])
    assert sizing.best == XE9680
    assert sizing.plan(XE9680).blocks[0].placements[0].gpus_per_instance == 8
    for name in (R760XA, L40, XE8640):
        assert sizing.plan(name).problems[0].options == ("it fits xe9680 with h100-sxm",)


@pytest.mark.parametrize(
    ("parameters", "gpus", "fits"),
    [
        (38, 1, {R760XA, XE8640, XE9680}),  # 79.8 GB: one GPU
        (39, 2, {R760XA, XE8640, XE9680}),  # 81.9 GB: a bridged pair
        (76, 2, {R760XA, XE8640, XE9680}),  # 159.6 GB: under table 3's 160
        (77, 4, {XE8640, XE9680}),  # 161.7 GB
        (152, 4, {XE8640, XE9680}),  # 319.2 GB: under 320
        (153, 8, {XE9680}),  # 321.3 GB
        (304, 8, {XE9680}),  # 638.4 GB: under 640
    ],
)
def test_a_model_of_ones_own_by_the_rule_and_table_3(
    tmp_path: Path, parameters: int, gpus: int, fits: set[str]
) -> None:
    own = {"name": "own", "parameters_b": parameters, "users": 1, "concurrency_per_instance": 1}
    sizing = sized(tmp_path, models=[own])
    possible = {plan.name: plan for plan in sizing.plans if plan.possible}
    assert set(possible) == fits
    assert {plan.blocks[0].placements[0].gpus_per_instance for plan in possible.values()} == {gpus}


def test_a_model_larger_than_any_server_says_what_would_do(tmp_path: Path) -> None:
    own = {"name": "own", "parameters_b": 305, "users": 1, "concurrency_per_instance": 1}
    sizing = sized(tmp_path, models=[own])
    assert sizing.best is None
    (problem,) = sizing.needs[0].problems
    assert "it takes 640.5 GB; the most that linked GPUs of one server have is 640 GB" in problem.message
    assert problem.options[0] == "a model of at most 304 billion parameters at 16 bits"


def test_an_instance_over_more_gpus_than_any_server_links(tmp_path: Path) -> None:
    sizing = sized(tmp_path, models=[model("nemo-gpt-5b", 4, gpus=16)])
    assert sizing.needs[0].problems[0].options[0] == "gpus: 8 or fewer, where the model allows it"
    assert "a server links none" in problems(sizing.plan(L40))


def test_a_latency_below_the_measured_says_what_would_do(tmp_path: Path) -> None:
    sizing = sized(tmp_path, models=[model("nemo-gpt-5b", 32, p95_ms=500)])
    assert sizing.best is None
    (problem,) = sizing.needs[0].problems
    assert "below the 1135.52 ms that the design measured with 4 requests" in problem.message
    assert problem.options[0] == "a target of 1136 ms or more"
    assert "nemo-gpt-345m (295.85 ms), nemo-gpt-1.3b (406.69 ms)" in problem.options[-1]
    assert sized(tmp_path, models=[model("nemo-gpt-5b", 32, p95_ms=1136)]).best == R760XA


def test_an_unmeasured_model_gets_no_number_but_what_is_known(tmp_path: Path) -> None:
    sizing = sized(tmp_path, models=[model("llama-2-7b", 32)])
    assert sizing.best is None
    assert sizing.needs[0].instances is None
    assert "nobody measured" in sizing.needs[0].problems[0].message
    text = to_text(sizing)
    assert "14.2 GB, measured with one request (table 13)" in text
    assert "planned" not in text
    stated = sized(tmp_path, models=[model("llama-2-7b", 32, concurrency_per_instance=5)])
    assert stated.needs[0].instances == 7


def test_table_14_isnt_carried_over_to_a_slower_gpu(tmp_path: Path) -> None:
    sizing = sized(tmp_path, models=[model("nemo-gpt-345m", 4)])
    assert "864 GB/s" in problems(sizing.plan(L40))
    assert sizing.plan(XE9680).possible
    stated = sized(tmp_path, models=[model("nemo-gpt-345m", 4, concurrency_per_instance=4)])
    assert stated.plan(L40).possible
    on_h100 = model("nemo-gpt-345m", 4, concurrency_per_instance=4, measured_on="h100-sxm")
    carried = sized(tmp_path, models=[on_h100])
    assert [plan.name for plan in carried.plans if plan.possible] == [XE8640, XE9680]


def test_a_mix_of_servers_where_one_model_alone_needs_the_large_ones(tmp_path: Path) -> None:
    models = [model("nemo-gpt-5b", 32), model("llama-2-70b", 8, concurrency_per_instance=8)]
    sizing = sized(tmp_path, models=models)
    assert sizing.best == "mixed"
    blocks = {block.profile: block for block in sizing.plan("mixed").blocks}
    assert {profile: block.servers for profile, block in blocks.items()} == {"r760xa": 2, "xe9680": 1}
    assert sizing.plan("mixed").power_w == 2 * 2310 + 9300


def test_racks_are_filled_by_units_and_watts(tmp_path: Path) -> None:
    models = [model("nemo-gpt-5b", 32 * 8)]  # 64 GPUs: eight XE9680 of 6 units and 9300 W
    free = sized(tmp_path, models=models, profiles=["xe9680"]).plans[0]
    assert (free.servers, free.rack_units, free.racks) == (8, 48, 2)
    tight = sized(tmp_path, models=models, profiles=["xe9680"], rack={"power_w": 20_000}).plans[0]
    assert tight.racks == 4  # two a rack, beside 1050 W of a switch and a control plane at the most
    none = sized(tmp_path, models=models, profiles=["xe9680"], rack={"power_w": 9_000}).plans[0]
    assert problems(none) == "a xe9680 is planned with 9300 W, a rack has 9000 W"


@pytest.mark.parametrize(
    ("instances", "servers"),
    [
        ([(1, 4)], 1),
        ([(1, 5)], 2),
        ([(2, 2)], 1),
        ([(2, 1), (1, 2)], 1),
        ([(2, 3), (1, 2)], 2),
        ([(2, 1), (1, 3)], 2),
        ([(1, 0)], 0),
        ([(2, 1000), (1, 1)], 501),
    ],
)
def test_pairs_of_an_r760xa_are_filled(instances: list[tuple[int, int]], servers: int) -> None:
    option = catalog.builtin().servers["r760xa"].gpus[0]
    assert servers_for(instances, option) == servers


def test_an_instance_of_three_leaves_a_bridged_pair_none_and_a_mesh_one(tmp_path: Path) -> None:
    models = [model("nemo-gpt-345m", 4, gpus=3), model("nemo-gpt-1.3b", 4)]
    sizing = sized(tmp_path, models=models)
    assert "over 3 GPUs (stated in the workload), a server links 2" in problems(sizing.plan(R760XA))
    block = sizing.plan(XE8640).blocks[0]
    assert (block.servers, block.gpus_needed, block.gpus_free) == (1, 4, 0)
