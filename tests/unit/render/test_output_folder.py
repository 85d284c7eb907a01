"""`render --output` leaves alone what it didn't write."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout

MINIMAL = (checkout() / "inventories/minimal/site.yml").read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of the minimal site, in a folder of its own."""
    path = tmp_path / "site" / "site.yml"
    path.parent.mkdir()
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def test_a_folder_with_other_files_is_refused_untouched(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site's own folder, say: rendering makes a folder hold what it renders and nothing else."""
    notes = site.parent / "notes" / "plan.txt"
    notes.parent.mkdir()
    notes.write_text("keep me\n", encoding="utf-8")
    assert main(["render", str(site), "--output", str(site.parent)]) == 2
    assert "site.yml" in capsys.readouterr().err
    assert main(["render", str(site), "--output", str(notes.parent)]) == 2
    assert site.read_text(encoding="utf-8") == MINIMAL
    assert notes.read_text(encoding="utf-8") == "keep me\n"


def test_an_earlier_rendering_is_brought_up_to_date(site: Path, tmp_path: Path) -> None:
    output = tmp_path / "files"
    assert main(["render", str(site), "--output", str(output)]) == 0
    stray = output / "old-node/etc/hosts"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"\xff not text")
    assert main(["render", str(site), "--output", str(output)]) == 0
    assert not stray.exists()
    assert main(["render", str(site), "--output", str(output), "--check"]) == 0


def test_a_file_in_the_place_of_the_folder_is_told_at_once(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(site), "--output", str(site)]) == 2
    assert "not a folder" in capsys.readouterr().err
    assert site.read_text(encoding="utf-8") == MINIMAL
