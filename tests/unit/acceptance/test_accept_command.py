"""The command: what it refuses, and a whole acceptance of a server whose nvidia-smi is a recording."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from rackwright.acceptance import perf
from rackwright.acceptance.measure import anonymous, triton_version
from rackwright.acceptance.serve import FRONTS, Installation, Settings, visible, write_repository
from rackwright.cli.main import main
from rackwright.paths import checkout

RECORDED = Path(__file__).parent / "recorded"
HARDWARE = ["--profile", "xe8640", "--count", "1", "--models", "none"]


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which nvidia-smi prints what it printed on a real H100."""
    programs = tmp_path / "bin"
    programs.mkdir()
    script = f"""#!/bin/sh
case "$*" in
  "-q -x") cat {RECORDED}/h100.xml ;;
  "topo -m") cat {RECORDED}/topology-1.txt ;;
  *) cat {RECORDED}/samples.csv; exec sleep 60 ;;
esac
"""
    (programs / "nvidia-smi").write_text(script)
    (programs / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "what was ordered?"),
        (["--profile", "r660"], "r660 is no profile of a GPU server"),
        (["--profile", "xe9680", "--gpu", "h999"], "the catalogue has no GPU h999"),
        (["--gpu", "h999"], "the catalogue has no GPU h999"),
        (["--profile", "xe9680", "--models", "7b"], "no synthetic GPT of size 7b"),
        (["--profile", "xe9680", "--triton", "/nowhere"], "no Triton below /nowhere"),
        ([*HARDWARE, "--grid", "2by16"], "--grid or --concurrency can't be read"),
        ([*HARDWARE, "--prompt", "40"], "40 prompt and 20 new tokens don't fit"),
        (["minimal", "--limit", "r660-1"], "r660-1 is no GPU server of minimal"),
        ([*HARDWARE, "--again"], "are for a run through the cluster"),
        (["minimal", "--node", "r660-1"], "r660-1 is no GPU server of minimal"),
    ],
)
def test_wrong_input_is_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept", *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "hint:" in error
    assert "Traceback" not in error


def test_a_server_without_pytorch_fails_and_gets_its_certificate(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # An empty module in its place: whatever runs the tests may have the real one.
    (recorded / "torch.py").write_text("raise ImportError('no PyTorch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(recorded))
    assert main(["accept", *HARDWARE, "--node", "xe8640-1", "--output", str(recorded / "out")]) == 1
    printed = capsys.readouterr().out
    assert "inventory.product" in printed
    data = json.loads((recorded / "out/certificate.json").read_text())
    failed = {check["id"] for check in data["checks"] if check["result"] == "failed"}
    assert failed == {"inventory.usable"}
    assert "no PyTorch here" in next(c["evidence"] for c in data["checks"] if c["id"] == "inventory.usable")
    assert data["server"]["host"] == "xe8640-1"
    assert (recorded / "out/certificate.html").read_text().startswith("<!doctype html>")
    assert {"nvidia-smi-before.xml", "nvidia-smi-after.xml", "topology.txt"} <= set(data["raw_files"])


def test_gpus_in_a_server_of_no_profile_are_judged_by_themselves(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (recorded / "torch.py").write_text("raise ImportError('no PyTorch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(recorded))
    words = ["accept", "--models", "none", "--node", "vm-1", "--output", str(recorded / "out")]
    assert main([*words, "--gpu", "h100-sxm"]) == 1
    data = json.loads((recorded / "out/certificate.json").read_text())
    assert {c["id"] for c in data["checks"] if c["result"] == "failed"} == {"inventory.usable"}
    assert data["server"]["product"] == "a server outside the catalogue"
    assert main([*words, "--gpu", "h200-sxm"]) == 1
    data = json.loads((recorded / "out/certificate.json").read_text())
    failed = {c["id"] for c in data["checks"] if c["result"] == "failed"}
    assert failed == {"inventory.usable", "inventory.product", "inventory.memory"}
    capsys.readouterr()


def test_a_site_s_server_is_judged_by_what_the_site_orders(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (recorded / "torch.py").write_text("raise ImportError('no PyTorch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(recorded))
    words = ["accept", "minimal", "--node", "r760xa-1", "--models", "none", "--output", str(recorded / "out")]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert "ordered: NVIDIA H100 PCIe" in printed
    assert "1 of 4 GPUs are there" in printed


def test_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["accept", *HARDWARE, "--output", str(tmp_path / "out")]) == 1
    assert "asking nvidia-smi for the GPUs" in capsys.readouterr().err


def test_the_model_s_repository(tmp_path: Path) -> None:
    model = checkout() / "packaging/models/synthetic-gpt"
    place = write_repository(tmp_path, model, "5b", Settings(2, 4)) / "synthetic-gpt"
    config = (place / "config.pbtxt").read_text()
    assert 'key: "size" value { string_value: "5b" }' in config
    assert 'key: "slots" value { string_value: "4" }' in config
    assert f"count: {2 * FRONTS}" in config
    assert 'key: "engines" value { string_value: "2" }' in config
    assert (place / "1/model.py").is_file()


def test_a_server_sees_its_own_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible(3) == "3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    assert visible(1) == "GPU-b"
    monkeypatch.setenv("PYTHONPATH", "/mine")
    environment = Installation(Path("/t"), Path("/m"), "/numpy1").environment(0)
    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert environment["PYTHONPATH"] == "/numpy1:/mine"
    assert environment["LD_LIBRARY_PATH"].startswith("/t/lib")


def test_perf_analyzer_s_csv() -> None:
    [found] = perf.parse((RECORDED / "perf.csv").read_text())
    assert (found.concurrency, found.inferences_per_second, found.p95_ms) == (16, 43.4302, 381.858)
    with pytest.raises(ValueError, match="not perf_analyzer's CSV"):
        perf.parse("a,b\n1,2\n")


def test_what_is_kept_has_no_serial_numbers() -> None:
    kept = anonymous("<gpu>\n<serial>175</serial>\n<supported_clocks>\n<x/></supported_clocks></gpu>")
    assert kept == "<gpu>\n<serial>removed</serial></gpu>"


def test_triton_s_version_is_read_from_its_log(tmp_path: Path) -> None:
    assert triton_version(tmp_path) == "not started"
    (tmp_path / "triton-5b.log").write_text("| server_version                   | 2.51.0        |\n")
    assert triton_version(tmp_path) == "2.51.0"


@pytest.mark.parametrize(("result", "code"), [("passed", 0), ("incomplete", 1), ("failed", 1)])
def test_a_site_is_accepted_through_its_cluster(
    result: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    called: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(command)
        place = tmp_path / "r760xa-1"
        place.mkdir()
        (place / "certificate.json").write_text(json.dumps({"result": result}))
        return subprocess.CompletedProcess(command, 1 if result == "failed" else 0)

    monkeypatch.setattr("rackwright.cli.accept.subprocess.run", run)
    assert (
        main(["accept", "minimal", "--limit", "r760xa-1", "--output", str(tmp_path), "--image", "i"]) == code
    )
    [command] = called
    assert command[-1].endswith("playbooks/accept.yml") and "--check" not in command
    extra = json.loads(command[command.index("--extra-vars") + 1])
    assert (extra["acceptance_nodes"], extra["acceptance_image"], extra["acceptance_again"]) == (
        ["r760xa-1"],
        "i",
        False,
    )
    assert ("incomplete certificate" in capsys.readouterr().out) is (result == "incomplete")
