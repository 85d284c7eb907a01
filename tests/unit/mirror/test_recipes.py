"""The recipes under packaging/ agree with the release, and the packages they make are reproducible."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rackwright.errors import RunFailure, UsageError
from rackwright.mirror.chart import pack
from rackwright.mirror.deb import deb_step
from rackwright.mirror.debian import apt_sources, needs_of, plain_name, private_apt
from rackwright.mirror.engine import Engine
from rackwright.mirror.gobuild import default_name, trim_build_cache
from rackwright.mirror.image import image_step
from rackwright.mirror.plan import in_order
from rackwright.mirror.release import read_release
from rackwright.mirror.step import Step, StepContext
from rackwright.paths import checkout

PACKAGING = checkout() / "packaging"
RELEASE = read_release("2026.11")
GO = sorted((PACKAGING / "go").glob("*/recipe.yml"))


@pytest.mark.parametrize("recipe", GO, ids=lambda path: path.parent.name)
def test_go_mod_asks_for_the_releases_version(recipe: Path) -> None:
    component = RELEASE.components[recipe.parent.name]
    if "module" in component:
        required = f"{component['module']} v{component['version']}"
        assert re.search(rf"(?m)^(require |\t){re.escape(required)}$", (recipe.parent / "go.mod").read_text())
        assert f"{required} h1:" in (recipe.parent / "go.sum").read_text()


@pytest.mark.parametrize("recipe", GO, ids=lambda path: path.parent.name)
def test_every_command_has_a_file_name_of_its_own(recipe: Path) -> None:
    builds = yaml.safe_load(recipe.read_text())["builds"]
    names = [name for build in builds for name in build["commands"].values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("package", "name"),
    [("go.etcd.io/etcd/server/v3", "server"), ("k8s.io/kubernetes/cmd/kubelet", "kubelet"), (".", "pause")],
)
def test_the_name_that_go_gives_a_command(package: str, name: str) -> None:
    assert default_name(package, PACKAGING / "go" / "pause") == name


def test_the_tags_that_the_roles_ask_for() -> None:
    tags = {}
    for path in (PACKAGING / "images").glob("*/image.yml"):
        recipe = yaml.safe_load(path.read_text())
        tags[recipe["repository"]] = recipe["tag"].format(version=RELEASE.version(recipe["component"]))
    assert tags["k8s/kube-apiserver"] == "v1.36.3"
    assert tags["k8s/etcd"] == "v3.7.3"
    assert tags["k8s/pause"] == "3.10.2"
    assert tags["nvidia/tritonserver"] == "24.10-py3"
    assert tags["cilium/operator-generic"] == tags["cilium/cilium"] == "v1.20.2"


def test_a_changed_tag_or_release_changes_the_images_step() -> None:
    step = image_step(PACKAGING / "images" / "etcd" / "image.yml", RELEASE)
    assert step.needs == ("go-etcd",)
    assert step.inputs["tag"] == "v3.7.3"


def fake_binaries(names: set[str]) -> list[Step]:
    """Steps in the place of Go builds: each result holds the files that a package takes from it."""

    def step(name: str) -> Step:
        def run(context: StepContext) -> None:
            for source in names:
                if source.startswith(f"{name}/"):
                    (context.out / source.partition("/")[2]).write_text(source)

        return Step(name, run)

    return [step(name) for name in sorted({source.split("/")[0] for source in names})]


@pytest.mark.parametrize("name", ["kubelet", "kubeadm", "containerd", "runc"])
def test_our_packages_are_the_same_every_time(
    name: str, tmp_path: Path, quiet: Callable[[str], None]
) -> None:
    directory = PACKAGING / "debs" / name
    recipe = yaml.safe_load((directory / "deb.yml").read_text())
    contents = []
    for cache in (tmp_path / "x", tmp_path / "y"):
        step = deb_step(directory, RELEASE.versions, RELEASE.epoch)
        result = Engine(cache, quiet).run([*fake_binaries(set(recipe["binaries"].values())), step])[step.name]
        (deb,) = result.glob("*.deb")
        contents.append((deb.name, deb.read_bytes()))
    assert contents[0] == contents[1]
    listing = subprocess.run(["dpkg-deb", "-c", deb], check=True, capture_output=True, text=True).stdout
    for target in recipe["binaries"]:
        assert re.search(rf"(?m)^-rwxr-xr-x root/root .* \./{target}$", listing)


def test_charts_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    assert pack(tmp_path, "chart", RELEASE.epoch) == pack(tmp_path, "chart", RELEASE.epoch)


def test_the_archives_signatures_are_checked() -> None:
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in apt_sources("trixie", "m", "s")


def test_epochs_leave_file_names() -> None:
    assert plain_name("chrony_1%3a4.6.1-3_amd64.deb") == "chrony_4.6.1-3_amd64.deb"
    assert plain_name("curl_8.14.1-2_amd64.deb") == "curl_8.14.1-2_amd64.deb"


def test_of_two_kernels_the_one_that_would_be_installed_is_taken(tmp_path: Path) -> None:
    """An archive and its security fixes each have a kernel of their own: only the newer one's is of use."""
    stanzas = [
        f"Package: linux-image-amd64\nVersion: 6.12.{n}-1\nArchitecture: amd64\nFilename: {n}.deb\nSize: 1\n"
        f"SHA256: {n:064}\nDepends: linux-image-6.12.{n}+deb13-amd64 (= 6.12.{n}-1), kmod | busybox\n"
        for n in (118, 117)
    ]
    (tmp_path / "Packages").write_text("\n".join(stanzas))
    source = f"Types: deb\nURIs: file:{tmp_path}\nSuites: ./\nTrusted: yes\n"
    options = private_apt(tmp_path / "apt", source)
    subprocess.run(["apt-get", *options, "update", "--error-on=any"], check=True, capture_output=True)
    assert needs_of(options, "linux-image-amd64") == ["linux-image-6.12.118+deb13-amd64", "kmod"]
    with pytest.raises(RunFailure, match="looking up what linux-image-arm64 depends on"):
        needs_of(options, "linux-image-arm64")


def test_steps_come_after_what_they_need() -> None:
    def nothing(context: StepContext) -> None:
        """Do nothing."""

    steps = [
        Step("c", nothing, {}, ("b",)),
        Step("b", nothing, {}, ("a",)),
        Step("a", nothing),
        Step("d", nothing, {}, (), 99),
    ]
    assert [step.name for step in in_order(steps)] == ["d", "a", "b", "c"]


def test_unknown_releases_are_refused() -> None:
    with pytest.raises(UsageError, match=r"known releases: .*2026\.11"):
        read_release("1999.01")


def test_the_reference_release_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"--release 2026\.11"):
        read_release("2023.10")


def test_a_large_build_cache_is_emptied_and_a_small_one_kept(tmp_path: Path) -> None:
    (tmp_path / "go" / "build").mkdir(parents=True)
    (tmp_path / "go" / "build" / "object").write_bytes(b"x" * 100)
    assert not trim_build_cache(tmp_path, limit=100)
    assert trim_build_cache(tmp_path, limit=99)
    assert not (tmp_path / "go" / "build").exists()
