"""The catalogue: every fact has a source, and the facts agree with the validated design's tables."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from rackwright import catalog
from rackwright.intent import schema


@pytest.mark.parametrize("name", ["servers", "gpus", "nics", "switches", "models"])
def test_a_fact_without_a_source_is_refused(name: str) -> None:
    data: dict[str, dict[str, Any]] = yaml.safe_load(
        (catalog.FOLDER / f"{name}.yml").read_text(encoding="utf-8")
    )
    entry = next(iter(data.values()))
    kind = catalog.KINDS[name]
    TypeAdapter(kind).validate_python(entry)
    entry["product"] = {"value": "something"}
    with pytest.raises(ValidationError, match="source"):
        TypeAdapter(kind).validate_python(entry)


def test_the_largest_model_of_each_server_is_table_3s() -> None:
    largest = {
        profile: server.gpus[0].span * catalog.builtin().gpus[server.gpus[0].product].memory_gb
        for profile, server in catalog.builtin().servers.items()
        if server.gpus
    }
    assert largest == {"r760xa": 160, "xe8640": 320, "xe9680": 640}


def test_references_between_the_files_hold() -> None:
    for server in catalog.builtin().servers.values():
        assert {option.product for option in server.gpus} <= set(catalog.builtin().gpus)
        assert set(server.roles) <= set(get_args(schema.Role))
        assert all(option.span <= max(option.counts) for option in server.gpus)


def test_ports_of_the_switches() -> None:
    speeds = catalog.builtin().switches["s5248f-on"].speeds()
    assert len(speeds) == 56
    assert speeds["ethernet1/1/48"] == 25
    assert speeds["ethernet1/1/49"] == 100


def test_the_current_release_names_what_the_roles_ask_for() -> None:
    versions = catalog.releases()["2026.11"].versions
    asked = "kubernetes containerd runc cni_plugins etcd coredns helm cilium local_path_provisioner"
    assert set(f"{asked} metrics_server pause gpu_operator gpu_driver triton busybox crane".split()) <= set(
        versions
    )
    assert all(isinstance(version, str) and version for version in versions.values())


def test_the_default_distribution_is_the_one_that_is_exercised() -> None:
    default = schema.Site.model_fields["distribution"].default
    assert catalog.distributions()[default].exercised
