"""A file that would take a reader's stack or memory is refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.intent.bounds import DEPTH
from rackwright.intent.document import read_document


@pytest.mark.parametrize("levels", [DEPTH + 1, 1_000, 100_000])
def test_what_nests_too_deep_is_refused_at_its_line(tmp_path: Path, levels: int) -> None:
    file = tmp_path / "site.yml"
    file.write_text("plugin: rackwright_site\nsite: " + "[" * levels + "]" * levels + "\n", encoding="utf-8")
    (finding,) = read_document(file, "site.yml").findings
    assert (finding.rule, finding.line) == ("yaml-syntax", 2)
    assert "deep" in finding.message


def test_what_doubles_itself_by_aliases_is_refused(tmp_path: Path) -> None:
    """Ten tens of tens …: ten billion values in eleven lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    file = tmp_path / "site.yml"
    file.write_text("\n".join(lines), encoding="utf-8")
    (finding,) = read_document(file, "site.yml").findings
    assert (finding.rule, finding.line) == ("yaml-syntax", 7)
    assert "aliases" in finding.message


def test_ordinary_aliases_stay(tmp_path: Path) -> None:
    file = tmp_path / "site.yml"
    file.write_text("a: &a {b: [1, 2]}\nc: *a\n", encoding="utf-8")
    document = read_document(file, "site.yml")
    assert document.findings == []
    assert document.data["c"] == {"b": ["1", "2"]}


def test_a_character_that_is_no_text_is_told_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "site.yml"
    file.write_text("a: 1\nb: x\0y\n", encoding="utf-8")
    (finding,) = read_document(file, "site.yml").findings
    assert (finding.line, finding.column) == (2, 5)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path, make: object) -> None:
    file = tmp_path / "rack.yml"
    make(file)  # type: ignore[operator]
    (finding,) = read_document(file, "racks/rack.yml").findings
    assert (finding.file, finding.line) == ("racks/rack.yml", 1)
    assert "can't be read" in finding.message
