"""The emulated GPU programs: their own tests, and that they read what the lab writes for every profile."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

from rackwright.derive.model import Node
from rackwright.lab.silicon import describe
from rackwright.mirror.gobuild import environment
from rackwright.paths import cache_dir, checkout
from rackwright.site import load_site

SOURCE = checkout() / "packaging/silicon"
SITE = load_site("reference")
PROFILES = {node.profile: node for node in SITE.gpu_workers}


def go(*arguments: str) -> None:
    """Run the Go tool as the bundle does."""
    settings = {**os.environ, **environment(cache_dir(), False)}
    done = subprocess.run(["go", *arguments], cwd=SOURCE, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def nvidia_smi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("silicon") / "nvidia-smi"
    go("build", "-trimpath", "-o", str(program), ".")
    return program


def test_its_own_tests_pass() -> None:
    go("vet", ".")
    go("test", ".")


@pytest.mark.parametrize("node", PROFILES.values(), ids=PROFILES)
def test_it_reads_what_the_lab_writes(nvidia_smi: Path, tmp_path: Path, node: Node) -> None:
    gpus = node.gpus
    assert gpus is not None
    description = tmp_path / "gpus.json"
    description.write_text(
        json.dumps(describe(gpus, uuid.uuid5(uuid.NAMESPACE_DNS, node.fqdn), SITE.versions))
    )

    def say(*arguments: str) -> str:
        settings = {"RACKWRIGHT_SILICON": str(description)}
        return subprocess.run(
            [nvidia_smi, *arguments], env=settings, capture_output=True, text=True, check=True
        ).stdout

    fields = say("--query-gpu=name,memory.total", "--format=csv,noheader,nounits").splitlines()
    assert fields == [f"{gpus.product}, {gpus.memory_mib}"] * gpus.count
    state = "Completed" if gpus.fabric else "N/A"
    lines = say("-q").splitlines()
    states = [
        lines[at + 1].split(":")[1].strip() for at, line in enumerate(lines) if line.strip() == "Fabric"
    ]
    assert states == [state] * gpus.count
    first = say("topo", "-m").splitlines()[1].split()[1 : gpus.count + 1]
    assert sum(link.startswith("NV") for link in first) == (
        0 if gpus.interconnect == "none" else gpus.span - 1
    )


def test_the_chart_is_of_the_release() -> None:
    chart = yaml.safe_load((checkout() / "packaging/gpu-operator/Chart.yaml").read_text())
    values = yaml.safe_load((checkout() / "packaging/gpu-operator/values.yaml").read_text())
    assert chart["name"] == "gpu-operator"
    assert chart["version"] == SITE.versions["gpu_operator"]
    assert values["driver"]["version"] == SITE.versions["gpu_driver"]
