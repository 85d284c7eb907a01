"""What nvidia-smi says, typed: ``-q -x``, ``topo -m``, and samples of ``--query-gpu`` while something runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

ABSENT = {"", "N/A", "[N/A]", "None", "Not Supported", "[Not Supported]"}
SLOWING = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown")
"""Reasons for lower clocks that no healthy server shows; power capping under full load is none of them."""


@dataclass(frozen=True)
class GpuState:
    """One GPU. Memory in MiB, clocks in MHz, power in W; None where the GPU or driver doesn't say.

    ``pci_id`` is vendor:device as in the PCI ID database; ``uncorrected`` counts ECC errors since the driver's
    start; ``fabric_state`` is Fabric Manager's (``Completed`` on a working NVSwitch system); ``processes`` are
    names with their process ids.
    """

    index: int
    product: str
    uuid: str
    bus: str
    pci_id: str
    memory_mib: int
    used_mib: int
    mig: str | None
    ecc: str | None
    uncorrected: int | None
    unrepairable: bool
    remap_pending: bool
    remap_failed: bool
    remapped: int | None
    link_generation: int | None
    link_generation_most: int | None
    link_width: int | None
    sm_clock: int | None
    sm_clock_most: int | None
    memory_clock: int | None
    memory_clock_most: int | None
    temperature: int | None
    power_w: float | None
    power_limit_w: float | None
    power_default_w: float | None
    reasons: tuple[str, ...]
    fabric_state: str | None
    fabric_status: str | None
    recovery: str | None
    processes: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """The driver and every GPU that it shows, in nvidia-smi's order."""

    driver: str
    cuda: str
    gpus: tuple[GpuState, ...]


def _number(text: str | None) -> float | None:
    found = re.match(r"-?\d+(\.\d+)?", text or "")
    return float(found.group()) if found else None


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def parse_query(text: str) -> Inventory:
    """What ``nvidia-smi -q -x`` printed. Raises ValueError for text that isn't such a log."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - the driver's own tool wrote it
    except ElementTree.ParseError as error:
        raise ValueError(f"not nvidia-smi's XML: {error}") from None
    if root.tag != "nvidia_smi_log":
        raise ValueError(f"not nvidia-smi's XML: it begins with <{root.tag}>")
    gpus = tuple(_gpu(index, element) for index, element in enumerate(root.findall("gpu")))
    return Inventory(_text(root, "driver_version") or "", _text(root, "cuda_version") or "", gpus)


def _text(element: ElementTree.Element, path: str) -> str | None:
    found = (element.findtext(path) or "").strip()
    return None if found in ABSENT else found


def _gpu(index: int, gpu: ElementTree.Element) -> GpuState:
    def text(path: str) -> str | None:
        return _text(gpu, path)

    device = text("pci/pci_device_id") or ""
    volatile = gpu.find("ecc_errors/volatile")
    errors = [
        _whole(field.text)
        for field in (volatile if volatile is not None else ())
        if "uncorrectable" in field.tag and (field.text or "").strip() not in ABSENT
    ]
    remapped = [_whole(text(f"remapped_rows/remapped_row_{kind}")) for kind in ("corr", "unc")]
    # Drivers before 535 call the reasons throttle reasons.
    reasons = next(
        (found for name in ("clocks_event_reasons", "clocks_throttle_reasons")
         if (found := gpu.find(name)) is not None), ()
    )  # fmt: skip
    link = "pci/pci_gpu_link_info"
    power = "gpu_power_readings" if gpu.find("gpu_power_readings") is not None else "power_readings"
    return GpuState(
        index=index,
        product=text("product_name") or "",
        uuid=text("uuid") or "",
        bus=gpu.get("id") or "",
        pci_id=f"{device[4:]}:{device[:4]}".lower() if len(device) == 8 else "",
        memory_mib=_whole(text("fb_memory_usage/total")) or 0,
        used_mib=_whole(text("fb_memory_usage/used")) or 0,
        mig=text("mig_mode/current_mig"),
        ecc=text("ecc_mode/current_ecc"),
        uncorrected=sum(value or 0 for value in errors) if errors else None,
        unrepairable=text("ecc_errors/unrepairable_memory") == "Yes",
        remap_pending=text("remapped_rows/remapped_row_pending") == "Yes",
        remap_failed=text("remapped_rows/remapped_row_failure") == "Yes",
        remapped=None if None in remapped else sum(value or 0 for value in remapped),
        link_generation=_whole(text(f"{link}/pcie_gen/current_link_gen")),
        link_generation_most=_whole(text(f"{link}/pcie_gen/max_link_gen")),
        link_width=_whole(text(f"{link}/link_widths/current_link_width")),
        sm_clock=_whole(text("clocks/sm_clock")),
        sm_clock_most=_whole(text("max_clocks/sm_clock")),
        memory_clock=_whole(text("clocks/mem_clock")),
        memory_clock_most=_whole(text("max_clocks/mem_clock")),
        temperature=_whole(text("temperature/gpu_temp")),
        power_w=_number(text(f"{power}/instant_power_draw") or text(f"{power}/power_draw")),
        power_limit_w=_number(text(f"{power}/current_power_limit") or text(f"{power}/power_limit")),
        power_default_w=_number(text(f"{power}/default_power_limit")),
        reasons=tuple(
            re.sub(r"^clocks_(event|throttle)_reason_", "", reason.tag)
            for reason in reasons
            if (reason.text or "").strip() == "Active"
        ),
        fabric_state=text("fabric/state"),
        fabric_status=text("fabric/status"),
        recovery=text("gpu_recovery_action"),
        processes=tuple(
            f"{(process.findtext('process_name') or '?').strip()} ({(process.findtext('pid') or '?').strip()})"
            for process in gpu.findall("processes/process_info")
        ),
    )


@dataclass(frozen=True)
class Topology:
    """How GPUs are linked (``NV18``, ``PIX``, ``SYS`` …) by pair of indices, and each one's NUMA node."""

    links: dict[tuple[int, int], str]
    numa: dict[int, int | None]


