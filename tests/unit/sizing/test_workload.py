"""A workload file's faults: all at once, each at its line, with a hint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rackwright.errors import SiteError, UsageError
from rackwright.paths import checkout
from rackwright.sizing.size import size
from rackwright.sizing.workload import load_workload

BAD = """\
models:
  - {model: nemo-gpt-6b, users: 0}
  - {users: 3}
  - {model: nemo-gpt-5b, users: many, p95: 3}
  - {model: nemo-gpt-5b, users: 3, parameters_b: 4}
  - {model: nemo-gpt-5b, users: 3, p95_ms: soon}
  - {parameters_b: 4, users: 3}
  - {model: llama-2-7b, users: 3, measured_on: h100}
  - {model: nemo-gpt-5b, users: 3}
profiles: [r660, xe968]
spares: 1
"""
FOUND = [
    (2, "unknown-value", "did you mean 'nemo-gpt-5b'?"),
    (2, "out-of-range", "users: Requests that are under way at the same time."),
    (3, "no-model", "add 'model', or 'name' and 'parameters_b'"),
    (4, "wrong-type", "users: Requests that are under way at the same time."),
    (4, "unknown-field", "did you mean 'p95_ms'?"),
    (5, "two-sizes", "remove it, or 'model'"),
    (6, "wrong-type", "p95_ms: What 95 of 100 requests must be answered within, in milliseconds."),
    (7, "no-name", "add 'name'"),
    (8, "unknown-value", "did you mean 'h100-sxm'?"),
    (9, "duplicate-name", "add up their users, or give one another 'name'"),
    (10, "unknown-value", "did you mean 'r760xa'?"),
    (10, "unknown-value", "did you mean 'xe9680'?"),
    (11, "unknown-field", "did you mean 'spare'?"),
]


def faults(path: Path, text: str) -> list[tuple[int, str, str]]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SiteError) as caught:
        load_workload(path)
    assert {finding.file for finding in caught.value.findings} == {str(path)}
    return [(finding.line, finding.rule, finding.hint) for finding in caught.value.findings]


def test_every_fault_at_once(tmp_path: Path) -> None:
    assert faults(tmp_path / "workload.yml", BAD) == FOUND


def test_faults_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "workload.yml"
    assert [(line, rule) for line, rule, _ in faults(path, "profiles: [r760xa]\n")] == [(1, "missing-field")]
    assert faults(path, "") == [(1, "yaml-syntax", "start with 'models:'")]
    assert [rule for _, rule, _ in faults(path, "models: []\n")] == ["wrong-type"]
    assert [rule for _, rule, _ in faults(path, "models:\n\t- x\n")] == ["yaml-tab"]
    with pytest.raises(SiteError, match="the workload has no 'models'"):
        path.write_text("spare: 1\n")
        load_workload(path)
    with pytest.raises(UsageError, match="no workload"):
        load_workload(tmp_path / "none.yml")


def test_own_products_beside_the_workload(tmp_path: Path) -> None:
    """A model and a GPU of one's own; a fault in the catalogue is shown at its place there."""
    workload = tmp_path / "workload.yml"
    workload.write_text("models: [{model: mine, users: 9, concurrency_per_instance: 3}]\n")
    own = tmp_path / "catalog" / "models.yml"
    own.parent.mkdir()
    own.write_text(
        "mine:\n  product: {value: Mine, source: us}\n  memory_gb: {value: 90, source: us}\n"
        "  min_gpus: {value: 1, source: us}\n  shipped: {value: false}\n"
    )
    with pytest.raises(SiteError) as caught:
        load_workload(workload)
    assert [(f.file, f.line) for f in caught.value.findings] == [(str(own), 5)]
    own.write_text(own.read_text().replace("{value: false}", "{value: false, source: us}"))
    (need,) = size(load_workload(workload)).needs
    assert (need.product, need.memory_gb, need.instances) == ("Mine", 90, 3)
    assert need.steps[0] == "memory of one instance: 90 GB, from the catalogue"


def test_a_server_of_ones_own_names_known_products(tmp_path: Path) -> None:
    workload = tmp_path / "workload.yml"
    workload.write_text("models: [{model: nemo-gpt-5b, users: 9}]\nprofiles: [big]\n")
    own = tmp_path / "catalog" / "servers.yml"
    own.parent.mkdir()
    own.write_text(
        "big:\n"
        "  product: {value: Big, source: us}\n"
        "  height: {value: 8, source: us}\n"
        "  cpu: {value: {sockets: 2, product: X, cores: 64, threads: 128}, source: us}\n"
        "  memory_gb: {value: 2048, source: us}\n"
        "  disks: {value: {count: 2, size_gb: 1920, kind: NVMe, controller: none}, source: us}\n"
        "  roles: {value: [gpu_worker], source: us}\n"
        "  ports:\n"
        "    value:\n"
        "      ocp1: {speed_gbps: 25, product: connectx-6-lx, interface: ocp1}\n"
        "      ocp2: {speed_gbps: 25, product: connectx-7, interface: ocp2}\n"
        "    source: us\n"
        "  gpus:\n"
        "    value:\n"
        "      - {product: h100-sxn, counts: [8], interconnect: nvswitch, span: 8}\n"
        "    source: us\n"
    )
    with pytest.raises(SiteError) as caught:
        load_workload(workload)
    assert [(f.line, f.rule, f.hint) for f in caught.value.findings] == [
        (11, "unknown-product", "did you mean 'connectx-6-lx'?"),
        (15, "unknown-product", "did you mean 'h100-sxm'?"),
    ]
    own.write_text(own.read_text().replace("h100-sxn", "h100-sxm").replace("connectx-7", "connectx-6-lx"))
    (plan,) = size(load_workload(workload)).plans
    assert (plan.servers, plan.rack_units, plan.power_w) == (1, 8, None)


def test_the_how_tos_own_products_work(tmp_path: Path) -> None:
    page = (checkout() / "docs/how-to/add-your-own-products.md").read_text(encoding="utf-8")
    (tmp_path / "catalog").mkdir()
    for name, text in re.findall(r"```yaml\n# (catalog/\w+\.yml)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")
    workload = tmp_path / "workload.yml"
    workload.write_text(
        "models: [{model: our-model-34b, users: 12, concurrency_per_instance: 4}]\nprofiles: [r760xa-two]\n"
    )
    (plan,) = size(load_workload(workload)).plans
    assert (plan.servers, plan.power_w) == (2, 2 * (2 * 270 + 2 * 350 + 450))
