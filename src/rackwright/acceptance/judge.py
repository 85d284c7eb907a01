"""Judgements over evidence: pure functions from what was read or measured to outcomes with a hint each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rackwright.acceptance.promise import Promise
from rackwright.acceptance.smi import SLOWING, GpuState, Inventory, Sample, Topology

Result = Literal["passed", "failed", "not measured"]


@dataclass(frozen=True)
class Outcome:
    """One check. ``measured`` and ``limit`` are in ``unit``; ``mark`` is the least share of the limit."""

    id: str
    target: str
    result: Result
    evidence: str
    hint: str = ""
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    mark: float | None = None

    @property
    def ratio(self) -> float | None:
        """Measured over limit."""
        return self.measured / self.limit if self.measured is not None and self.limit else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the ratio."""
        return {**asdict(self), "ratio": self.ratio}


def outcome(id: str, target: str, good: bool, evidence: str, hint: str) -> Outcome:
    """An outcome without figures; the hint only where it failed."""
    return Outcome(id, target, "passed" if good else "failed", evidence, "" if good else hint)


def share(
    id: str, target: str, measured: float, limit: float | None, unit: str, mark: float, hint: str
) -> Outcome:
    """A figure against its limit; without a limit in the catalogue it is shown and not judged."""
    if not limit:
        return Outcome(id, target, "not measured", f"{measured:.4g} {unit}; the catalogue states no limit",
                       measured=measured, unit=unit)  # fmt: skip
    good = measured >= mark * limit
    said = f"{measured:.4g} of {limit:.4g} {unit} ({measured / limit:.3f}; at least {mark:.2f})"
    return Outcome(id, target, "passed" if good else "failed", said, "" if good else hint,
                   measured, limit, unit, mark)  # fmt: skip


def inventory(promise: Promise, found: Inventory) -> list[Outcome]:
    """Number, product, memory, link and state of the GPUs against what was ordered."""
    seen = len(found.gpus)
    outcomes = [
        outcome(
            "inventory.count", "server", seen == promise.count,
            f"{seen} of {promise.count} GPUs are there",
            "a GPU that nvidia-smi doesn't show: look for it with `lspci -d 10de:` and for Xid 79 in `dmesg`; "
            "is CUDA_VISIBLE_DEVICES or a container's device list in the way? Reseat it, or call its maker",
        )
    ]  # fmt: skip
    drivers = found.driver or "none"
    outcomes.append(
        outcome("inventory.driver", "server", bool(found.driver), f"driver {drivers}, CUDA {found.cuda or 'none'}",
                "install the driver: `rackwright rollout SITE --until gpu`")
    )  # fmt: skip
    for gpu in found.gpus:
        outcomes += _gpu_inventory(promise, gpu)
    return outcomes