def parse_topology(text: str) -> Topology:
    """What ``nvidia-smi topo -m`` printed. Raises ValueError for text without a matrix."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text.splitlines()]
    head = next((line for line in lines if re.match(r"\s*GPU0\b", line) and "\t" in line), None)
    if head is None:
        raise ValueError("not the matrix of nvidia-smi topo -m")
    names = [name.strip() for name in head.split("\t")]
    if names and names[0] == "":
        names = names[1:]
    links: dict[tuple[int, int], str] = {}
    numa: dict[int, int | None] = {}
    for line in lines[lines.index(head) + 1 :]:
        cells = [cell.strip() for cell in line.split("\t")]
        found = re.fullmatch(r"GPU(\d+)", cells[0])
        if found is None:
            continue
        index = int(found[1])
        values = dict(zip(names, cells[1:], strict=False))
        for name, value in values.items():
            other = re.fullmatch(r"GPU(\d+)", name)
            if other is not None and int(other[1]) != index:
                links[index, int(other[1])] = value
        numa[index] = _whole(values.get("NUMA Affinity"))
    return Topology(links, numa)


SAMPLED = ("index", "power.draw.instant", "utilization.gpu", "memory.used", "clocks.sm", "temperature.gpu",
           "clocks_event_reasons.active")  # fmt: skip
"""What is sampled while something runs, as ``--query-gpu`` names it."""


@dataclass(frozen=True)
class Sample:
    """One line: power in W, utilization in per cent, memory in MiB, clock in MHz, temperature in °C."""

    index: int
    power_w: float | None
    utilization: float | None
    used_mib: float | None
    sm_clock: float | None
    temperature: float | None
    reasons: int


def parse_samples(lines: Iterable[str]) -> tuple[Sample, ...]:
    """Lines of ``--query-gpu=… --format=csv,noheader,nounits``; a half-written one is left out."""
    samples = []
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(SAMPLED) or not cells[0].isdigit():
            continue
        power, used_share, memory, clock, heat = (
            None if cell in ABSENT else _number(cell) for cell in cells[1:6]
        )
        reasons = int(cells[6], 16) if cells[6].startswith("0x") else 0
        samples.append(Sample(int(cells[0]), power, used_share, memory, clock, heat, reasons))
    return tuple(samples)


def parse_xids(lines: Sequence[str]) -> tuple[str, ...]:
    """The kernel's messages of GPU errors (``NVRM: Xid``)."""
    return tuple(line.strip() for line in lines if re.search(r"NVRM: Xid", line))
