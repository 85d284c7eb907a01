"""Ironic's ramdisk: a kernel, and a small Debian with the agent, which servers boot to be looked at and written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from rackwright.mirror.lock import METAL
from rackwright.mirror.metal import Recipe, install, matches, settle_times
from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.release import Release
from rackwright.mirror.step import Step, StepContext

KERNEL, RAMDISK = "ipa.kernel", "ipa.initramfs"
#: Of what the kernel can unpack, only lz4 is faster than zstd, and that is half as large again.
PACK = (
    "set -o pipefail; cd \"$1\" && find . -mindepth 1 -printf '%P\\0' | LC_ALL=C sort -z"
    ' | cpio --quiet --null --create --format=newc --reproducible | zstd -q -T0 -12 -o "$2"'
)


def dependencies(modules: Path) -> dict[str, list[str]]:
    """``modules.dep`` of a kernel: each module's path, and those of all that it needs."""
    lines = (line.partition(":") for line in (modules / "modules.dep").read_text().splitlines())
    return {name: needed.split() for name, _, needed in lines}


def kept_modules(needed: dict[str, list[str]], patterns: Iterable[str]) -> set[str]:
    """The modules that the patterns name, with all that those need."""
    named = {name for name in needed if matches(name, patterns)}
    return named.union(*(needed[name] for name in named))


def trim_modules(context: StepContext, root: Path, patterns: list[str]) -> None:
    """Remove the kernel modules that neither the patterns name nor a kept one needs."""
    (modules,) = (root / "usr/lib/modules").iterdir()
    context.call(["chroot", root, "depmod", modules.name])
    needed = dependencies(modules)
    for name in needed.keys() - kept_modules(needed, patterns):
        (modules / name).unlink()
    context.call(["chroot", root, "depmod", modules.name])


def agent_version(context: StepContext, recipe: Recipe) -> str:
    """The version of the agent's package."""
    (deb,) = (context.upstream[recipe.packages_step] / "unpacked").glob("ironic-python-agent_*.deb")
    return deb.name.split("_")[1]


def ramdisk_step(recipe: Recipe, release: Release) -> Step:
    """The step ``metal-ipa``: ``metal/ipa.kernel`` and ``metal/ipa.initramfs``."""

    def run(context: StepContext) -> None:
        root, target = context.out / "root", context.out / FILES / METAL
        target.mkdir(parents=True)
        install(context, recipe, root, release.epoch)
        (kernel,) = (root / "boot").glob("vmlinuz-*")
        shutil.copyfile(kernel, target / KERNEL)
        shutil.rmtree(root / "boot")
        trim_modules(context, root, recipe.document["modules"])
        agent = "/usr/lib/python3/dist-packages/ironic_python_agent"
        context.call(["chroot", root, "python3", "-m", "compileall", "-q", agent])
        settle_times(root, release.epoch)
        context.call(["bash", "-c", PACK, "bash", root, target / RAMDISK])
        shutil.rmtree(root)
        version = agent_version(context, recipe)
        record(context.out, {f"{METAL}/": Origin("ramdisk", "ironic-python-agent", version, recipe.source)})

    inputs = {**recipe.inputs(release.epoch), "pack": PACK}
    return Step("metal-ipa", run, inputs, (recipe.packages_step,), 120)