def _gpu_inventory(promise: Promise, gpu: GpuState) -> list[Outcome]:
    target, ordered = f"GPU {gpu.index}", promise.gpu
    same = gpu.product == ordered.product and (
        not ordered.pci_ids or not gpu.pci_id or gpu.pci_id in ordered.pci_ids
    )
    outcomes = [
        outcome(
            "inventory.product", target, same,
            f"{gpu.product} ({gpu.pci_id or 'no PCI ID'}); ordered: {ordered.product} ({', '.join(ordered.pci_ids) or 'any'})",
            "this isn't the GPU that the profile names: correct the server's profile or GPU in the site file, or "
            "have the delivery corrected",
        ),
        outcome(
            "inventory.memory", target, abs(gpu.memory_mib - ordered.memory_mib) <= 0.02 * ordered.memory_mib,
            f"{gpu.memory_mib} MiB; {ordered.memory_mib} MiB expected",
            "less memory than the product has: is MIG on, or a part of it retired? `nvidia-smi -q -d PAGE_RETIREMENT`",
        ),
        Outcome("inventory.link", target, "not measured", "nvidia-smi doesn't say how it is linked")
        if gpu.link_width is None
        else outcome(
            "inventory.link", target,
            gpu.link_width == 16 and (gpu.link_generation_most or 0) >= (5 if (ordered.pcie_gbs or 0) > 32 else 4),
            f"PCIe Gen{gpu.link_generation} (at most {gpu.link_generation_most}) x{gpu.link_width}",
            "a narrow or slow PCIe link: reseat the GPU or its riser, and look at the BIOS' slot settings",
        ),
        outcome("inventory.mig", target, gpu.mig in (None, "Disabled"), f"MIG {gpu.mig or 'not there'}",
                "MIG is on: sizes and limits hold for whole GPUs; end it through the operator's MIG manager"),
        Outcome("health.memory", target, "not measured", "nvidia-smi says nothing of ECC")
        if gpu.ecc is None
        else outcome(
            "health.memory", target,
            gpu.ecc != "Disabled" and not gpu.uncorrected and not gpu.unrepairable,
            f"ECC {gpu.ecc}, {gpu.uncorrected if gpu.uncorrected is not None else 'unknown'} "
            f"uncorrected errors since the driver started" + (", unrepairable memory" if gpu.unrepairable else ""),
            "uncorrected memory errors (or ECC is off): reset the GPU while nothing runs on it; should they come "
            "back, have it replaced",
        ),
        Outcome("health.row-remap", target, "not measured", "nvidia-smi says nothing of remapped rows")
        if gpu.remapped is None
        else outcome(
            "health.row-remap", target, not (gpu.remap_pending or gpu.remap_failed),
            f"{gpu.remapped} rows remapped"
            + (", one pending" if gpu.remap_pending else "") + (", a remapping failed" if gpu.remap_failed else ""),
            "pending: reset the GPU while nothing runs on it; failed: have it replaced",
        ),
        outcome(
            "health.power-limit", target,
            gpu.power_limit_w is None or gpu.power_limit_w >= 0.98 * ordered.power_w,
            f"limit {gpu.power_limit_w} W (default {gpu.power_default_w} W); the product has {ordered.power_w} W",
            "the power limit is lowered: `nvidia-smi -pl` or the iDRAC's power cap did it",
        ),
        outcome(
            "health.idle", target, not gpu.processes and gpu.used_mib < 1024,
            f"{gpu.used_mib} MiB in use, {len(gpu.processes)} processes"
            + (f": {', '.join(gpu.processes[:3])}" if gpu.processes else ""),
            "something else uses this GPU: figures would be its too; drain the node, or end that process",
        ),
    ]  # fmt: skip
    if promise.interconnect == "nvswitch":
        fabric = f"{gpu.fabric_state or 'no state'}, {gpu.fabric_status or 'no status'}"
        outcomes.append(
            outcome("health.fabric", target, gpu.fabric_state == "Completed" and gpu.fabric_status == "Success",
                    f"Fabric Manager: {fabric}",
                    "Fabric Manager isn't running, or not of the driver's version: `journalctl -u "
                    "nvidia-fabricmanager`; under the operator, the driver container's log")
        )  # fmt: skip
    return outcomes


def links(promise: Promise, found: Topology) -> list[Outcome]:
    """Whether the GPUs are linked to each other as the profile says."""
    if promise.count < 2 or promise.interconnect == "none":
        return []
    span = promise.count if promise.interconnect in ("nvlink", "nvswitch") else 2
    outcomes = []
    for index in range(promise.count):
        linked = sum(
            link.startswith("NV") for (first, _), link in found.links.items() if first == index
        )  # fmt: skip
        outcomes.append(
            outcome("fabric.links", f"GPU {index}", linked >= span - 1,
                    f"NVLink to {linked} GPUs; {promise.interconnect} of {promise.profile} links {span - 1}",
                    "NVLink is missing: the bridge, the NVSwitches or Fabric Manager; `nvidia-smi nvlink -s`")
        )  # fmt: skip
    return outcomes


def kernel_log(xids: Sequence[str] | None) -> Outcome:
    """XID errors in the kernel's log; None where it can't be read."""
    if xids is None:
        return Outcome("health.xid", "server", "not measured", "the kernel's log can't be read here")
    return outcome(
        "health.xid", "server", not xids, f"{len(xids)} XID messages" + (f": {xids[-1]}" if xids else ""),
        "see NVIDIA's list of XIDs; 48, 63, 64, 79, 94, 95: memory or bus, reset or replace the GPU",
    )  # fmt: skip


