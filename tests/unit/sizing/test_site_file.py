"""The site file that a plan is written as: it validates, and says in its comments what must be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rackwright.derive.model import SiteModel
from rackwright.site import validate
from rackwright.sizing.sitefile import NotWritableError, site_file
from rackwright.sizing.size import size
from rackwright.sizing.workload import load_workload


def written(tmp_path: Path, name: str | None = None, /, **workload: Any) -> Path:
    path = tmp_path / "workload.yml"
    path.write_text(yaml.safe_dump(workload), encoding="utf-8")
    order = load_workload(path)
    sizing = size(order)
    out = tmp_path / "site.yml"
    out.write_text(site_file(sizing.plan(name or sizing.best or ""), order), encoding="utf-8")
    return out


def model_of(path: Path) -> SiteModel:
    model, findings = validate(path)
    assert model is not None, "\n".join(str(finding) for finding in findings)
    return model


SCENARIO_2 = [
    {"model": "nemo-gpt-1.3b", "users": 32},
    {"model": "nemo-gpt-5b", "users": 64},
    {"model": "nemo-gpt-20b", "users": 128},
]


@pytest.mark.parametrize(
    ("plan", "servers"),
    [("r760xa with h100-pcie", 8), ("xe8640 with h100-sxm", 8), ("xe9680 with h100-sxm", 4)],
)
def test_table_15s_second_scenario_as_a_site(tmp_path: Path, plan: str, servers: int) -> None:
    model = model_of(written(tmp_path, plan, models=SCENARIO_2, site="table-15"))
    assert model.name == "table-15"
    assert len(model.gpu_workers) == servers
    assert {(s.name, s.model, s.replicas, s.gpus) for s in model.serving} == {
        ("nemo-gpt-1-3b", "nemo-gpt-1.3b", 8, 1),
        ("nemo-gpt-5b", "nemo-gpt-5b", 16, 1),
        ("nemo-gpt-20b", "nemo-gpt-20b", 8, 1),
    }
    assert len({node.service_tag for node in model.nodes}) == servers + 3


def test_several_racks_a_mix_and_other_gpus(tmp_path: Path) -> None:
    models = [
        {"model": "nemo-gpt-5b", "users": 64},
        {"model": "llama-2-70b", "users": 24, "concurrency_per_instance": 8},
    ]
    mixed = model_of(written(tmp_path, models=models, spare=1, rack={"power_w": 20_000}))
    assert sorted(node.profile for node in mixed.gpu_workers) == ["r760xa"] * 5 + ["xe9680"] * 4
    assert {node.rack for node in mixed.nodes} == {"a", "b", "c"}
    image = [{"model": "stable-diffusion-2.0", "users": 8, "concurrency_per_instance": 1}]
    l40 = model_of(written(tmp_path, "r760xa with l40", models=image))
    assert [node.gpus.key for node in l40.gpu_workers if node.gpus] == ["l40", "l40"]


def test_the_largest_site_of_one_pair_of_switches(tmp_path: Path) -> None:
    """45 servers and the three of the control plane: every port of 48, every address of the plan."""
    models = [{"model": "nemo-gpt-5b", "name": f"m{n}", "users": 4 * 60} for n in range(3)]
    path = written(tmp_path, "r760xa with h100-pcie", models=models)
    assert len(model_of(path).gpu_workers) == 45


def test_placeholders_are_said_to_be_ones(tmp_path: Path) -> None:
    text = written(tmp_path, models=SCENARIO_2).read_text(encoding="utf-8")
    assert "service tags (PLH…) and MAC addresses (02:…) are placeholders" in text
    assert all(
        "placeholder" in line for line in text.splitlines() if "service_tag:" in line or "bmc:" in line
    )


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([{"model": "nemo-gpt-5b", "users": 4 * 65}], "65 instances, one service has at most 64"),
        (
            [{"model": "nemo-gpt-5b", "name": f"m{n}", "users": 4 * 61} for n in range(3)],
            "49 servers don't fit",
        ),
        (
            [{"name": "own", "parameters_b": 7, "users": 4, "concurrency_per_instance": 4}],
            "add own to catalog/models.yml",
        ),
    ],
)
def test_what_the_default_layout_cant_take(
    tmp_path: Path, models: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(NotWritableError, match=message):
        written(tmp_path, "r760xa with h100-pcie", models=models)
