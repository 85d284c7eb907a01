"""The lab command's own logic: which lab is meant, what is run."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from rackwright.cli import lab as cli
from rackwright.errors import UsageError
from rackwright.lab import lab


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.register(parser.add_subparsers())
    return parser.parse_args(["lab", *argv])


def test_the_labs_name_is_the_sites(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("plugin: rackwright_site\nname: one\n")
    assert cli._name(parse("down", str(tmp_path))) == "one"
    assert cli._name(parse("down", str(tmp_path / "site.yml"), "--name", "two")) == "two"


def test_a_broken_site_can_be_taken_down(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("name: one\nnetworks: [\n")
    assert cli._name(parse("down", str(tmp_path))) == "one"


def test_no_lab_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which lab"):
        cli._name(parse("status"))
    with pytest.raises(UsageError, match="does not exist"):
        cli._name(parse("down", str(tmp_path / "none")))


def test_the_command_is_passed_on_as_it_is() -> None:
    for given in (["--name", "x", "site"], ["site", "--name", "x"], ["site", "--name=x"]):
        args = parse("run", *given, "--", "ansible", "-m", "ping", "--", "--name")
        assert cli._command(args, needed=True) == ["ansible", "-m", "ping", "--", "--name"]
        assert args.name == "x"
    assert cli._command(parse("shell", "site", "n1"), needed=False) == []
    with pytest.raises(UsageError, match="no command"):
        cli._command(parse("run", "site"), needed=True)


@pytest.mark.parametrize(("text", "size"), [("4G", 4 * 2**30), ("512MiB", 2**29), ("100", 100), ("1k", 1024)])
def test_sizes(text: str, size: int) -> None:
    assert cli._size(text) == size


def test_a_bad_size_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a size"):
        cli._size("4 apples")


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="mmdebstrap") as caught:
        lab.require_programs()
    assert "systemd-container" in caught.value.hint
