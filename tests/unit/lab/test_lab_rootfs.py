"""The recipe of the nodes' root file system, and where it gets its packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lab import rootfs
from rackwright.lab.rootfs import Recipe


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
