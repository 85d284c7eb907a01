"""The imitated GPUs of a node."""

from __future__ import annotations

import uuid
from pathlib import Path

from rackwright.derive.model import Silicon
from rackwright.lab import silicon, spec
from rackwright.site import load_site

NODE = uuid.uuid5(uuid.NAMESPACE_DNS, "n1.tiny.example")
ROOT = Path(__file__).parents[3]


def pcie() -> Silicon:
    return Silicon("h100-pcie", "NVIDIA H100 PCIe", 4, 81559, "PCIe", "nvlink_bridge", 2, False)


def test_bridged_pairs() -> None:
    gpus = silicon.describe(pcie(), NODE, {"gpu_driver": "550.1.2"})
    assert [gpu["nvlink_peers"] for gpu in gpus["gpus"]] == [[1], [0], [3], [2]]
    assert [gpu["numa"] for gpu in gpus["gpus"]] == [0, 0, 1, 1]
    assert gpus["fabric"] is None
    assert (gpus["driver_version"], gpus["cuda_version"]) == ("550.1.2", "12.4")
    assert {gpu["power_limit_w"] for gpu in gpus["gpus"]} == {350}


def test_identities_are_distinct_and_stable() -> None:
    first = silicon.describe(pcie(), NODE, {})["gpus"]
    assert first == silicon.describe(pcie(), NODE, {})["gpus"]
    for key in ("uuid", "serial", "pci_bus_id"):
        assert len({gpu[key] for gpu in first}) == len(first)
    other = silicon.describe(pcie(), uuid.uuid5(uuid.NAMESPACE_DNS, "n2"), {})["gpus"]
    assert not {gpu["uuid"] for gpu in first} & {gpu["uuid"] for gpu in other}


def test_reference_site_has_what_its_profiles_hold() -> None:
    lab = spec.from_site(load_site(str(ROOT / "inventories/reference")))
    counts = {n.name: len(n.gpus["gpus"]) if n.gpus else 0 for n in lab.nodes}
    assert (counts["r660-1"], counts["r760xa-1"], counts["xe8640-1"], counts["xe9680-1"]) == (0, 4, 4, 8)
    nvswitch = lab.node("xe9680-1").gpus
    assert nvswitch is not None
    assert nvswitch["fabric"] == {"state": "Completed", "status": "Success"}
    assert nvswitch["gpus"][0]["nvlink_peers"] == [1, 2, 3, 4, 5, 6, 7]
