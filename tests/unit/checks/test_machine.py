"""Whether a machine is fit: each line good and bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.checks.machine import (
    GIB,
    PROGRAMS,
    examine,
    judge_disk,
    judge_go,
    judge_memory,
    judge_programs,
    memory_available,
)


def test_memory_is_read_in_bytes() -> None:
    assert memory_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n") == 2048 * 1024
    with pytest.raises(ValueError, match="no MemAvailable"):
        memory_available("MemTotal: 9 kB\n")


def test_memory_must_hold_the_nodes() -> None:
    assert judge_memory(16 * GIB, 11).ok
    assert judge_memory(16 * GIB, 4, 3, 4 * GIB).ok
    assert not judge_memory(14 * GIB, 4, 3, 4 * GIB).ok
    short = judge_memory(8 * GIB, 11)
    assert not short.ok
    assert "11 nodes need" in short.evidence
    assert short.remedy


def test_a_cold_bundle_needs_more_disk() -> None:
    assert judge_disk(20 * GIB, 4, True, Path("/c")).ok
    assert not judge_disk(20 * GIB, 4, False, Path("/c")).ok


def test_missing_programs_are_named_with_their_package() -> None:
    assert judge_programs(lambda program: f"/usr/bin/{program}").ok
    bad = judge_programs(lambda program: None if program == "systemd-nspawn" else "x")
    assert "systemd-nspawn" in bad.evidence
    assert PROGRAMS["systemd-nspawn"] in bad.remedy


def test_no_go_is_said_with_a_remedy() -> None:
    assert judge_go("go1.26 linux/amd64").ok
    assert "Go 1.26" in judge_go(None).remedy


def test_this_machine_is_examined_without_leaving_anything(tmp_path: Path) -> None:
    lines = list(examine(tmp_path / "not" / "yet", 4, True))
    assert {line.name for line in lines} >= {"root", "programs", "memory", "disk", "processors"}
    assert all(line.evidence for line in lines)
    assert not (tmp_path / "not").exists()
