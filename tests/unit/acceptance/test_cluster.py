"""Acceptance through the cluster: the objects, what a pod does, what comes back by its log, and the judgement."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rackwright.acceptance import job
from rackwright.acceptance.cluster import Server, judged, ordered, plan_of
from rackwright.acceptance.measure import BEGIN, pack
from rackwright.errors import RunFailure, UsageError
from rackwright.site import load_site

RECORDED = Path(__file__).parent / "recorded"
VALUES = {"models": ["20b"], "grid": ["1x4"], "concurrency": [4, 16], "seconds": 1.0}
OPTIONS = job.Options("registry.example/triton:1")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """The minimal site's GPU server."""
    return ordered(load_site("minimal"), [], plan_of(VALUES), OPTIONS, tmp_path / "out")[0]


def pod_s_log(server: Server, tmp_path: Path, programs: Path, torch: str | None) -> str:
    """What the pod's own program prints here: from its ConfigMap's archive, with nothing but a python."""
    code, out = tmp_path / "code", tmp_path / "work"
    with zipfile.ZipFile(BytesIO(job.code())) as archive:
        archive.extractall(code)
    if torch is not None:
        (code / "torch.py").write_text(torch)
    task = tmp_path / "task.json"
    task.write_text(json.dumps(server.order["given"]))
    done = subprocess.run(
        [sys.executable, "-S", "-m", "rackwright.acceptance.measure", str(task), str(out)],
        env={"PYTHONPATH": str(code), "PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    """A directory with an nvidia-smi that prints what a real H100's did."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nvidia-smi").write_text(
        f"""#!/bin/sh
case "$*" in
  "-q -x") cat {RECORDED}/h100.xml ;;
  "topo -m") cat {RECORDED}/topology-1.txt ;;
  *) cat {RECORDED}/samples.csv; exec sleep 60 ;;
esac
"""
    )
    (programs / "nvidia-smi").chmod(0o755)
    return programs


def test_a_job_is_bound_to_its_server_and_may_do_nothing_but_compute(server: Server) -> None:
    config, one = server.objects()
    pod = one["spec"]["template"]["spec"]
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": [server.name]}]
    [container] = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(server.promise.count)
    assert pod["automountServiceAccountToken"] is False and pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    # A drained server is cordoned.
    assert any(one["key"] == "node.kubernetes.io/unschedulable" for one in pod["tolerations"])
    assert one["spec"]["backoffLimit"] == 0 and one["spec"]["ttlSecondsAfterFinished"] > 0
    assert len(json.dumps(config)) < 2**20
    assert json.loads(config["data"]["task.json"])["task"]["models"][0]["size"] == "20b"


def test_the_archive_is_the_same_for_the_same_files() -> None:
    assert job.code() == job.code()


def test_unknown_servers_and_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no GPU server"):
        ordered(load_site("minimal"), ["r660-1"], plan_of(VALUES), OPTIONS, tmp_path)
    with pytest.raises(UsageError, match="no synthetic GPT of size 7b"):
        plan_of({**VALUES, "models": ["7b"]})
    with pytest.raises(UsageError, match="acceptance_grid"):
        plan_of({**VALUES, "grid": ["2by16"]})


def test_an_image_without_pytorch_gives_an_incomplete_certificate(
    server: Server, tmp_path: Path, smi: Path
) -> None:
    log = pod_s_log(server, tmp_path, smi, None)
    certificate = judged(server, {"log": log, "driver": {}})
    data = json.loads((server.output / "certificate.json").read_text())
    assert any("Speed was not exercised" in note for note in data["notes"])
    # The recorded server isn't the site's: that is found without PyTorch too.
    failed = {one["id"] for one in data["checks"] if one["result"] == "failed"}
    assert {"inventory.count", "inventory.product"} <= failed and "inventory.usable" not in failed
    assert server.failure(certificate).next_command.endswith(
        f"rackwright accept minimal --limit {server.name}"
    )
    assert not server.holds(), "a failed certificate is no reason to leave it out"


def test_a_certificate_holds_for_its_order_and_image_only(server: Server, tmp_path: Path, smi: Path) -> None:
    judged(server, {"log": pod_s_log(server, tmp_path, smi, None), "driver": {}})
    file = server.output / "certificate.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "result": "passed"}))
    assert server.holds() and server.said().startswith("passed")
    other = ordered(
        load_site("minimal"),
        [],
        plan_of(VALUES),
        job.Options("registry.example/triton:2"),
        server.output.parent,
    )
    assert not other[0].holds()
    shutil.rmtree(server.output)
    assert not server.holds()


def test_a_pod_without_nvidia_smi_is_judged_by_the_driver_pod_s(server: Server, tmp_path: Path) -> None:
    log = pod_s_log(server, tmp_path, tmp_path, None)
    with pytest.raises(RunFailure, match="neither the pod nor a driver pod"):
        judged(server, {"log": log, "driver": {}})
    driver = {
        "query": (RECORDED / "h100.xml").read_text(),
        "topology": (RECORDED / "topology-1.txt").read_text(),
    }
    certificate = judged(server, {"log": log, "driver": driver})
    assert {"inventory.product", "health.after-load"} <= {one.id for one in certificate.all_outcomes}


def test_pytorch_that_finds_no_gpu_is_a_fault(server: Server, tmp_path: Path, smi: Path) -> None:
    log = pod_s_log(server, tmp_path, smi, "class cuda:\n    is_available = staticmethod(lambda: False)\n")
    certificate = judged(server, {"log": log, "driver": {}})
    [usable] = [one for one in certificate.all_outcomes if one.id == "inventory.usable"]
    assert usable.result == "failed" and "PyTorch sees no GPU here" in usable.evidence


@pytest.mark.parametrize("fault", ["nothing", "cut", "changed"])
def test_a_log_without_a_whole_measurement_is_no_measurement(
    server: Server, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/measured.json").write_text("{}")
    whole = pack(tmp_path / "work") + "\n"
    log = {
        "nothing": "bash: python3: not found\n",
        "cut": whole[: len(whole) // 2],
        "changed": whole.replace(f"{BEGIN}-----\n/", f"{BEGIN}-----\nA"),
    }[fault]
    with pytest.raises(RunFailure) as caught:
        judged(server, {"log": log})
    assert caught.value.where == server.name and "kubectl" in caught.value.next_command


def test_a_failure_of_the_job_is_told_as_it_is(server: Server) -> None:
    parts: dict[str, Any] = {
        "what": "accepting it", "where": "n", "evidence": "2 of its 2 GPUs are in use", "cause": "c", "next_command": "d",
    }  # fmt: skip
    with pytest.raises(RunFailure, match="in use"):
        judged(server, {"failure": parts})
