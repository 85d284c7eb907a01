"""The machine's own apt sources say where Debian's packages come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.debian import archive
from rackwright.errors import UsageError

DEB822 = """\
Types: deb
# http://snapshot.example/archive
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def apt(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "main", "security"),
    [
        (
            "sources.list.d/debian.sources",
            DEB822,
            "http://mirror.example/debian",
            "http://mirror.example/debian-security",
        ),
        (
            "sources.list",
            "# deb http://no.example/debian x main\ndeb [arch=all a=b] https://yes.example/debian/ x y\n",
            "https://yes.example/debian",
            "https://yes.example/debian-security",
        ),
    ],
)
def test_the_machines_own_archive_is_used(
    tmp_path: Path, name: str, text: str, main: str, security: str
) -> None:
    assert archive(apt(tmp_path, name, text)) == (main, security)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list.d/debian.sources", DEB822.replace("Types", "Enabled: no\nTypes")),
        ("sources.list", "deb http://packages.example/apt cloud main\n"),
        ("sources.list", "deb-src http://src.example/debian x main\n"),
        ("sources.list.d/google.list.disabled", "deb http://mirror.example/debian x main\n"),
    ],
)
def test_without_one_it_says_so(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UsageError, match="no Debian archive"):
        archive(apt(tmp_path, name, text))
