"""What a bare server is given before it has an operating system: Ironic's ramdisk, and images of systems.

Recipes lie under ``packaging/metal``; results under ``metal/`` of the bundle.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from rackwright.errors import RunFailure
from rackwright.mirror.aptrepo import COMPONENT, index
from rackwright.mirror.debian import Source, debian_step
from rackwright.mirror.step import Step, StepContext, digest_tree

#: For suites whose essential packages don't see to it themselves that /bin, /lib … are links into /usr.
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh")
#: Whatever a machine made of itself while it was put together; each server makes its own.
IDENTITY = (
    "etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/hostname",
    "etc/machine-id", "etc/nvme/host*", "etc/resolv.conf", "etc/ssh/ssh_host_*", "var/cache/apt/*.bin",
    "var/cache/ldconfig/aux-cache", "var/lib/apt/lists/*", "var/lib/dbus/machine-id", "var/lib/dpkg/*-old",
    "var/lib/systemd/random-seed", "var/log/*.log", "var/log/apt", "etc/*-",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A file that says what a system is made of; the directory that its ``files`` names is copied into it."""

    file: Path
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.file.parent.name

    @property
    def system(self) -> dict[str, Any]:
        """Which packages of which archive, and what of them stays."""
        return dict(self.document["system"])

    @property
    def files(self) -> Path:
        """What is copied into the system before any package is installed."""
        return (self.file.parent / str(self.document["files"])).resolve()

    @property
    def packages_step(self) -> str:
        """The step that fetches the packages."""
        return f"debian-metal-{self.name}"

    @property
    def source(self) -> str:
        """Where the system comes from, as the lock says it: ``debian:trixie``."""
        return f"{self.system['archive']}:{self.system['suite']}"

    def inputs(self, epoch: int) -> dict[str, Any]:
        """What of the recipe a result depends on."""
        files = digest_tree(self.files)
        return {"recipe": self.document, "files": files, "identity": IDENTITY, "epoch": epoch}


def read_recipe(file: Path) -> Recipe:
    """The recipe in a file."""
    return Recipe(file, yaml.safe_load(file.read_text()))


def packages_step(recipe: Recipe) -> Step:
    """The step that fetches a recipe's packages."""
    system = recipe.system
    source = Source(system["suite"], tuple(system["components"]), system["archive"])
    name = recipe.packages_step.removeprefix("debian-")
    return debian_step(name, source, system["packages"], system.get("unpacked") or [])


def install(context: StepContext, recipe: Recipe, root: Path, epoch: int) -> None:
    """Make the system of a recipe below ``root``.

    /sys is not there meanwhile: a boot loader's package that sees this machine's firmware would write to it.

    Raises:
        RunFailure: not run as root, or a package can't be installed.
    """
    if os.geteuid():
        raise RunFailure(
            what=f"build step {context.step.name}",
            where="this machine",
            evidence=f"user {os.geteuid()}",
            cause="a file system with root's files can only be made by root",
            next_command="sudo rackwright bundle build",
        )
    source, repository = context.upstream[recipe.packages_step], context.out / "repository"
    pool = repository / "pool" / COMPONENT
    pool.mkdir(parents=True)
    for deb in (source / "pool").iterdir():
        os.link(deb, pool / deb.name)
    suite = recipe.system["suite"]
    index(context, repository, suite)
    options = [f'--setup-hook=cp -r --no-target-directory {shlex.quote(str(recipe.files))} "$1"']
    if recipe.system.get("merged_usr"):
        options.insert(0, f"--setup-hook={MERGED_USR}")
    # Trusted without a signature: these very files were checked against the archive's when they were fetched.
    context.call(
        ["mmdebstrap", "--mode=root", "--format=directory", "--variant=essential", "--architectures=amd64",
         "--skip=chroot/mount/sys,check/qemu,output/mknod", f"--include={','.join(recipe.system['packages'])}",
         "--aptopt=APT::Install-Recommends false", *options, suite, root,
         f"deb [trusted=yes] copy:{repository} {suite} {COMPONENT}"],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip
    shutil.rmtree(repository)
    for deb in sorted((source / "unpacked").glob("*.deb")):
        context.call(["dpkg-deb", "--extract", deb, root])
    for path, target in (recipe.system.get("links") or {}).items():
        link = root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    remove(root, [*IDENTITY, *(recipe.system.get("without") or [])])
    # There, but empty: systemd gives the machine one, and asks nobody for a locale and a password.
    (root / "etc/machine-id").write_text("")
    if "firmware" in recipe.document:
        keep_firmware(root / "usr/lib/firmware", recipe.document["firmware"])


def remove(root: Path, patterns: Iterable[str]) -> None:
    """Remove what the patterns name below ``root``, directories with all that is in them."""
    for pattern in patterns:
        for path in list(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is the name's (``*`` crosses slashes)."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def keep_firmware(directory: Path, patterns: Sequence[str]) -> None:
    """Of the firmware below ``directory`` keep what the patterns name, and what a kept link points to."""
    files = [p for p in directory.rglob("*") if p.is_symlink() or not p.is_dir()]
    kept = {p for p in files if matches(str(p.relative_to(directory)), patterns)}
    kept |= {p.resolve() for p in kept if p.is_symlink()}
    for path in files:
        if path not in kept:
            path.unlink()
    for folder in sorted((p for p in directory.rglob("*") if p.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def settle_times(root: Path, epoch: int) -> None:
    """No file is younger than the release: what was written just now would differ each time."""
    for folder, directories, names in os.walk(root, topdown=False):
        for name in (*names, *directories, "."):
            path = Path(folder, name)
            if path.lstat().st_mtime > epoch:
                os.utime(path, (epoch, epoch), follow_symlinks=False)
