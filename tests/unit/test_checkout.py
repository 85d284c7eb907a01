"""What a clone must hold beyond the files' contents."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def committed_modes() -> dict[str, str]:
    listing = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.fail(f"git ls-files says: {listing.stderr.strip()}")
    return {
        path: mode
        for mode, path in ((line.split()[0], line.split("\t", 1)[1]) for line in listing.stdout.splitlines())
    }


@pytest.mark.parametrize(
    "path",
    [".ci/run", "scripts/setup", "scripts/rehearse", "scripts/test", "molecule/all", "benchmarks/by_hand.sh"],
)
def test_what_is_called_by_name_is_executable_in_a_clone(path: str) -> None:
    """A mode is lost as quietly as by an editor that writes the file anew; a clone then says Permission denied."""
    assert committed_modes()[path] == "100755"


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their bare names: of two alike it refuses one, but only when both are in a run."""
    run = ("tests/unit/", "tests/negative/", "tests/property/")
    names = [Path(path).name for path in committed_modes() if path.startswith(run) and "/test_" in path]
    assert sorted(set(names)) == sorted(names)
