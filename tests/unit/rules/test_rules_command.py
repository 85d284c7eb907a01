"""``rackwright rules``, and what every rule says of itself."""

from __future__ import annotations

import json

import pytest

from rackwright.cli.main import main
from rackwright.rules.engine import KNOWN, RULES

SOURCES = ("table", "figure", "chapter", "operations, ")


def test_there_are_sixty_rules_at_least() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES) >= 60


def test_every_rule_says_where_it_comes_from() -> None:
    for rule in KNOWN.values():
        assert rule.source.startswith(SOURCES), rule.id
        assert not rule.source.endswith("."), rule.id


def test_what_the_design_never_speaks_of_is_not_said_to_be_its_own() -> None:
    """Its text names four networks, but no VLAN, no MTU, no virtual address and no encryption of files."""
    words = ("VLAN", "MTU", "vip_range holds", "VIP lies", "encrypted")
    rules = [rule for rule in KNOWN.values() if any(word in rule.what for word in words)]
    assert len(rules) >= 9
    assert [rule.id for rule in rules if not rule.source.startswith("operations, ")] == []


def test_the_list_has_every_rule_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert sorted(line[0] for line in lines) == sorted(KNOWN)
    assert all(line[1] == KNOWN[line[0]].severity for line in lines)


def test_json_has_all_that_a_rule_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["id"] for one in listed} == set(KNOWN)
    for one in listed:
        assert set(one) == {"subject", "id", "severity", "what", "why", "mend", "source"}
        assert all(one.values())


def test_one_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "model-spread"]) == 0
    out = capsys.readouterr().out
    assert "Llama 2 70B eight, of one XE9680" in out
    assert "source:   chapter 5, models used for validation; table 3" in out


def test_an_unknown_rule_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "model-spred"]) == 2
    assert "did you mean 'model-spread'?" in capsys.readouterr().err
