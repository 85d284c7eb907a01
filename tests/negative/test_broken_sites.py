"""Every broken site says exactly what it should, through the command, with exit code 2 and no traceback.

After a wanted change of wording: ``RACKWRIGHT_UPDATE=1 pytest tests/negative``, then look at the difference.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout

sys.path.insert(0, str(Path(__file__).parent))
from mutations import MUTATIONS, Mutation

EXPECTED = Path(__file__).parent / "expected"


def good(site: str) -> str:
    return (checkout() / "inventories" / site / "site.yml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_says_exactly_what_is_wrong(mutation: Mutation, capsys: pytest.CaptureFixture[str]) -> None:
    Path("site.yml").write_text(mutation.apply(good(mutation.site)), encoding="utf-8")

    code = main(["validate", "site.yml"])

    shown = capsys.readouterr()
    golden = EXPECTED / f"{mutation.name}.txt"
    if os.environ.get("RACKWRIGHT_UPDATE"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(shown.err, encoding="utf-8")
    assert code == 2
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert shown.err == golden.read_text(encoding="utf-8")


def test_no_expectation_without_its_mutation() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == {mutation.name for mutation in MUTATIONS}
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25


def test_json_agrees_with_the_schema_and_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    many = MUTATIONS[-1]
    Path("site.yml").write_text(many.apply(good(many.site)), encoding="utf-8")

    assert main(["validate", "site.yml", "--format", "json"]) == 2

    findings = json.loads(capsys.readouterr().out)
    schema = checkout() / "docs/reference/schemas/validate.schema.json"
    jsonschema.validate(findings, json.loads(schema.read_text(encoding="utf-8")))
    expected = (EXPECTED / f"{many.name}.txt").read_text(encoding="utf-8")
    for finding in findings:
        assert f"site.yml:{finding['line']}:{finding['column']}: {finding['severity']}: " in expected
        assert finding["message"] in expected
    assert expected.count("site.yml:") == len(findings) + 1


@pytest.mark.parametrize("site", ["reference", "minimal"])
def test_the_good_sites_have_no_finding(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", site, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_no_site_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "nowhere"]) == 2
    shown = capsys.readouterr().err
    assert "no site at 'nowhere'" in shown
    assert "minimal, reference" in shown
