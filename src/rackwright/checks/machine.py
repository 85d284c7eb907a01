"""Is this machine fit for a rehearsal: what it must have, what it has, and what to do about the
difference.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
NODE_MEMORY = 0.9 * GIB
"""Measured: control planes with etcd take 0.9 GiB, workers less; eleven nodes stay under 11 GiB."""
BASE_MEMORY = 2.0 * GIB
"""Ansible, the build of a bundle's last step, the page cache of what runs."""
NODE_DISK = 1.0 * GIB
COLD_DISK = 25.0 * GIB
"""Go's module and build caches and the bundle, measured: about 20 GiB."""
WARM_DISK = 5.0 * GIB

PROGRAMS: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "ssh": "openssh-client",
    "dpkg-deb": "dpkg",
    "apt-ftparchive": "apt-utils",
    "gpg": "gnupg",
    "zstd": "zstd",
    "gcc": "gcc",
}
"""Programs that the lab and the bundle call, with Debian's package of each."""


@dataclass(frozen=True)
class Fitness:
    """One line of ``rackwright doctor``. ``needed_for``: what can't be done without it; ``remedy`` when it
    is bad.
    """

    name: str
    ok: bool
    evidence: str
    remedy: str = ""


def memory_available(meminfo: str) -> int:
    """Bytes, from the text of /proc/meminfo; ValueError when it does not say."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise ValueError("/proc/meminfo has no MemAvailable")


def gib(size: float) -> str:
    """Bytes as ``12.3 GiB``."""
    return f"{size / GIB:.1f} GiB"


def judge_memory(available: int, nodes: int, machines: int = 0, machine: int = 0) -> Fitness:
    """Whether the nodes fit; of these, ``machines`` are emulated ones that take ``machine`` bytes each."""
    need = BASE_MEMORY + NODE_MEMORY * (nodes - machines) + machine * machines
    kinds = f"{nodes} nodes" + (f", {machines} of them emulated machines," if machines else "")
    text = f"{gib(available)} available, {kinds} need about {gib(need)}"
    return Fitness("memory", available >= need, text, "stop other programs, or rehearse a smaller site")


def judge_disk(free: int, nodes: int, bundle_there: bool, where: Path) -> Fitness:
    """Whether the caches and the nodes' file systems fit."""
    need = NODE_DISK * nodes + (WARM_DISK if bundle_there else COLD_DISK)
    text = f"{gib(free)} free at {where}, about {gib(need)} needed"
    return Fitness("disk", free >= need, text, "make room, or put the cache elsewhere with RACKWRIGHT_CACHE")


def judge_programs(which: Callable[[str], str | None]) -> Fitness:
    """Whether every program is installed."""
    missing = {program: package for program, package in PROGRAMS.items() if not which(program)}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        return Fitness(
            "programs",
            False,
            f"missing: {', '.join(missing)}",
            f"scripts/setup, or apt-get install {packages}",
        )
    return Fitness("programs", True, f"all {len(PROGRAMS)} are installed")


def judge_go(version: str | None) -> Fitness:
    """Whether the Go toolchain is there; a bundle that exists already does without."""
    remedy = "install Go 1.26 or newer and put it on PATH"
    return Fitness("go", version is not None, version or "no Go toolchain", "" if version else remedy)


def go_version() -> str | None:
    """What ``go version`` says, or None."""
    try:
        said = subprocess.run(
            ["go", "version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.strip().removeprefix("go version ")


def kernel_features() -> Fitness:
    """Whether the kernel has what the nodes' networks and file systems are made of; nothing is left
    behind.
    """
    missing = []
    if "overlay" not in Path("/proc/filesystems").read_text():
        missing.append("overlay file systems")
    probe = "ip link add rwdoctor type bridge && ip link add rwdoctor0 type veth peer name rwdoctor1"
    tried = subprocess.run(
        ["unshare", "--net", "sh", "-c", probe], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        missing.append(f"bridges and virtual Ethernet in a namespace ({tried.stderr.strip()[-120:]})")
    text = f"missing: {'; '.join(missing)}" if missing else "network namespaces, bridges, overlays"
    return Fitness(
        "kernel", not missing, text, "run on a machine or VM of its own, not in an unprivileged container"
    )


def examine(
    cache: Path, nodes: int, bundle_there: bool, machines: int = 0, machine: int = 0
) -> Iterator[Fitness]:
    """All lines for a rehearsal of so many nodes; ``machines`` and ``machine`` as for ``judge_memory``."""
    root = os.geteuid() == 0
    who = "root" if root else f"user {os.geteuid()}"
    yield Fitness("root", root, who, "the lab makes namespaces and mounts: run it with sudo")
    yield judge_programs(shutil.which)
    if not bundle_there:
        yield judge_go(go_version())
    if root and shutil.which("unshare") and shutil.which("ip"):
        yield kernel_features()
    available = memory_available(Path("/proc/meminfo").read_text())
    yield judge_memory(available, nodes, machines, machine)
    there = next(path for path in (cache, *cache.parents) if path.exists())
    yield judge_disk(shutil.disk_usage(there).free, nodes, bundle_there, there)
    cores = len(os.sched_getaffinity(0))
    yield Fitness(
        "processors", cores >= 2, f"{cores} usable", "two at least: with one, timeouts are met too late"
    )
