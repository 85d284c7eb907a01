"""Failed tasks become text that a person can act on; secrets and dictionaries don't get through."""

from __future__ import annotations

from typing import Any

import pytest

from rackwright.rollout.diagnosis import LONGEST, diagnose, plain
from rackwright.rollout.timeline import Failure


def failure(message: str = "", host: str = "n1", status: Any = "failed", **facts: Any) -> Failure:
    reason = {"results": [{"msg": message, **facts}]}
    return Failure("nodes", "baseline: Install it", "rackwright_packages", host, status, reason)


def test_all_five_parts_are_there() -> None:
    said = str(
        diagnose(
            [failure("E: Unable to locate package foo")], "site.yml", "rackwright rollout x --resume", "log"
        )
    )
    for part in (
        "nodes: baseline: Install it",
        "n1",
        "Unable to locate package foo",
        "bundle",
        "rollout x --resume",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("Permission denied (publickey)", "does not accept the key"),
        ("write error: No space left on device", "a file system is full"),
        ("SSL: CERTIFICATE_VERIFY_FAILED certificate verify failed", "authority"),
        ("InRelease: NO_PUBKEY 1234", "not signed by the key"),
        ("Hash Sum mismatch", "not the one that was locked"),
        ("Could not resolve host: mirror", "name service"),
        ("ImagePullBackOff", "registry"),
        ("0/4 nodes: Insufficient nvidia.com/gpu", "fewer GPUs"),
        ("Job for chrony.service failed", "does not start"),
        ("timed out after 60 s", "longer than expected"),
    ],
)
def test_known_signs_name_their_cause(message: str, cause: str) -> None:
    assert cause in diagnose([failure(message)], "s", "again", "log").cause


def test_what_a_module_found_itself_goes_before_signs_in_its_evidence() -> None:
    told = "a pod is not ready\n  event: dial tcp: connection refused\n  likely cause: its probe fails\n  next: kubectl logs x"
    found = diagnose([failure(told)], "s", "again", "log")
    assert (found.cause, found.next_command.splitlines()[0]) == ("its probe fails", "kubectl logs x")
    assert found.evidence.splitlines()[-1].strip() == "event: dial tcp: connection refused"


def test_an_unreachable_host_is_said_to_be_off_or_elsewhere() -> None:
    found = diagnose([failure("some transport words", status="unreachable")], "s", "again", "log")
    assert "off, still booting" in found.cause


def test_an_unknown_failure_points_at_the_log() -> None:
    assert "the.log" in diagnose([failure("strange")], "s", "again", "the.log").cause


def test_every_host_of_the_first_failure_is_named_once() -> None:
    found = diagnose([failure("x", "b"), failure("x", "a"), failure("x", "b")], "s", "again", "log")
    assert found.where == "b, a"


def test_a_secret_result_is_not_shown() -> None:
    said = plain({"secret": True})
    assert "secret" in said
    assert "no_log" not in said


def test_outputs_are_shown_by_their_last_lines_and_not_twice() -> None:
    reason = {
        "results": [
            {"msg": "bad thing", "rc": 2, "stderr": "a\nb\nc\nd\ne\nf\ng\nbad end", "stdout": "bad thing"}
        ]
    }
    said = plain(reason)
    assert "exit status 2" in said
    assert said.endswith("bad end")
    assert "a\n" not in said
    assert said.count("bad thing") == 1


def test_items_are_named_and_length_is_bounded() -> None:
    said = plain({"results": [{"msg": "x" * 9000, "item": "sda"}]})
    assert said.startswith("[sda]")
    assert len(said) < LONGEST + 20


def test_no_failed_task_means_something_could_not_be_loaded() -> None:
    assert "could not be loaded" in diagnose([], "s", "again", "log").cause
