"""The fabric of NVSwitch machines: text as nvidia-smi prints it for eight GPUs."""

from __future__ import annotations

import pytest
from recorded_evidence import the_check

from rackwright.checks import CLUSTER, Evidence, Output
from rackwright.checks.gpu import fabric_states, matrix
from rackwright.derive.model import SiteModel

GPU = """\
GPU 00000000:{bus}:00.0
    Product Name                          : NVIDIA H100 80GB HBM3
    Fabric
        State                             : {state}
        Status                            : {status}
        CliqueId                          : 0
    FB Memory Usage
        Total                             : 81559 MiB
"""


def smi(states: list[tuple[str, str]]) -> Evidence:
    """Evidence of xe9680-1's driver pod with a GPU for each state."""
    text = "Driver Version      : 580.95.05\n"
    text += "".join(GPU.format(bus=f"{9 + i:02X}", state=s, status=t) for i, (s, t) in enumerate(states))
    evidence = Evidence()
    evidence.add(CLUSTER, "nvidia-smi", Output(0, "xe9680-1 gpu-operator pod\n"))
    evidence.add(CLUSTER, "nvidia-smi/xe9680-1", Output(0, text))
    return evidence


def test_states_are_read_from_every_gpu() -> None:
    text = (
        smi([("Completed", "Success"), ("In Progress", "N/A")]).output(CLUSTER, "nvidia-smi/xe9680-1").stdout
    )
    assert fabric_states(text) == [("Completed", "Success"), ("In Progress", "N/A")]


def test_a_joined_fabric_passes(reference: SiteModel) -> None:
    result = the_check(reference, "fabric.state", "xe9680-1").evaluate(smi([("Completed", "Success")] * 8))
    assert (result.result, result.evidence) == ("passed", "8 of 8 GPUs: Completed, Success")


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([("Completed", "Success")] * 7 + [("In Progress", "N/A")], "GPU 7: In Progress, N/A"),
        ([("Completed", "Failure")] * 8, "GPU 0: Completed, Failure"),
        ([("Completed", "Success")] * 7, "7 of 8 GPUs report a fabric"),
        ([], "0 of 8 GPUs report a fabric"),
    ],
)
def test_a_fabric_that_did_not_come_up_fails(
    reference: SiteModel, states: list[tuple[str, str]], says: str
) -> None:
    result = the_check(reference, "fabric.state", "xe9680-1").evaluate(smi(states))
    assert result.result == "failed"
    assert says in result.evidence
    assert "error 802" in result.hint


def test_a_node_without_a_driver_pod_fails(reference: SiteModel) -> None:
    result = the_check(reference, "fabric.state", "xe9680-2").evaluate(smi([("Completed", "Success")] * 8))
    assert "no running driver pod on xe9680-2" in result.evidence


def test_the_matrix_is_read_without_colours() -> None:
    assert matrix("\x1b[4m\tGPU0\tGPU1\x1b[0m\nGPU0\t X \tNV18\nGPU1\tNV18\t X \n") == {
        (0, 1): "NV18",
        (1, 0): "NV18",
    }
