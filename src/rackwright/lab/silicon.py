"""The description of a node's imitated GPUs, which the emulated GPU operator alone reads."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from rackwright.derive.model import Silicon

#: Watts that a GPU may draw by default, from NVIDIA's data sheets; by the start of the product's name.
POWER_LIMITS_W = {
    "NVIDIA H100 80GB HBM3": 700,
    "NVIDIA H100 PCIe": 350,
    "NVIDIA L40S": 350,
    "NVIDIA L40": 300,
}
DEFAULT_POWER_LIMIT_W = 300

#: First CUDA release of each driver branch (NVIDIA's CUDA toolkit release notes, table of driver versions).
CUDA_OF_BRANCH = {"525": "12.0", "535": "12.2", "550": "12.4", "570": "12.8", "580": "13.0"}
DEFAULT_DRIVER = "580.95.05"

#: PCI buses of the first eight accelerators: plausible, stable and distinct; nothing depends on them.
BUSES = (0x1B, 0x2C, 0x4E, 0x5F, 0x9A, 0xAB, 0xBB, 0xDB)


def describe(gpus: Silicon, node: uuid.UUID, versions: Mapping[str, str]) -> dict[str, Any]:
    """The content of a node's gpus.json. UUIDs and serials come from ``node`` and index."""
    driver = versions.get("gpu_driver", DEFAULT_DRIVER)
    return {
        "driver_version": driver,
        "cuda_version": CUDA_OF_BRANCH.get(driver.partition(".")[0], CUDA_OF_BRANCH["580"]),
        "fabric": {"state": "Completed", "status": "Success"} if gpus.fabric else None,
        "gpus": [_gpu(gpus, node, index) for index in range(gpus.count)],
    }


def _gpu(gpus: Silicon, node: uuid.UUID, index: int) -> dict[str, Any]:
    identity = uuid.uuid5(node, f"gpu/{index}")
    limit = next(
        (w for name, w in POWER_LIMITS_W.items() if gpus.product.startswith(name)), DEFAULT_POWER_LIMIT_W
    )
    return {
        "index": index,
        "uuid": f"GPU-{identity}",
        "product": gpus.product,
        "memory_mib": gpus.memory_mib,
        "pci_bus_id": f"00000000:{BUSES[index % len(BUSES)]:02X}:{index // len(BUSES):02X}.0",
        "numa": 0 if index < (gpus.count + 1) // 2 else 1,
        "nvlink_peers": _peers(gpus, index),
        "power_limit_w": limit,
        "serial": str(identity.int % 10**13).zfill(13),
    }


def _peers(gpus: Silicon, index: int) -> list[int]:
    """Indexes of the GPUs that this one is linked to: its group of ``span`` neighbours."""
    if gpus.interconnect == "none" or gpus.span < 2:
        return []
    first = index - index % gpus.span
    return [peer for peer in range(first, min(first + gpus.span, gpus.count)) if peer != index]
