"""The command: exit codes, formats, and what it refuses to write."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import jsonschema
import pytest
import yaml

from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.sizing.schemas import schemas

SCENARIO_1 = "models:\n  - {model: nemo-gpt-5b, users: 32}\n  - {model: nemo-gpt-20b, users: 64}\n"
SCHEMA = checkout() / "docs/reference/schemas/size.schema.json"


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    path = tmp_path / "workload.yml"
    path.write_text(SCENARIO_1, encoding="utf-8")
    return path


def test_done(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(workload)]) == 0
    assert "r760xa with h100-pcie        3    12     0           6" in capsys.readouterr().out


def test_json_is_as_its_schema_says(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(workload), "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(data, schema)
    assert data["best"] == "r760xa with h100-pcie"


def test_the_schemas_are_current() -> None:
    for path, schema in schemas().items():
        assert json.loads(path.read_text(encoding="utf-8")) == schema, (
            "run: python -m rackwright.sizing.schemas"
        )


def test_the_how_tos_workload_is_as_its_schema_says() -> None:
    """Editors complete and check a workload by it."""
    page = (checkout() / "docs/how-to/size-a-site.md").read_text(encoding="utf-8")
    workload = yaml.safe_load(textwrap.dedent(page.partition("```yaml\n")[2].partition("```")[0]))
    schema = json.loads((SCHEMA.parent / "workload.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(workload, schema)
    with pytest.raises(jsonschema.ValidationError, match="users"):
        jsonschema.validate({"models": [{"model": "nemo-gpt-5b"}]}, schema)


def test_it_cant_be_done(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload.write_text("models: [{model: nemo-gpt-5b, users: 32, p95_ms: 100}]\n", encoding="utf-8")
    out = workload.parent / "site.yml"
    assert main(["size", str(workload), "--site-file", str(out)]) == 1
    assert "possible with: a target of 1136 ms or more" in capsys.readouterr().out
    assert not out.exists()


def test_wrong_input(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload.write_text("models: [{model: nemo-gpt-5b, users: 0}]\n", encoding="utf-8")
    assert main(["size", str(workload)]) == 2
    assert f"{workload}:1:38: error: 'users' must be at least 1" in capsys.readouterr().err
    assert main(["size", str(workload.parent / "none.yml")]) == 2


def test_the_site_file_is_never_overwritten(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = workload.parent / "new" / "site.yml"
    assert main(["size", str(workload), "--site-file", str(out), "--plan", "xe8640 with h100-sxm"]) == 0
    first = out.read_text(encoding="utf-8")
    assert "profile: xe8640" in first
    assert main(["size", str(workload), "--site-file", str(out)]) == 2
    assert out.read_text(encoding="utf-8") == first
    assert main(["size", str(workload), "--site-file", str(out.with_name("b.yml")), "--plan", "xe9680"]) == 2
    assert (
        "possible: r760xa with h100-pcie, xe8640 with h100-sxm, xe9680 with h100-sxm"
        in capsys.readouterr().err
    )


def test_the_how_to_shows_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (checkout() / "docs/how-to/size-a-site.md").read_text(encoding="utf-8")
    blocks = {
        kind: textwrap.dedent(text) for kind, text in re.findall(r"```(\w+)\n(.*?)\n *```", page, re.DOTALL)
    }
    path = tmp_path / "workload.yml"
    path.write_text(blocks["yaml"], encoding="utf-8")
    assert main(["size", str(path)]) == 0
    assert capsys.readouterr().out == blocks["text"] + "\n"
