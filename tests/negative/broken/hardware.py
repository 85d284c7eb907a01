"""Racks, and what servers are."""

from __future__ import annotations

from broken.base import Mutation, many, one
from broken.sites import own_server

RACK_A, RACK_B = "{name: a, power_w: 28000}", "{name: b, units: 44, power_w: 28000}"
L40 = "rack: a\n    unit: 36"
XE8640 = "    rack: a\n    unit: 18"
CPU = {"sockets": 2, "product": "Intel Xeon Gold 6430", "cores": 32, "threads": 64, "power_w": 270}

RACKS = (
    many("rack-unit-duplicate", "rack-unit", ("unit: 36", "unit: 35"), ("unit: 34", "unit: §34")),
    one("rack-unit-of-switch", "rack-unit", "    unit: 40", "    unit: §42"),
    many(
        "rack-unit-within-another",
        "rack-unit",
        ("    unit: 39", "    unit: 37"),
        ("rack: b\n    unit: 36", "rack: b\n    unit: §36"),
    ),
    one("rack-unit-beyond-top", "rack-height", "unit: 18", "unit: §50"),
    one("rack-unit-beyond-stated-top", "rack-height", "unit: 40", "unit: §43", "racked"),
    many(
        "rack-too-low",
        "rack-height",
        (RACK_A, "{name: a, units: 41, power_w: 28000}"),
        ("rack: a, unit: 42", "rack: a, unit: §42"),
        site="racked",
    ),
    one("rack-unknown", "unknown-rack", "    rack: b\n    unit: 18", "    rack: §c\n    unit: 18", "racked"),
    one("rack-misspelt", "unknown-rack", "rack: a, unit: 42", "rack: §A, unit: 42", "racked"),
    one(
        "rack-duplicate",
        "duplicate-rack",
        RACK_B,
        "{name: b, units: 44}\n  - {name: §b, units: 44}",
        "racked",
    ),
    one(
        "rack-in-two-spellings", "rack-names-alike", "    rack: b\n    unit: 18", "    rack: §B\n    unit: 18"
    ),
    one("rack-power-exceeded", "rack-power", RACK_A, "{name: a, power_w: §15000}", "racked"),
    many(
        "rack-power-by-one-server",
        "rack-power",
        ("    rack: b\n    unit: 8", "    rack: a\n    unit: 26"),
        (RACK_A, "{name: a, power_w: §20000}"),
        site="racked",
    ),
    one("rack-empty", "rack-empty", RACK_B, RACK_B + "\n  - {name: §c}", "racked"),
    Mutation(
        "rack-power-unknown",
        "rack-power-unknown",
        ((RACK_B, "{name: b, units: 44, power_w: §28000}"), (RACK_A, "{name: a}")),
        "racked",
        {"catalog/servers.yml": own_server("xe9680", base_power_w=None)},
    ),
)

GPUS = (
    one("gpus-not-of-profile", "gpu-option", XE8640, "    gpus: {product: §l40, count: 4}\n" + XE8640),
    one(
        "gpus-in-control-plane",
        "gpu-option",
        "    rack: b\n    unit: 40",
        "    §gpus: {product: l40, count: 2}\n    rack: b\n    unit: 40",
    ),
    one("gpus-unknown", "gpu-option", f"    {L40}", f"    gpus: {{product: §l4, count: 4}}\n    {L40}"),
    one(
        "gpus-not-validated-number",
        "gpu-count",
        f"    {L40}",
        f"    gpus: {{product: l40, count: §3}}\n    {L40}",
        also={"gpus-mixed": "whatever their number, they are other GPUs"},
    ),
    one("gpus-fewer-than-table", "gpu-count", XE8640, "    gpus: {product: h100-sxm, count: §2}\n" + XE8640),
)


def own(name: str, rule: str, profile: str, **changed: object) -> Mutation:
    """The site's own entry for a profile; found at the first server that has it."""
    first = f"    profile: {profile}"
    files = {"catalog/servers.yml": own_server(profile, **changed)}
    return Mutation(name, rule, ((first, f"    profile: §{profile}"),), "reference", files)


def _gpus(product: str, counts: list[int], interconnect: str, span: int) -> list[dict[str, object]]:
    return [{"product": product, "counts": counts, "interconnect": interconnect, "span": span}]


PROFILES = (
    own("profile-of-fewer-cores", "profile-cpu", "xe8640", cpu={**CPU}),
    own(
        "profile-of-one-processor",
        "profile-cpu",
        "xe9680",
        cpu={**CPU, "sockets": 1, "cores": 52, "threads": 104},
    ),
    own("profile-of-less-memory", "profile-memory", "xe9680", memory_gb=512),
    own("head-of-less-memory", "profile-memory", "r660", memory_gb=64),
    own(
        "profile-of-fewer-disks",
        "profile-disks",
        "r660",
        disks={"count": 2, "size_gb": 960, "kind": "SSD", "controller": "PERC H755"},
    ),
    own(
        "profile-of-smaller-disks",
        "profile-disks",
        "xe9680",
        disks={"count": 2, "size_gb": 960, "kind": "NVMe", "controller": "none"},
    ),
    own("profile-without-its-volume", "profile-volume", "r660", raid=None),
    own(
        "profile-of-split-processors",
        "profile-bios",
        "xe9680",
        cpu={**CPU, "cores": 52, "threads": 104, "numa_per_socket": 2},
    ),
    own(
        "profile-of-other-threads",
        "profile-bios",
        "xe9680",
        bios={"LogicalProc": "Disabled"},
    ),
    own(
        "profile-of-slower-ports",
        "profile-ports",
        "xe8640",
        ports={
            "lom1": {"speed_gbps": 1, "product": "broadcom-5720", "interface": "eno1"},
            "lom2": {"speed_gbps": 1, "product": "broadcom-5720", "interface": "eno2"},
            "ocp1": {"speed_gbps": 10, "product": "connectx-6-lx", "interface": "ocp1"},
            "ocp2": {"speed_gbps": 10, "product": "connectx-6-lx", "interface": "ocp2"},
        },
    ),
    own("profile-of-fewer-gpus", "profile-gpus", "r760xa", gpus=_gpus("h100-pcie", [1], "none", 1)),
    own("nvlink-between-cards", "gpu-interconnect", "r760xa", gpus=_gpus("h100-pcie", [4], "nvlink", 4)),
    own(
        "bridges-between-modules",
        "gpu-interconnect",
        "xe8640",
        gpus=_gpus("h100-sxm", [4], "nvlink_bridge", 2),
    ).but({"replica-linked": "a replica of four has two linked, then"}),
    own("fabric-manager-missing", "fabric-manager", "xe9680", gpus=_gpus("h100-sxm", [8], "nvlink", 8)),
    own(
        "fabric-manager-without-switch",
        "fabric-manager",
        "xe8640",
        gpus=_gpus("h100-sxm", [4], "nvswitch", 4),
    ),
    own("bridge-of-four", "gpu-span", "r760xa", gpus=_gpus("h100-pcie", [4], "nvlink_bridge", 4)),
    own("mesh-of-two", "gpu-span", "xe9680", gpus=_gpus("h100-sxm", [8], "nvswitch", 4)).but(
        {"replica-linked": "a replica of eight has four linked, then"}
    ),
)

MUTATIONS: tuple[Mutation, ...] = (*RACKS, *GPUS, *PROFILES)
