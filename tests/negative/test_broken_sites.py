"""Every broken site says exactly what it should, through the command, and its one fault is found by one rule.

After a wanted change of wording: ``RACKWRIGHT_UPDATE=1 pytest tests/negative``, then look at the difference.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.rules import release
from rackwright.rules.engine import KNOWN
from rackwright.site import validate

sys.path.insert(0, str(Path(__file__).parent))
from broken import FAMILIES
from broken.base import HERE, Mutation
from broken.sites import MADE, good

EXPECTED = Path(__file__).parent / "expected"
ALL = [(family, mutation) for family, mutations in FAMILIES.items() for mutation in mutations]
FINDING = re.compile(
    r"^(?P<file>[^:\s]+):(?P<line>\d+):(?P<column>\d+): (?P<severity>error|warning): .* \[(?P<rule>[a-z0-9-]+)\]$"
)
SECTION = re.compile(r"^== (\S+)\n", re.MULTILINE)
#: Warnings that a good site rightly has, by rule.
WARNINGS: dict[str, Counter[str]] = {}


@functools.cache
def expected(family: str) -> dict[str, str]:
    """What each broken site of a family says, by name."""
    path = EXPECTED / f"{family}.txt"
    parts = SECTION.split(path.read_text(encoding="utf-8"))[1:] if path.exists() else []
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(release, "today", lambda: datetime.date(2026, 11, 23))
    yield


@pytest.mark.parametrize(("family", "mutation"), ALL, ids=lambda value: getattr(value, "name", ""))
def test_says_what_is_wrong_at_its_place(
    family: str, mutation: Mutation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, line, column = mutation.write(good(mutation.site), Path())
    monkeypatch.setattr(release, "today", lambda: datetime.date.fromisoformat(mutation.today))

    code = main(["validate", "site.yml"])

    out, err = capsys.readouterr()
    if os.environ.get("RACKWRIGHT_UPDATE"):
        expected(family)[mutation.name] = err + out
        write(family)
    assert "Traceback" not in err
    assert err + out == expected(family)[mutation.name]
    found = [match.groupdict() for match in map(FINDING.match, err.splitlines()) if match]
    here = [(f["file"], int(f["line"]), int(f["column"])) == (file, line, column) for f in found]
    assert code == (2 if any(f["severity"] == "error" for f in found) else 0)
    # The fault is found where it was made, by its rule, once; all else is declared, with its reason.
    rules = [f["rule"] for f, at in zip(found, here, strict=True) if at]
    assert mutation.rule in rules, f"found {found}, wanted {mutation.rule} at {file}:{line}:{column}"
    elsewhere = Counter(f["rule"] for f in found) - Counter([mutation.rule])
    assert elsewhere.keys() == mutation.also.keys()


FIELDS = [
    m for family, m in ALL if family not in ("reading", "together") and m.site == "reference" and m.changes
]
PAIRS = [(one, FIELDS[(7 * index + 31) % len(FIELDS)]) for index, one in enumerate(FIELDS)][::3]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda mutation: mutation.name)
def test_two_faults_together_are_reported_like_one(
    one: Mutation, other: Mutation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule that meets what another rule forbids goes on: no traceback, and something is said of the site."""
    text = good("reference")["site.yml"]
    for old, new in (*one.changes, *other.changes):
        text = text.replace(old, new.replace(HERE, ""), 1)
    files = {**one.files, **other.files, "site.yml": text}
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content.replace(HERE, ""), encoding="utf-8")

    code = main(["validate", "site.yml"])

    shown = "".join(capsys.readouterr())
    assert code in (0, 2)
    assert "Traceback" not in shown
    assert any(f"[{rule}]" in shown for rule in (one.rule, other.rule)) or one.today != other.today


def write(family: str) -> None:
    """Write a family's expectations anew, in the order of its mutations."""
    names = [mutation.name for mutation in FAMILIES[family] if mutation.name in expected(family)]
    text = "".join(f"== {name}\n{expected(family)[name]}" for name in names)
    (EXPECTED / f"{family}.txt").write_text(text, encoding="utf-8")


def test_the_corpus_is_whole() -> None:
    names = Counter(mutation.name for _, mutation in ALL)
    assert len(names) == sum(names.values()) >= 200
    assert {path.stem for path in EXPECTED.iterdir()} == set(FAMILIES)
    for family, mutations in FAMILIES.items():
        assert list(expected(family)) == [mutation.name for mutation in mutations]


def test_every_rule_finds_some_broken_site() -> None:
    assert KNOWN.keys() - {mutation.rule for _, mutation in ALL} == set()


def test_every_further_finding_is_declared_with_its_reason() -> None:
    for _, mutation in ALL:
        assert mutation.rule in KNOWN
        assert all(rule in KNOWN and len(why) > 10 for rule, why in mutation.also.items()), mutation.name


def test_json_agrees_with_the_schema_and_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    family, mutation = ALL[-1]
    mutation.write(good(mutation.site), Path())

    assert main(["validate", "site.yml", "--format", "json"]) == 2

    findings = json.loads(capsys.readouterr().out)
    schema = checkout() / "docs/reference/schemas/validate.schema.json"
    jsonschema.validate(findings, json.loads(schema.read_text(encoding="utf-8")))
    text = expected(family)[mutation.name]
    for finding in findings:
        assert f"site.yml:{finding['line']}:{finding['column']}: {finding['severity']}: " in text
        assert finding["message"] in text
    assert text.count("site.yml:") == len(findings) + 1


@pytest.mark.parametrize(
    "site", sorted(path.parent.name for path in checkout().glob("inventories/*/site.yml"))
)
def test_the_good_sites_have_no_error(site: str) -> None:
    model, findings = validate(site)
    assert model is not None
    assert Counter(finding.rule for finding in findings) == WARNINGS.get(site, Counter())


@pytest.mark.parametrize("site", MADE)
def test_what_is_made_of_the_good_sites_is_good(site: str) -> None:
    Path("site.yml").write_text(good(site)["site.yml"], encoding="utf-8")
    assert validate("site.yml")[1] == []


def test_no_site_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "nowhere"]) == 2
    shown = capsys.readouterr().err
    assert "no site at 'nowhere'" in shown
    assert "minimal, reference" in shown
