"""The catalogue: every fact has a source, and the facts agree with the validated design's tables."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from rackwright import catalog
from rackwright.intent import schema
from rackwright.intent.own_catalogue import load_catalogue


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


def _change(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = value


@pytest.mark.parametrize(
    ("name", "key", "path", "value"),
    [
        ("servers", "r760xa", ("ports", "value", "ocp1", "interface"), "a b"),
        ("servers", "r760xa", ("ports", "value", "ocp1", "interface"), "longer-than-linux-takes"),
        ("servers", "r760xa", ("ports", "value", "ocp1", "interface"), "ocp2"),
        ("servers", "r760xa", ("ports", "value", "ocp1", "speed_gbps"), 0),
        ("servers", "r760xa", ("gpus", "value", 0, "numa"), [0, 0]),
        ("servers", "r760xa", ("gpus", "value", 0, "numa"), [0, 0, 1, -1]),
        ("servers", "r760xa", ("base_power_w", "value"), -500),
        ("models", "nemo-gpt-5b", ("memory_gb", "value"), float("inf")),
        ("models", "nemo-gpt-5b", ("load", "value", "p95_ms"), float("nan")),
    ],
)
def test_an_entry_that_no_machine_can_be_is_refused(
    name: str, key: str, path: tuple[str | int, ...], value: Any
) -> None:
    """Users write entries of their own: what would break later, at a machine, is told when it is read."""
    entry = yaml.safe_load((catalog.FOLDER / f"{name}.yml").read_text(encoding="utf-8"))[key]
    TypeAdapter(catalog.KINDS[name]).validate_python(entry)
    _change(entry, path, value)
    with pytest.raises(ValidationError):
        TypeAdapter(catalog.KINDS[name]).validate_python(entry)


def test_a_fault_within_a_fact_is_told_at_its_line(tmp_path: Path) -> None:
    site = tmp_path / "site.yml"
    site.write_text("plugin: rackwright_site\n", encoding="utf-8")
    own = tmp_path / "catalog" / "servers.yml"
    own.parent.mkdir()
    text = (catalog.FOLDER / "servers.yml").read_text(encoding="utf-8")
    own.write_text(text.replace("interface: eno2", "interface: ENO 2", 1), encoding="utf-8")
    _, (finding,) = load_catalogue(site, tmp_path)
    assert finding.line == 1 + text[: text.index("interface: eno2")].count("\n")
    assert finding.column == 1 + own.read_text(encoding="utf-8").splitlines()[finding.line - 1].index("ENO 2")


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


# Tables 4 to 7: sockets, cores, base clock, DIMMs, size of one, disks, size of one.
TABLES_4_TO_7 = {
    "r660": (1, 16, 2.5, 8, 16, 4, 960),
    "r760xa": (2, 32, 2.2, 16, 32, 2, 1920),
    "xe8640": (2, 48, 2.1, 16, 32, 2, 1920),
    "xe9680": (2, 52, 2.0, 16, 64, 2, 1920),
}


@pytest.mark.parametrize("profile", TABLES_4_TO_7)
def test_servers_are_those_of_tables_4_to_7(profile: str) -> None:
    server = catalog.builtin().servers[profile]
    assert server.dimms is not None
    assert TABLES_4_TO_7[profile] == (
        server.cpu.sockets,
        server.cpu.cores,
        server.cpu.base_ghz,
        server.dimms.count,
        server.dimms.size_gb,
        server.disks.count,
        server.disks.size_gb,
    )
    assert server.memory_gb == server.dimms.count * server.dimms.size_gb
    assert server.cpu.threads == 2 * server.cpu.cores
    assert server.usual_ports == ("lom1", "lom2", "ocp1", "ocp2")
    optional = {"r660": ("connectx-6-lx", 25)}.get(profile, ("connectx-6-dx", 100))
    for name in ("nic1", "nic2"):
        port = server.ports[name]
        assert (port.product, port.speed_gbps, port.optional, port.interface) == (*optional, True, name)


def test_only_the_r660_has_a_raid_controller() -> None:
    disks = {profile: server.disks for profile, server in catalog.builtin().servers.items()}
    assert {profile for profile, disk in disks.items() if disk.raid} == {"r660"}
    assert disks["r660"].controller == "PERC H755"


def test_ports_are_what_their_adapters_have() -> None:
    nics = catalog.builtin().nics
    for server in catalog.builtin().servers.values():
        for port in server.ports.values():
            nic = nics[port.product]
            assert port.speed_gbps == nic.speeds_gbps[0]
            assert port.form in nic.forms
        assert {name[:-1] for name in server.ports} == {"lom", "ocp", "nic"}


# Table 2: memory, NVLink GB/s, MIG instances, decoders and encoders, watts.
TABLE_2 = {
    "h100-sxm": (80, 900, 7, (7, 7, 0), 700),
    "h100-pcie": (80, 600, 7, (7, 7, 0), 350),
    "l40": (48, 0, 0, (3, 0, 3), 300),
}


@pytest.mark.parametrize("key", TABLE_2)
def test_gpus_are_those_of_table_2(key: str) -> None:
    gpu = catalog.builtin().gpus[key]
    assert gpu.decoders is not None
    engines = (gpu.decoders.nvdec, gpu.decoders.nvjpeg, gpu.decoders.nvenc)
    assert TABLE_2[key] == (gpu.memory_gb, gpu.nvlink_gbs, gpu.mig_instances, engines, gpu.power_w)
    assert max(gpu.mig_profiles.values(), default=0) == gpu.mig_instances


def test_the_gpus_topology_covers_every_gpu_and_every_numa_node() -> None:
    for server in catalog.builtin().servers.values():
        for option in server.gpus:
            most = max(option.counts)
            assert len(option.numa) == most
            assert set(option.numa) == set(range(server.numa_nodes))
            groups = option.groups(most)
            assert sorted(index for group in groups for index in group) == list(range(most))
            if option.interconnect == "nvlink_bridge":
                # A bridge joins two cards side by side, in the slots of one CPU.
                assert all(len({option.numa[index] for index in group}) == 1 for group in groups)


def test_planned_power_is_the_sum_of_its_parts_and_below_the_supplies() -> None:
    builtin = catalog.builtin()
    for profile, server in builtin.servers.items():
        option = server.gpus[0] if server.gpus else None
        parts = builtin.power_parts(
            profile, option.product if option else None, option.counts[0] if option else 0
        )
        assert parts is not None
        assert server.psu is not None
        assert sum(parts.values()) <= server.psu.count * server.psu.rating_w
    assert builtin.power_parts("xe9680", "h100-sxm", 8) == {"cpus": 700, "gpus": 5600, "rest": 3000}


def test_breakouts_take_the_place_of_a_whole_port() -> None:
    switch = catalog.builtin().switches["s5232f-on"]
    whole, split = switch.speeds(), switch.speeds({"ethernet1/1/2": "4x25", "ethernet1/1/4": "2x50"})
    assert len(whole) == 34
    assert list(split)[:7] == [
        "ethernet1/1/1",
        *(f"ethernet1/1/2:{part}" for part in range(1, 5)),
        "ethernet1/1/3",
        "ethernet1/1/4:1",
    ]
    assert (split["ethernet1/1/2:4"], split["ethernet1/1/4:2"]) == (25, 50)
    group = switch.group("ethernet1/1/2:4")
    assert group is not None
    assert "4x25" in group.breakouts
    last = switch.group("ethernet1/1/32")
    assert last is not None
    assert not last.breakouts
    for product in catalog.builtin().switches.values():
        for group in product.ports:
            assert group.count % group.same_speed == 0
            for kind in group.breakouts:
                parts, _, speed = kind.partition("x")
                assert int(parts) * int(speed) <= group.speed_gbps


# Table 10, with BLOOM 175B of table 3 and this project's own.
TABLE_10 = "nemo-gpt-20b nemo-gpt-2b-001 nemo-gpt-1.3b nemo-gpt-345m nemo-gpt-5b bloom-7b llama-2-7b llama-2-13b llama-2-70b"


def test_models_are_those_of_table_10() -> None:
    models = catalog.builtin().models
    table = {*TABLE_10.split(), "stable-diffusion-2.0"}
    assert set(models) == table | {"bloom-175b", "capitals-gpt"}
    assert all(models[key].containers for key in table)
    assert models["llama-2-7b"].containers == ("nvcr.io/nvidia/pytorch:23.06-py3",)
    assert models["nemo-gpt-5b"].containers == (
        "nvcr.io/ea-bignlp/bignlp-inference:22.08-py3",
        "nvcr.io/nvidia/nemo:23.04",
    )


def test_accuracy_is_that_of_tables_11_and_12() -> None:
    models = catalog.builtin().models
    assert {key: model.rte for key, model in models.items() if model.rte} == {
        "nemo-gpt-20b": 0.527076,
        "nemo-gpt-2b-001": 0.519856,
    }
    scores = {
        (key, label): (score.precision, score.recall, score.f1)
        for key, model in models.items()
        for label, score in model.politeness.items()
    }
    assert scores == {
        ("nemo-gpt-345m", "polite"): (95.36, 93.51, 94.43),
        ("nemo-gpt-345m", "impolite"): (93.29, 95.21, 94.24),
        ("nemo-gpt-2b-001", "polite"): (94.67, 92.21, 93.42),
        ("nemo-gpt-2b-001", "impolite"): (92, 94.52, 93.24),
        ("nemo-gpt-20b", "polite"): (94.08, 92.86, 93.46),
        ("nemo-gpt-20b", "impolite"): (92.57, 93.84, 93.2),
    }


def test_what_was_tested_together_is_what_a_release_installs() -> None:
    for release in catalog.releases().values():
        assert release.tested_together, release.release
        for tested in release.tested_together:
            assert tested.versions.items() <= release.versions.items()
            stated = {
                name for name, facts in release.components.items() if facts.get("fidelity") == "emulated"
            }
            assert set(tested.emulated) == stated


def test_the_end_of_a_component_is_known_where_its_makers_say_it() -> None:
    old, new = catalog.releases()["2023.10"], catalog.releases()["2026.11"]
    assert old.ended(datetime.date(2026, 11, 23)) == {"kubernetes": datetime.date(2023, 7, 28)}
    assert not new.ended(datetime.date(2026, 11, 23))
    assert set(new.ended(datetime.date(2028, 9, 1))) == {"debian", "gpu_driver", "kubernetes"}
