"""What any command says when the machine refuses it a file, or can't print a character."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout


@pytest.mark.parametrize("command", [["book", "minimal"], ["render", "minimal"]])
def test_an_output_that_cannot_be_written_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below a file there is no folder to write into, whoever asks."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main([*command, "--output", str(tmp_path / "file" / "x")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(str(tmp_path / "file"))
    assert len(said.splitlines()) == 1


def test_a_name_that_is_too_long_is_a_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "a" * 5000]) == 2
    assert "File name too long" in capsys.readouterr().err


def test_a_book_takes_no_other_files_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The site file itself, say; an earlier book is written anew."""
    other = tmp_path / "site.yml"
    other.write_text("plugin: rackwright_site\n", encoding="utf-8")
    assert main(["book", "minimal", "--output", str(other)]) == 2
    assert "site.yml" in capsys.readouterr().err
    assert other.read_text(encoding="utf-8") == "plugin: rackwright_site\n"
    book = tmp_path / "book.html"
    assert main(["book", "minimal", "--output", str(book)]) == 0
    assert main(["book", "minimal", "--output", str(book)]) == 0


def test_a_terminal_without_unicode_shows_a_mark_instead() -> None:
    """The list of the rules holds characters beyond ASCII."""
    done = subprocess.run(
        [sys.executable, "-m", "rackwright.cli.main", "rules"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("text", ["[" * 5000, "9" * 5000], ids=["nested", "long number"])
def test_an_export_without_end_is_no_json(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "devices.json"
    export.write_text(text, encoding="utf-8")
    assert main(["import", "netbox", str(export), "--output", str(tmp_path / "site")]) == 2
    assert f"{export}:1:1: error: this is not JSON" in capsys.readouterr().err


def test_parts_of_a_site_end_in_either_of_yamls_endings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is passed over in silence is a rack that nobody misses until it is needed."""
    (tmp_path / "racks").mkdir()
    (tmp_path / "racks" / "a.yaml").write_text("---\nservers: none\n", encoding="utf-8")
    shutil.copy(checkout() / "inventories/minimal/site.yml", tmp_path)
    assert main(["validate", str(tmp_path)]) == 2
    assert "racks/a.yaml:2:10: error" in capsys.readouterr().err
