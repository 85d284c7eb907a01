"""Every check passes on good recorded evidence, and fails, saying why, on evidence that is bad in its own
way.
"""

from __future__ import annotations

import json

import pytest
from bad_evidence import BAD, Bad
from recorded_evidence import change, the_check

from rackwright.checks import CLUSTER, Evidence, all_checks
from rackwright.derive.model import SiteModel


def test_every_check_passes_on_the_recorded_evidence(minimal: SiteModel, recorded: Evidence) -> None:
    failed = [r for r in (c.evaluate(recorded) for c in all_checks(minimal)) if r.result != "passed"]
    assert failed == []


def test_a_passed_check_has_evidence_and_no_hint(minimal: SiteModel, recorded: Evidence) -> None:
    for check in all_checks(minimal):
        result = check.evaluate(recorded)
        assert result.evidence
        assert result.hint == ""


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.check}-{bad.says[:30]}")
def test_bad_evidence_fails_the_check_and_says_why(minimal: SiteModel, recorded: Evidence, bad: Bad) -> None:
    check = the_check(minimal, bad.check, bad.target or (bad.place if "-" in bad.place else ""))
    facts = {"rc": bad.rc, "stderr": bad.stderr} if bad.rc or bad.stderr else {}
    if bad.place == CLUSTER and bad.edit and bad.key in ("nodes", "node-metrics"):
        change(
            recorded, bad.place, bad.key, lambda text: json.dumps(json.loads(text))
        )  # one spacing for all edits
    change(recorded, bad.place, bad.key, bad.edit, **facts)
    result = check.evaluate(recorded)
    assert result.result == "failed"
    assert bad.says in result.evidence
    assert "Next: " in result.hint


def test_every_check_has_a_test_in_which_it_fails(minimal: SiteModel, reference: SiteModel) -> None:
    known = {check.id for model in (minimal, reference) for check in all_checks(model)}
    assert known == {bad.check for bad in BAD}


def test_without_any_evidence_every_check_fails_in_words(reference: SiteModel) -> None:
    for check in all_checks(reference):
        result = check.evaluate(Evidence())
        assert result.result == "failed"
        assert "gave no answer" in result.evidence
        assert result.hint


@pytest.mark.parametrize("state", ["~", "x", "-"])
def test_a_clock_between_two_choices_of_source_is_sound(
    minimal: SiteModel, recorded: Evidence, state: str
) -> None:
    """chrony drops a source for a moment when its packets come unevenly, and goes on by what it learnt of it."""
    change(recorded, "r760xa-1", "time-sources", lambda text: text.replace("^,*,", f"^,{state},"))
    result = the_check(minimal, "time.source", "r760xa-1").evaluate(recorded)
    assert result.result == "passed"
    assert "between two choices" in result.evidence
    change(recorded, "r760xa-1", "time-tracking", lambda text: text.replace("Normal", "Not synchronised"))
    assert the_check(minimal, "time.source", "r760xa-1").evaluate(recorded).result == "failed"


@pytest.mark.parametrize("state", ["Pending\t\tfalse\tContainerCreating", "Running\t\ttrue\t"])
def test_a_pod_that_does_one_thing_and_ends_may_be_at_it(
    minimal: SiteModel, recorded: Evidence, state: str
) -> None:
    """The volume that the run before asked for is cleaned up while this one looks."""
    pod = f"local-path-storage\thelper-pod-delete-pvc-1\tr760xa-1\t{state}"
    check = the_check(minimal, "nodes.pods", "")
    change(recorded, CLUSTER, "pods", lambda text: f"{text}{pod}\tNever\n")
    assert check.evaluate(recorded).result == "passed"
    if "Pending" in state:
        change(recorded, CLUSTER, "pods", lambda text: f"{text}{pod}\tAlways\n")
        assert check.evaluate(recorded).result == "failed"
