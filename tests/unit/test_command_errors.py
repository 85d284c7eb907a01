"""What any command says when the machine refuses it a file, or can't print a character."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rackwright.cli.main import main


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


def test_a_terminal_without_unicode_shows_a_mark_instead() -> None:
    """The list of the rules holds characters beyond ASCII."""
    done = subprocess.run(
        [sys.executable, "-m", "rackwright.cli.main", "rules"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