def hardware(promise: Promise, found: Mapping[str, Any]) -> list[Outcome]:
    """The measured bandwidths and rates against the catalogue's limits."""
    gpu, marks = promise.gpu, promise.marks
    outcomes = []
    busy = (
        "is something else running (nvidia-smi), is it hot or capped (health.*)? Else have the GPU looked at"
    )
    for entry in found["gpus"]:
        target = f"GPU {entry['gpu']}"
        copy, product = entry["memory_copy"], entry["gemm"]
        outcomes += [
            share("speed.memory-copy", target, copy["gbs"]["median"], gpu.memory_bandwidth_gbs, "GB/s",
                  marks.memory_copy, f"slow memory: {busy}"),
            share("speed.gemm-bf16", target, product["tflops"]["median"], gpu.bf16_tflops, "TFLOP/s",
                  marks.gemm, f"slow matrix products: {busy}"),
            outcome("speed.correct", target, bool(copy["right"]) and product["relative_error"] < 0.01,
                    f"copy equal: {copy['right']}; product off by {product['relative_error']:.1e} of its norm",
                    "wrong results: have the GPU replaced"),
        ]  # fmt: skip
        best: dict[str, float] = {}
        for side in entry["host"]:
            for way in ("to_gpu", "from_gpu"):
                best[way] = max(best.get(way, 0.0), side[f"{way}_gbs"]["median"])
        nodes = ", ".join(
            f"node {side['numa']}: {side['to_gpu_gbs']['median']:.1f} and {side['from_gpu_gbs']['median']:.1f}"
            for side in entry["host"]
        )
        slow = f"a slow PCIe link (GB/s to and from each NUMA node: {nodes}): link width, IOMMU, BIOS"
        for way, rate in best.items():
            outcomes.append(
                share(
                    f"speed.host-{way.replace('_', '-')}",
                    target,
                    rate,
                    gpu.pcie_gbs,
                    "GB/s",
                    marks.host,
                    slow,
                )
            )
    return outcomes + together(promise, found)


def together(promise: Promise, found: Mapping[str, Any]) -> list[Outcome]:
    """Copies between GPUs and the all-reduce; nothing with one GPU."""
    gpu, marks = promise.gpu, promise.marks
    wired = promise.interconnect in ("nvlink", "nvswitch")
    # NVLink's figure counts both directions, a copy and the all-reduce's bus bandwidth one.
    limit = (gpu.nvlink_gbs or 0) / 2 if wired else gpu.pcie_gbs
    hint = "a slow or missing link between GPUs: `nvidia-smi topo -m`, `nvidia-smi nvlink -s`, Fabric Manager"
    outcomes = []
    for entry in found.get("peers", ()):
        pair = f"GPU {entry['from']} to {entry['to']}"
        outcomes.append(share("speed.peer", pair, entry["gbs"]["median"], limit, "GB/s", marks.peer, hint))
        if not entry["right"]:
            outcomes.append(outcome("speed.peer-correct", pair, False, "the copy differs", hint))
    reduce = found.get("all_reduce")
    if reduce is not None:
        if "error" in reduce:
            outcomes.append(outcome("speed.all-reduce", "server", False, str(reduce["error"]), hint))
        else:
            outcomes.append(
                share("speed.all-reduce", "server", reduce["bus_gbs"]["median"], limit, "GB/s",
                      marks.all_reduce, hint)
            )  # fmt: skip
    return outcomes


def under_load(promise: Promise, found: Inventory, samples: Sequence[Sample]) -> list[Outcome]:
    """Clocks, temperature and reasons for slowing down while the hardware was measured."""
    outcomes = []
    for gpu in found.gpus:
        own = [sample for sample in samples if sample.index == gpu.index]
        busy = [sample for sample in own if (sample.utilization or 0) >= 50]
        target = f"GPU {gpu.index}"
        if not busy:
            outcomes.append(Outcome("load.clock", target, "not measured", "no sample with the GPU at work"))
            continue
        clocks = sorted(sample.sm_clock or 0 for sample in busy)
        clock = clocks[len(clocks) // 2]
        slowed = sorted({name for sample in busy for name in slowing(sample.reasons)})
        heat = max(sample.temperature or 0 for sample in busy)
        power = max(sample.power_w or 0 for sample in busy)
        outcomes += [
            share("load.clock", target, clock, gpu.sm_clock_most, "MHz", promise.marks.clock,
                  "low clocks under load: locked (`nvidia-smi -q -d CLOCK`), capped or hot; `nvidia-smi -rgc` "
                  "ends a lock"),
            outcome("load.throttling", target, not slowed,
                    f"{', '.join(slowed) or 'no slowdown'}; up to {heat:.0f} °C and {power:.0f} W",
                    "a thermal or power-brake slowdown: fans, air baffles, PSUs, the iDRAC's thermal profile"),
        ]  # fmt: skip
    return outcomes


#: Bits of nvmlClocksEventReasons, as nvidia-smi prints them.
REASONS: Mapping[int, str] = {
    0x08: "hw_slowdown",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
}


def slowing(bits: int) -> list[str]:
    """The reasons in ``bits`` that no healthy server shows."""
    return [name for bit, name in REASONS.items() if bits & bit and name in SLOWING]
