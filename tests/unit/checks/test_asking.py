"""How often the workstation asks: once, or again where the site says that its machines are slow."""

from __future__ import annotations

import pytest

from rackwright.checks import WORKSTATION, Check, Evidence, Output
from rackwright.checks import run as checking
from rackwright.checks.base import Need, Request, Verdict


def asked(patience: float, refusals: int) -> tuple[str, str, int]:
    """Result and evidence of a check whose request is refused so often, and how often it was made."""
    made: list[Output] = []

    def ask(_: Evidence) -> Output:
        made.append(Output(0, "Austin") if len(made) >= refusals else Output(-1, "", "Connection refused"))
        return made[-1]

    def judge(evidence: Evidence) -> Verdict:
        return Verdict(True, evidence.text(WORKSTATION, "question"))

    evidence = Evidence()
    check = Check("serving.http", "serving", "t", (Need(WORKSTATION, Request("question", ask)),), judge)
    checking.ask_workstation([check], evidence, patience)
    result = check.evaluate(evidence)
    return result.result, result.evidence, len(made)


@pytest.mark.parametrize(
    ("patience", "refusals", "expected"),
    [
        (1.0, 0, ("passed", "Austin", 1)),
        (1.0, 1, ("failed", "'question' failed on workstation: Connection refused", 1)),
        (5.0, 0, ("passed", "Austin", 1)),
        (5.0, 2, ("passed", "Austin (asked up to 3 times)", 3)),
    ],
)
def test_a_request_without_an_answer(
    patience: float, refusals: int, expected: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "AGAIN_AFTER_S", 0.01)
    assert asked(patience, refusals) == expected


def test_it_isnt_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(checking, "LONGER_S", 0.2)
    result, evidence, made = asked(2.0, 1000)
    assert (result, made <= 5) == ("failed", True)
    assert evidence.endswith(f"refused (asked up to {made} times)")
