"""rackwright_files: all or nothing, honest about changes, quiet about secrets."""

from __future__ import annotations

import os
from pathlib import Path

from render_tools import Run


def wanted(path: Path, content: str = "one\n", **more: object) -> dict[str, object]:
    """One entry that the user who runs the tests may write."""
    return {
        "path": str(path),
        "content": content,
        "owner": str(os.getuid()),
        "group": str(os.getgid()),
        **more,
    }


def test_writes_then_changes_nothing(module: Run, tmp_path: Path) -> None:
    entries = [wanted(tmp_path / "a" / "x", mode="0640"), wanted(tmp_path / "y", "two\n")]
    first = module("rackwright_files", files=entries)
    assert first["changed"] and first["changed_paths"] == [str(tmp_path / "a" / "x"), str(tmp_path / "y")]
    assert (tmp_path / "a" / "x").stat().st_mode & 0o777 == 0o640
    assert not module("rackwright_files", files=entries)["changed"]


def test_check_mode_shows_the_diff_and_writes_nothing(module: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old\n")
    result = module("rackwright_files", check=True, files=[wanted(tmp_path / "x", mode="0644")])
    assert result["changed"] and result["diff"][0]["before"].startswith("old\n")
    assert (tmp_path / "x").read_text() == "old\n"


def test_refused_file_leaves_all_as_they_were(module: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    entries = [wanted(tmp_path / "a", "new\n"), wanted(tmp_path / "b", "x\n", validate="grep -q never %s")]
    result = module("rackwright_files", files=entries)
    assert result["failed"] and "refused by grep" in result["msg"]
    assert (tmp_path / "a").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "arguments.json"]


def test_secret_shows_neither_in_diff_nor_in_invocation(module: Run, tmp_path: Path) -> None:
    result = module(
        "rackwright_files", files=[wanted(tmp_path / "key", "hunter2\n", secret=True, mode="0600")]
    )
    assert result["changed"] and "hunter2" not in str(result)


def test_purge_removes_what_is_not_listed(module: Run, tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir(mode=0o755)
    (folder / "other.list").write_text("deb http://elsewhere\n")
    mine = {"owner": str(os.getuid()), "group": str(os.getgid())}
    entries = [wanted(folder / "ours"), {"path": str(folder), "state": "directory", "purge": True, **mine}]
    result = module("rackwright_files", files=entries)
    assert str(folder / "other.list") in result["changed_paths"]
    assert [path.name for path in folder.iterdir()] == ["ours"]
    assert not module("rackwright_files", files=entries)["changed"]


def test_existing_content_can_be_kept(module: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("theirs\n")
    (tmp_path / "x").chmod(0o644)
    assert not module("rackwright_files", files=[wanted(tmp_path / "x", create_only=True)])["changed"]
