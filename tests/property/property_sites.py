"""Small sites as plain data, and the strategies that make them; what every test here shares."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hypothesis import settings
from hypothesis import strategies as st

from rackwright.derive.model import SiteModel
from rackwright.errors import Finding
from rackwright.site import validate

#: The same examples every time: a failure in CI is a failure here.
FEW = settings(max_examples=12, deadline=None, derandomize=True)
SOME = settings(max_examples=60, deadline=None, derandomize=True)
NETWORKS = {
    "management": {"cidr": "10.0.0.0/24", "gateway": "10.0.0.254"},
    "external": {"cidr": "10.0.1.0/24", "gateway": "10.0.1.254", "vlan": 110},
    "storage": {"cidr": "10.0.2.0/24", "vlan": 120},
    "oob": {"cidr": "10.0.3.0/24", "dhcp_range": "10.0.3.200-10.0.3.220"},
}
GPUS = {"r760xa": 4, "xe8640": 4, "xe9680": 8}


def server(
    name: str,
    number: int,
    profile: str,
    roles: list[str],
    rack: str,
    unit: int,
    pair: str,
    port: int,
    hosts: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A server as stated; ``hosts`` are its host numbers by network and of its BMC, ``number`` where left out."""
    at = dict.fromkeys(NETWORKS, number) | {"bmc": 100 + number} | dict(hosts or {})
    return {
        "name": name,
        "profile": profile,
        "roles": roles,
        "rack": rack,
        "unit": unit,
        "service_tag": f"TAG{number:04}",
        "bmc": {"address": f"10.0.3.{at['bmc']}", "mac": f"b0:7b:25:00:{number:02x}:00"},
        "addresses": {purpose: f"10.0.{i}.{at[purpose]}" for i, purpose in enumerate(NETWORKS)},
        "ports": {
            "lom1": {"mac": f"b0:7b:25:00:{number:02x}:01"},
            **{
                f"ocp{side}": {
                    "mac": f"b8:3f:d2:00:{number:02x}:0{side}",
                    "switch": f"{pair}{'ab'[side - 1]}",
                    "port": f"ethernet1/1/{port}",
                }
                for side in (1, 2)
            },
        },
    }


def site(workers: list[dict[str, Any]], racks: list[str], models: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole site: three R660s in rack m, the workers, and a pair of leaves in each rack."""
    leaves = [
        {
            "name": f"leaf-{rack}{side}",
            "product": "s5248f-on",
            "rack": rack,
            "unit": 41 + "ab".index(side),
            "address": f"10.0.3.{221 + 2 * index + 'ab'.index(side)}",
        }
        for index, rack in enumerate(["m", *racks])
        for side in "ab"
    ]
    planes = [
        server(f"r660-{n}", n, "r660", ["head", "control_plane"] if n == 1 else ["control_plane"], "m", n,
               "leaf-m", n)
        for n in (1, 2, 3)
    ]  # fmt: skip
    return {
        "plugin": "rackwright_site",
        "site": {"name": "some", "domain": "some.example", "release": "2026.11"},
        "networks": NETWORKS,
        "kubernetes": {"api_vip": "10.0.0.253", "pod_cidr": "10.244.0.0/16", "service_cidr": "10.96.0.0/16"},
        "switches": leaves,
        "interconnects": [
            {"switches": [f"leaf-{rack}a", f"leaf-{rack}b"], "ports": ["ethernet1/1/53"]}
            for rack in ["m", *racks]
        ],
        "servers": [*planes, *workers],
        "serving": {"vip_range": "10.0.1.150-10.0.1.159", "models": models},
    }


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """Sound sites of one to three racks, up to four GPU servers each, some served models."""
    racks = ["x", "y", "z"][: draw(st.integers(1, 3))]
    workers: list[dict[str, Any]] = []
    for rack in racks:
        for slot in range(draw(st.integers(1, 4))):
            number = 10 + len(workers)
            profile = draw(st.sampled_from(sorted(GPUS)))
            workers.append(
                server(f"gpu-{number}", number, profile, ["gpu_worker"], rack, 1 + 6 * slot, f"leaf-{rack}",
                       1 + slot)
            )  # fmt: skip
    vips = draw(
        st.lists(st.one_of(st.none(), st.integers(150, 159)), max_size=3, unique_by=lambda v: v or object())
    )
    profile = workers[0]["profile"]
    models = [
        {"name": f"model-{9 - index}", "model": "capitals-gpt", "gpus": 1, "profiles": [profile]}
        | ({"vip": f"10.0.1.{vip}"} if vip is not None else {})
        for index, vip in enumerate(vips)
    ]
    return site(workers, racks, models)


@contextmanager
def written(data: Mapping[str, Any]) -> Iterator[Path]:
    """The site as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.yml"
        path.write_text(yaml.dump(dict(data), Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
        yield path


def judged(data: Mapping[str, Any]) -> tuple[SiteModel | None, list[Finding]]:
    """What validation makes of a site."""
    with written(data) as path:
        return validate(path)


def model_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The model of a sound site, without its path."""
    model, findings = judged(data)
    assert model is not None, [str(finding) for finding in findings]
    return {**model.to_dict(), "path": ""}
