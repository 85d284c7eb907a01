"""What ``bundle verify`` finds, and that it names it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from rackwright.cli.main import main
from rackwright.errors import UsageError
from rackwright.mirror.api import read_lock, verify_bundle
from rackwright.mirror.lock import LOCK, LOCK_SUM
from rackwright.mirror.signing import SigningKey, signature_fault


def replace(path: Path, content: bytes) -> None:
    """Change a file of the bundle without touching the step's result that it is a link to."""
    path.unlink()
    path.write_bytes(content)


def test_a_fresh_bundle_is_whole_and_its_lock_checks_with_sha256sum(bundle: Path) -> None:
    assert verify_bundle(bundle) == []
    lock = read_lock(bundle)
    assert [entry.path for entry in lock.entries] == ["store/a", "store/b", "store/c"]
    assert lock.release == "test"
    assert (
        subprocess.run(["sha256sum", "--check", "--quiet", LOCK_SUM], cwd=bundle, check=False).returncode == 0
    )


def test_a_flipped_byte_is_named_with_both_checksums(bundle: Path) -> None:
    replace(bundle / "store/b", b"betb")
    (problem,) = verify_bundle(bundle)
    assert problem.file == "store/b"
    assert problem.expected.startswith("sha256 ") and problem.found.startswith("sha256 ")
    assert problem.expected != problem.found
    assert "--repair" in problem.next_command


def test_a_truncated_file_is_named_with_both_sizes(bundle: Path) -> None:
    replace(bundle / "store/c", b"gam")
    (problem,) = verify_bundle(bundle)
    assert (problem.file, problem.expected, problem.found) == ("store/c", "5 bytes", "3 bytes")


def test_missing_and_extra_files_are_named(bundle: Path) -> None:
    (bundle / "store/a").rename(bundle / "store/z")
    missing, extra = verify_bundle(bundle)
    assert (missing.file, missing.found) == ("store/a", "no such file")
    assert extra.file == "store/z" and str(bundle / "store/z") in extra.next_command


def test_a_link_in_the_place_of_a_file_is_no_file(bundle: Path) -> None:
    (bundle / "store/a").unlink()
    (bundle / "store/a").symlink_to("b")
    assert [problem.file for problem in verify_bundle(bundle)] == ["store/a"]


def test_an_edited_lock_is_noticed(bundle: Path) -> None:
    document = json.loads((bundle / LOCK).read_text())
    document["release"] = "other"
    (bundle / LOCK).write_text(json.dumps(document))
    (problem,) = verify_bundle(bundle)
    assert problem.file == LOCK


@pytest.mark.parametrize(
    "text", ["", "{", '{"schema": 99, "release": "x", "entries": []}', '{"entries": [1]}']
)
def test_an_unreadable_lock_is_the_users_business(bundle: Path, text: str) -> None:
    (bundle / LOCK).write_text(text)
    with pytest.raises(UsageError):
        read_lock(bundle)


def test_no_bundle_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(tmp_path)]) == 2
    assert "rackwright bundle build" in capsys.readouterr().err


def test_the_command_names_the_file_and_returns_1(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(bundle)]) == 0
    replace(bundle / "store/b", b"betb")
    assert main(["bundle", "verify", str(bundle)]) == 1
    assert "store/b: changed (file one 1)" in capsys.readouterr().out


def test_list_shows_a_line_for_each_component(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "list", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["file", "one", "1"], ["file", "two", "1"]]


def test_a_signature_holds_until_the_text_changes(tmp_path: Path) -> None:
    key = SigningKey(tmp_path / "keys")
    fingerprint = key.ensure()
    assert key.ensure() == fingerprint and (tmp_path / "keys").stat().st_mode & 0o077 == 0
    release = tmp_path / "Release"
    release.write_text("Suite: stable\n")
    key.sign(release)
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(key.public())
    signed = tmp_path / "InRelease"
    assert signature_fault(ring, signed) is None
    signed.write_text(signed.read_text().replace("stable", "stabel"))
    assert signature_fault(ring, signed)
    # no agent is left behind
    agents = subprocess.run(["pgrep", "-f", f"gpg-agent.*{tmp_path}"], capture_output=True, check=False)
    assert agents.returncode == 1
