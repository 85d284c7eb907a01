"""kubeadm and the kubelet, as the bundle carries them, accept what is rendered for every example site."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.derive.model import Node, SiteModel
from rackwright.paths import cache_dir, checkout
from rackwright.render import render
from rackwright.site import load_site

pytestmark = pytest.mark.tools
SITES = sorted(path.parent.name for path in (checkout() / "inventories").glob("*/site.yml"))
NOBODY = 65534


@pytest.fixture(scope="module", params=SITES)
def example(request: pytest.FixtureRequest) -> SiteModel:
    """Each example site."""
    return load_site(str(checkout() / "inventories" / request.param))


@pytest.fixture(scope="session")
def everybodys() -> Iterator[Path]:
    """A folder that nobody's programs may read; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def programs(everybodys: Path) -> Path:
    """A directory with the bundle's programs."""
    for name in ("kubeadm", "kubelet"):
        (package,) = sorted((cache_dir() / "bundles/2026.11/apt/pool").rglob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", str(package), str(everybodys)], check=True)
    return everybodys / "usr/bin"


def some(model: SiteModel) -> list[Node]:
    """A node of each profile and set of roles."""
    return list({(node.profile, node.roles): node for node in reversed(model.nodes)}.values())


def test_kubeadm_accepts_its_configuration(example: SiteModel, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "discovery.conf").touch()
    filled = {
        "@token@": "abcdef.0123456789abcdef",
        "@certificate_key@": "a" * 64,
        "@directory@": str(tmp_path),
    }
    checked = 0
    for node in some(example):
        for file in render(example, node.name, "kubeadm", {}):
            if not file.path.endswith(("init.yaml", "join.yaml")):
                continue
            text = file.content
            for placeholder, value in filled.items():
                text = text.replace(placeholder, value)
            path = tmp_path / f"{node.name}-{Path(file.path).name}"
            path.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [str(programs / "kubeadm"), "config", "validate", "--config", str(path)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr
            checked += 1
    assert checked >= 2


def kubelet(programs: Path, folder: Path, settings: str) -> str:
    """What the kubelet says to these settings before it ends.

    As nobody, and without a client for the API: it reads and judges its configuration, then can't go on, and
    has touched nothing.
    """
    drop_ins = folder / "conf.d"
    drop_ins.mkdir(exist_ok=True)
    (drop_ins / "50-rackwright.conf").write_text(settings, encoding="utf-8")
    base = folder / "config.yaml"
    base.write_text(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n", encoding="utf-8"
    )
    command = [
        programs / "kubelet",
        "--config",
        base,
        "--config-dir",
        drop_ins,
        "--root-dir",
        folder / "root",
    ]
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}),
    )
    assert done.returncode != 0
    return done.stderr


def test_the_kubelet_accepts_its_settings(example: SiteModel, programs: Path, everybodys: Path) -> None:
    for node in some(example):
        if not node.is_kubernetes:
            continue
        settings = render(example, node.name, "kubelet", {})[0].content
        assert ("cpuManagerPolicy: static" in settings) == node.is_gpu_worker
        said = kubelet(programs, everybodys, settings)
        assert "validate kubelet configuration" not in said and "load kubelet config" not in said
        assert "no client provided, cannot use webhook authentication" in said


def test_the_kubelet_is_asked_in_earnest(programs: Path, everybodys: Path) -> None:
    settings = render(load_site("minimal"), "r760xa-1", "kubelet", {})[0].content
    said = kubelet(programs, everybodys, settings.replace("Policy: restricted", "Policy: nonsense"))
    assert "failed to validate kubelet configuration" in said
