"""Every role says what it takes, and says the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.render.role_reference import defaults, page, specifications

ROOT = Path(__file__).resolve().parents[3]
ROLES = ROOT / "roles"
SPECIFICATIONS = specifications(ROLES)


@pytest.mark.parametrize("role", sorted(SPECIFICATIONS))
def test_specification_and_defaults_are_the_same(role: str) -> None:
    options = SPECIFICATIONS[role].get("options") or {}
    assert {name: option.get("default") for name, option in options.items()} == defaults(ROLES / role)


@pytest.mark.parametrize("role", sorted(SPECIFICATIONS))
def test_variables_carry_the_role_s_name(role: str) -> None:
    assert [name for name in defaults(ROLES / role) if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize("role", sorted(SPECIFICATIONS))
def test_a_molecule_scenario_and_tests_go_with_it(role: str) -> None:
    assert (ROOT / "molecule" / role / "converge.yml").is_file()
    assert (ROOT / "tests" / "roles" / f"test_{role}.py").is_file()


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "reference" / "roles.md").read_text() == page(ROLES)
