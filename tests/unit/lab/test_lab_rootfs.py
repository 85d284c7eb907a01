"""The recipe of the nodes' root file system, and where it gets its packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lab import rootfs
from rackwright.lab.rootfs import Recipe

DEB822 = """\
Types: deb
# http://snapshot.example/archive
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def apt(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / "sources.list.d").mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("sources.list.d/debian.sources", DEB822, "http://mirror.example/debian"),
        ("sources.list.d/debian.sources", "Enabled: no\n" + DEB822, rootfs.DEFAULT_MIRROR),
        (
            "sources.list",
            "# deb http://no.example/debian x main\ndeb [arch=all a=b] https://yes.example/debian/ x y\n",
            "https://yes.example/debian",
        ),
        ("sources.list", "deb http://packages.example/apt cloud main\n", rootfs.DEFAULT_MIRROR),
        ("sources.list", "deb-src http://src.example/debian x main\n", rootfs.DEFAULT_MIRROR),
    ],
)
def test_the_machines_own_mirror_is_used(tmp_path: Path, name: str, text: str, mirror: str) -> None:
    assert rootfs.debian_mirror(apt(tmp_path, name, text)) == mirror


def test_the_digest_changes_with_every_ingredient() -> None:
    digests = {
        Recipe().digest,
        Recipe(suite="bookworm").digest,
        Recipe(packages=("systemd",)).digest,
        Recipe(files={}).digest,
        Recipe(masked=()).digest,
    }
    assert len(digests) == 5
    assert Recipe().digest == Recipe().digest
    assert len(Recipe().digest) == 16


def test_what_is_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACKWRIGHT_CACHE", str(tmp_path))
    recipe = Recipe()
    built: list[str] = []

    def bootstrap(_recipe: Recipe, target: Path, mirror: str, _say: object) -> None:
        built.append(mirror)
        for name in ("etc/apt/sources.list.d", "etc/ssh", "etc/systemd/system", "var/lib/apt/lists"):
            (target / name).mkdir(parents=True)
        (target / "etc/apt/sources.list").write_text("deb http://mirror.example/debian x main\n")
        (target / "etc/ssh/ssh_host_rsa_key").write_text("secret")

    monkeypatch.setattr(rootfs, "_bootstrap", bootstrap)
    (rootfs.rootfs_dir() / f".{recipe.digest}.building.1").mkdir(parents=True)
    root = rootfs.ensure(recipe, lambda _text: None)
    assert rootfs.ensure(recipe, lambda _text: None) == root
    assert len(built) == 1
    assert not (root / "etc/apt/sources.list").exists()
    assert not list((root / "etc/ssh").glob("ssh_host_*"))
    assert (root / "etc/ssh/sshd_config.d/10-provisioned.conf").read_text() == rootfs.SSHD
    assert [p.name for p in rootfs.rootfs_dir().iterdir()] == [recipe.digest]
