"""Where a node's control groups lie, on hosts of every kind. Directories stand for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lab.cgroups import Group, Hierarchy, hierarchies, is_unified

V1 = """\
30 24 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
32 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup systemd rw,xattr,release_agent=/x,name=systemd
34 30 0:28 /lxc/a /mnt/elsewhere rw,relatime - cgroup systemd rw,name=systemd
"""
HYBRID = V1 + "35 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup rw\n"
V2 = "31 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_version_1() -> None:
    found = hierarchies(V1)
    assert [str(h.root) for h in found] == [f"/sys/fs/cgroup/{n}" for n in ("cpuset", "memory", "systemd")]
    assert found[2].controllers == {"name=systemd"}
    assert not is_unified(found)


def test_hybrid() -> None:
    found = hierarchies(HYBRID)
    assert (found[-1].version, str(found[-1].root)) == (2, "/sys/fs/cgroup/unified")
    assert not is_unified(found)
    paths = [str(p) for p in Group("rw-a/n1", found).directories]
    assert "/sys/fs/cgroup/memory/rw-a/n1" in paths
    assert "/sys/fs/cgroup/unified/rw-a/n1" in paths


def test_version_2() -> None:
    found = hierarchies(V2)
    assert is_unified(found)
    assert Group("rw-a/n1", found).directories == (Path("/sys/fs/cgroup/rw-a/n1"),)


class Fake:
    """Makes new control groups come with their files, as the kernel would."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def __call__(self, path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        original(path, mode, parents, exist_ok)
        for name, content in self.files.items():
            if not (path / name).exists():
                (path / name).write_text(content)


original = Path.mkdir


def test_create_in_version_1_inherits_processors_and_limits_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuset, memory, cpu = tmp_path / "cpuset", tmp_path / "memory", tmp_path / "cpu"
    for directory in (cpuset, memory, cpu):
        directory.mkdir()
    (cpuset / "cpuset.cpus").write_text("0-1\n")
    (cpuset / "cpuset.mems").write_text("0\n")
    found = (
        Hierarchy(cpuset, 1, frozenset({"cpuset"})),
        Hierarchy(memory, 1, frozenset({"memory"})),
        Hierarchy(cpu, 1, frozenset({"cpu"})),
    )
    fake = Fake(
        {"cpuset.cpus": "\n", "cpuset.mems": "\n", "memory.limit_in_bytes": "max", "cpu.shares": "1024"}
    )
    monkeypatch.setattr(Path, "mkdir", lambda *a, **k: fake(*a, **k))
    group = Group("rw-a/n1", found)
    group.create(memory_limit=2**30, weight=8)
    group.create(memory_limit=2**30, weight=8)
    assert (cpu / "rw-a/n1/cpu.shares").read_text() == "8192"
    assert (cpuset / "rw-a/n1/cpuset.cpus").read_text() == "0-1\n"
    assert (cpuset / "rw-a/cpuset.mems").read_text() == "0\n"
    assert (memory / "rw-a/n1/memory.limit_in_bytes").read_text() == str(2**30)


def test_create_in_version_2_delegates_on_the_way_down_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids misc\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
    fake = Fake({"cgroup.controllers": "memory\n", "cgroup.subtree_control": "", "memory.max": "max"})
    monkeypatch.setattr(Path, "mkdir", lambda *a, **k: fake(*a, **k))
    Group("rw-a/n1", (Hierarchy(tmp_path, 2, frozenset()),)).create(memory_limit=4096)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "cpu memory pids\n"
    assert (tmp_path / "rw-a/cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "rw-a/n1/cgroup.subtree_control").read_text() == ""
    assert (tmp_path / "rw-a/n1/memory.max").read_text() == "4096"


def test_pids_of_a_whole_subtree(tmp_path: Path) -> None:
    deep = tmp_path / "rw-a/n1/kubepods/pod1"
    deep.mkdir(parents=True)
    (tmp_path / "rw-a/n1/cgroup.procs").write_text("11\n12\n")
    (deep / "cgroup.procs").write_text("13\n0\n")
    assert Group("rw-a/n1", (Hierarchy(tmp_path, 2, frozenset()),)).pids() == {11, 12, 13}


def test_memory_leaves_out_what_the_kernel_can_drop(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g/memory.usage_in_bytes").write_text("1000\n")
    (tmp_path / "g/memory.stat").write_text("inactive_file 1\ntotal_inactive_file 400\n")
    assert Group("g", (Hierarchy(tmp_path, 1, frozenset({"memory"})),)).memory() == 600
    assert Group("none", (Hierarchy(tmp_path, 1, frozenset({"memory"})),)).memory() is None


def test_remove_takes_empty_groups_and_is_harmless_twice(tmp_path: Path) -> None:
    (tmp_path / "rw-a/n1/x/y").mkdir(parents=True)
    group = Group("rw-a", (Hierarchy(tmp_path, 2, frozenset()),))
    assert group.remove()
    assert group.remove()
    assert not (tmp_path / "rw-a").exists()
