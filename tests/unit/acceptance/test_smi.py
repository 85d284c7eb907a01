"""What nvidia-smi of driver 580 said on a real H100, and the same with faults written into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.acceptance.judge import REASONS
from rackwright.acceptance.smi import SLOWING, parse_query, parse_samples, parse_topology, parse_xids

RECORDED = Path(__file__).parent / "recorded"


def test_query_of_a_real_h100() -> None:
    found = parse_query((RECORDED / "h100.xml").read_text())
    assert (found.driver, found.cuda, len(found.gpus)) == ("580.159.04", "13.0", 1)
    [gpu] = found.gpus
    assert (gpu.product, gpu.pci_id, gpu.memory_mib) == ("NVIDIA H100 80GB HBM3", "10de:2330", 81559)
    assert (gpu.link_generation, gpu.link_width, gpu.sm_clock_most) == (5, 16, 1980)
    assert (gpu.ecc, gpu.uncorrected, gpu.remapped, gpu.remap_pending) == ("Enabled", 0, 0, False)
    assert (gpu.power_limit_w, gpu.temperature) == (700.0, 33)
    assert gpu.reasons == ("gpu_idle",)
    assert gpu.fabric_state is None  # one GPU alone: the driver says N/A
    assert gpu.processes == ()


def test_query_with_a_process_and_a_fabric() -> None:
    text = (RECORDED / "h100.xml").read_text()
    text = text.replace(
        "<fabric>\n\t\t\t<state>N/A</state>\n\t\t\t<status>N/A</status>",
        "<fabric>\n\t\t\t<state>In Progress</state>\n\t\t\t<status>Success</status>",
    )
    at = text.index("<processes>") + len("<processes>")
    text = (
        text[:at] + "<process_info><pid>77</pid><process_name>hog</process_name></process_info>" + text[at:]
    )
    [gpu] = parse_query(text).gpus
    assert gpu.processes == ("hog (77)",)
    assert (gpu.fabric_state, gpu.fabric_status) == ("In Progress", "Success")


@pytest.mark.parametrize("text", ["", "NVIDIA-SMI has failed because it couldn't communicate", "<html/>"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not nvidia-smi's XML"):
        parse_query(text)


def test_topology_of_one_gpu() -> None:
    found = parse_topology((RECORDED / "topology-1.txt").read_text())
    assert (found.links, found.numa) == ({}, {0: 0})


def test_topology_of_a_bridged_pair() -> None:
    text = (
        "\t\x1b[4mGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m\n"
        "GPU0\t X \tNV12\tSYS\t0-31\t0\t\tN/A\nGPU1\tNV12\t X \tSYS\t32-63\t1\t\tN/A\nNIC0\tSYS\tSYS\t X\n"
    )
    found = parse_topology(text)
    assert found.links == {(0, 1): "NV12", (1, 0): "NV12"}
    assert found.numa == {0: 0, 1: 1}


def test_text_without_a_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="matrix"):
        parse_topology("No devices were found\n")


def test_samples_under_load() -> None:
    samples = parse_samples((RECORDED / "samples.csv").read_text().splitlines())
    assert len(samples) > 10
    assert {sample.index for sample in samples} == {0}
    busy = [sample for sample in samples if (sample.utilization or 0) > 90]
    assert max(sample.power_w or 0 for sample in busy) > 500
    assert all(100 < (sample.sm_clock or 0) <= 1980 for sample in samples)


def test_half_a_line_and_missing_values() -> None:
    samples = parse_samples(["0, 93.1, 12, 560, 19", "0, [N/A], 50, 560, 1980, 33, 0x0000000000000040", "x"])
    assert len(samples) == 1
    assert (samples[0].power_w, samples[0].reasons) == (None, 0x40)


def test_xids_among_the_drivers_messages() -> None:
    lines = [
        "[    0.5] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.159.04",
        "[  812.1] NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', GPU has fallen off the bus.",
    ]
    assert parse_xids(lines) == (lines[1],)


def test_every_slowing_reason_has_its_bit() -> None:
    assert set(REASONS.values()) == set(SLOWING)
