"""A site that can only be planned is refused before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout

MINIMAL = (checkout() / "inventories/minimal/site.yml").read_text(encoding="utf-8")
UNSHIPPED = MINIMAL.replace("model: capitals-gpt", "model: llama-2-7b")
TWO_HEADS = MINIMAL.replace("roles: [control_plane]", "roles: [head, control_plane]", 1).replace(
    "\nswitches:", "\nhead:\n  vip: 10.40.0.9\n\nswitches:"
)


@pytest.mark.parametrize("command", ["rollout", "rehearse"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (UNSHIPPED, "minimal can't be rolled out: the weights of llama-2-7b aren't in the bundle"),
        (TWO_HEADS, "minimal can't be rolled out: it has two heads, r660-1 and r660-2"),
    ],
    ids=["weights", "two heads"],
)
def test_what_can_only_be_planned_is_refused(
    command: str,
    text: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site.yml").write_text(text, encoding="utf-8")

    assert main(["validate", "site.yml"]) == 0
    assert main([command, "site.yml"]) == 2

    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["site.yml"]


def test_plain_ansible_refuses_it_too(tmp_path: Path) -> None:
    site = tmp_path / "site.yml"
    site.write_text(TWO_HEADS, encoding="utf-8")
    task = ["-m", "rackwright_bundle", "-a", f"release=2026.11 destination={tmp_path}/mirror"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible",
            "adhoc",
            "localhost",
            "--check",
            *task,
            "-e",
            f"rackwright_site={site}",
        ],
        cwd=checkout(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "minimal can't be rolled out: it has two heads, r660-1 and r660-2" in done.stdout + done.stderr
