"""Control groups of a lab's nodes: a subtree of their own in every hierarchy; the host's stay as they are.

Hosts with version 1, hybrid and version 2 hierarchies are known. Version 2 alone was not run: the host that
this was written on has its controllers in version 1; unit tests alone cover that path.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
#: What the kernel gives back when memory is asked for, in memory.stat.
PAGE_CACHE = ("inactive_file", "active_file")
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy. ``controllers`` are version 1's (``memory``, ``name=systemd``), else empty."""

    root: Path
    version: int
    controllers: frozenset[str]


def hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The hierarchies in a ``/proc/<pid>/mountinfo``, in its order, each once."""
    found: dict[Path, Hierarchy] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _source, options, *_) = left.split(), [*right.split(), "", "", ""]
        if kind not in ("cgroup", "cgroup2") or fields[3] != "/":
            continue
        root = Path(fields[4].replace("\\040", " "))
        flags = frozenset(options.split(",")) - {"rw", "ro", "xattr", "none", "clone_children", "noprefix"}
        controllers = frozenset(f for f in flags if not f.startswith("release_agent"))
        found[root] = Hierarchy(root, 1, controllers) if kind == "cgroup" else Hierarchy(root, 2, frozenset())
    return tuple(found.values())


def mounted() -> tuple[Hierarchy, ...]:
    """The hierarchies of this machine."""
    return hierarchies(MOUNTINFO.read_text())


def is_unified(found: Iterable[Hierarchy]) -> bool:
    """Whether version 2 is the only one, as on most hosts of today."""
    return all(h.version == 2 for h in found)


@dataclass(frozen=True)
class Group:
    """A lab's (``rw-<lab>``) or a node's (``rw-<lab>/<node>``) group, in every hierarchy."""

    path: str
    hierarchies: tuple[Hierarchy, ...]

    @property
    def directories(self) -> tuple[Path, ...]:
        return tuple(h.root / self.path for h in self.hierarchies)

    def create(self, memory_limit: int | None = None, weight: int = 1) -> None:
        """Make it (harmless if it is there).

        ``memory_limit`` in bytes; ``weight``: share of the processors beside other groups, as a multiple.
        """
        for hierarchy in self.hierarchies:
            step = hierarchy.root
            for part in Path(self.path).parts:
                parent, step = step, step / part
                if hierarchy.version == 2:
                    _delegate(parent)
                step.mkdir(exist_ok=True)
                if "cpuset" in hierarchy.controllers:
                    _inherit_cpuset(parent, step)
        self._set("cpu.shares", "cpu.weight", (1024 * weight, 100 * weight))
        if memory_limit is not None:
            self._set("memory.limit_in_bytes", "memory.max", (memory_limit, memory_limit))

    def _set(self, version_1: str, version_2: str, values: tuple[int, int]) -> None:
        for hierarchy, directory in zip(self.hierarchies, self.directories, strict=True):
            name, value = (version_2, values[1]) if hierarchy.version == 2 else (version_1, values[0])
            if (directory / name).exists():
                (directory / name).write_text(str(value))

    def pids(self) -> frozenset[int]:
        """Every process in it or below it. What has ended but was not waited for is not among them."""
        found: set[int] = set()
        for directory in self.directories:
            for file in _walk_procs(directory):
                with contextlib.suppress(OSError):
                    found.update(int(pid) for pid in file.read_text().split())
        found.discard(0)
        return frozenset(found)

    def memory(self) -> int | None:
        """Bytes in use: anonymous memory and what the kernel can't drop; None where no group is there."""
        for hierarchy, directory in zip(self.hierarchies, self.directories, strict=True):
            usage = directory / ("memory.current" if hierarchy.version == 2 else "memory.usage_in_bytes")
            with contextlib.suppress(OSError):
                used = int(usage.read_text())
                stat = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
                cached = sum(int(stat.get(f"total_{kind}", stat.get(kind, "0"))) for kind in PAGE_CACHE)
                return max(0, used - cached)
        return None

    def kill(self, limit_s: float = 10.0) -> frozenset[int]:
        """Kill all in it; gives what is still there after ``limit_s`` seconds (nothing, as a rule)."""
        end = time.monotonic() + limit_s
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                return pids
            time.sleep(0.05)
        return frozenset()

    def remove(self, limit_s: float = 5.0) -> bool:
        """Remove it with all below it; False if some of it is still busy after ``limit_s`` seconds."""
        end = time.monotonic() + limit_s
        while True:
            for directory in self.directories:
                for path in sorted(_walk_directories(directory), key=lambda p: len(p.parts), reverse=True):
                    with contextlib.suppress(OSError):
                        path.rmdir()
            if not any(d.exists() for d in self.directories):
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.1)


def group(path: str) -> Group:
    """A group on this machine, whether it is there or not."""
    return Group(path, mounted())


def _delegate(directory: Path) -> None:
    """Version 2: let the children of a group have the controllers that it has."""
    available = (directory / "cgroup.controllers").read_text().split()
    enabled = (directory / "cgroup.subtree_control").read_text().split()
    for controller in V2_CONTROLLERS:
        if controller in available and controller not in enabled:
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """Version 1: a new cpuset is empty, and takes no process before it has processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (child / name).read_text().strip():
            (child / name).write_text((parent / name).read_text())


def _walk_directories(directory: Path) -> list[Path]:
    return [Path(root) for root, _, _ in os.walk(directory)]


def _walk_procs(directory: Path) -> list[Path]:
    return [path / "cgroup.procs" for path in _walk_directories(directory)]
