"""Debian packages of the programs that the bundle builds itself; the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from rackwright.mirror.step import Step, StepContext, digest_tree

MAINTAINER = "Rackwright <packages@rackwright.example>"

#: After unpacking, systemd must read the unit files again; the roles decide what is enabled and started.
RELOAD = """#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
"""


def control_file(name: str, version: str, recipe: dict[str, Any], installed_kib: int) -> str:
    """The text of DEBIAN/control."""
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": "amd64",
        "Maintainer": MAINTAINER,
        "Installed-Size": str(installed_kib),
        "Depends": ", ".join(recipe.get("depends") or []),
        "Provides": ", ".join(recipe.get("provides") or []),
        "Section": "admin",
        "Priority": "optional",
        "Description": recipe["summary"],
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def assemble(tree: Path, name: str, version: str, recipe: dict[str, Any], epoch: int) -> None:
    """Make a directory of files to install one that ``dpkg-deb --build`` accepts, every time the same."""
    files = sorted(p for p in tree.rglob("*") if p.is_file() and not p.is_symlink())
    size = sum(p.stat().st_size for p in files)
    meta = tree / "DEBIAN"
    meta.mkdir()
    sums = [
        f"{hashlib.md5(p.read_bytes(), usedforsecurity=False).hexdigest()}  {p.relative_to(tree)}"
        for p in files
    ]
    (meta / "md5sums").write_text("\n".join(sums) + "\n")
    (meta / "control").write_text(control_file(name, version, recipe, size // 1024 + 1))
    if recipe.get("units"):
        for script in ("postinst", "postrm"):
            (meta / script).write_text(RELOAD)
    for path in sorted(tree.rglob("*")):
        relative = path.relative_to(tree)
        program = relative.parts[0] == "DEBIAN" and path.name in {"postinst", "postrm"}
        binary = str(relative) in recipe["binaries"]
        path.chmod(0o755 if path.is_dir() or program or binary else 0o644)
        os.utime(path, (epoch, epoch))
    os.utime(tree, (epoch, epoch))
    tree.chmod(0o755)


def deb_step(directory: Path, versions: dict[str, str], epoch: int) -> Step:
    """The step ``deb-<name>``: the package that ``<directory>/deb.yml`` describes."""
    recipe = yaml.safe_load((directory / "deb.yml").read_text())
    name = directory.name
    version = f"{versions[recipe['component']]}-1"
    needs = tuple(sorted({source.split("/")[0] for source in recipe["binaries"].values()}))

    def run(context: StepContext) -> None:
        tree = context.out / "tree"
        if (directory / "files").is_dir():
            shutil.copytree(directory / "files", tree)
        for target, source in recipe["binaries"].items():
            step, _, file = source.partition("/")
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(context.upstream[step] / file, tree / target)
        assemble(tree, name, version, recipe, epoch)
        context.call(
            ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", tree,
             context.out / f"{name}_{version}_amd64.deb"],
            env={"SOURCE_DATE_EPOCH": str(epoch)},
        )  # fmt: skip
        shutil.rmtree(tree)

    return Step(
        f"deb-{name}", run, {"recipe": digest_tree(directory), "version": version, "epoch": epoch}, needs, 1.5
    )
