"""The decisions that could destroy a cluster: who may start one, and which etcd member may be removed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.rackwright_cluster import ClusterError, Member
from ansible.module_utils.rackwright_membership import (
    Look,
    established,
    founder,
    judge,
    may_recover,
    removable,
)

ORDER = ["cp-1", "cp-2", "cp-3"]
ADDRESSES = {"cp-1": "10.0.0.1", "cp-2": "10.0.0.2", "cp-3": "10.0.0.3"}


def seen(name: str, **more: Any) -> dict[str, Any]:
    return Look(name, ADDRESSES[name], True, **more).as_dict()


def member(name: str, state: str) -> Member:
    published = "" if state == "unstarted" else name
    return Member("a1", published, f"https://{ADDRESSES[name]}:2380", learner=state != "voter")


def test_an_empty_site_is_started_on_its_first_control_plane() -> None:
    assert founder({name: seen(name) for name in ORDER}, ORDER, []) == "cp-1"


def test_no_cluster_is_started_where_one_works() -> None:
    looks = {"cp-1": seen("cp-1"), "cp-2": seen("cp-2", operational=True, data=True), "cp-3": None}
    assert founder(looks, ORDER, []) is None


def test_a_reinstalled_first_control_plane_does_not_start_a_second_cluster_while_the_others_are_off() -> None:
    looks = {"cp-1": seen("cp-1"), "cp-2": None, "cp-3": None}
    with pytest.raises(ClusterError) as caught:
        founder(looks, ORDER, [])
    assert "cp-2, cp-3 may hold the cluster" in caught.value.cause
    assert '{"kubernetes_found_without": ["cp-2", "cp-3"]}' in caught.value.next_command
    assert founder(looks, ORDER, ["cp-2", "cp-3"]) == "cp-1"


def test_a_cluster_without_quorum_is_not_started_anew() -> None:
    looks = {
        "cp-1": seen(
            "cp-1", stage="partial", data=True, complete=True, reasons=["etcd here does not answer"]
        ),
        "cp-2": seen(
            "cp-2", stage="partial", data=True, complete=True, reasons=["etcd here does not answer"]
        ),
        "cp-3": None,
    }
    with pytest.raises(ClusterError) as caught:
        founder(looks, ORDER, ORDER)
    assert "no quorum" in caught.value.cause
    assert "etcd here does not answer" in caught.value.evidence


def test_one_member_of_several_is_not_started_anew_either() -> None:
    members = [{"id": "1", "name": name, "peer": "", "learner": False} for name in ORDER]
    looks = {name: seen(name) for name in ORDER} | {"cp-2": seen("cp-2", data=True, members=members)}
    with pytest.raises(ClusterError):
        founder(looks, ORDER, [])


def test_an_init_that_was_killed_is_finished_where_it_ran() -> None:
    looks = {name: seen(name) for name in ORDER}
    assert founder(looks | {"cp-2": seen("cp-2", data=True, stage="partial")}, ORDER, []) == "cp-2"
    unfounded = seen("cp-3", data=True, stage="partial", unfounded=["addon coredns"], api_ready=True)
    assert founder(looks | {"cp-3": unfounded}, ORDER, []) == "cp-3"


def test_nobody_to_start_it() -> None:
    with pytest.raises(ClusterError) as caught:
        founder(dict.fromkeys(ORDER), ORDER, ORDER)
    assert caught.value.cause == "no control plane can be reached"


@pytest.mark.parametrize(
    ("state", "data", "forced", "goes"),
    [
        ("learner", True, False, True),
        ("unstarted", True, False, True),
        ("voter", False, False, True),
        ("voter", True, False, False),
        ("voter", True, True, True),
    ],
)
def test_which_etcd_member_may_go(state: str, data: bool, forced: bool, goes: bool) -> None:
    members = [member("cp-1", "voter"), member("cp-2", state)]
    found = removable(members, seen("cp-2", data=data), forced)
    assert (found == members[1]) is goes


def test_no_member_of_another_node_goes() -> None:
    assert removable([member("cp-1", "voter")], seen("cp-2", data=True), True) is None


NODE = {
    "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
    "spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]},
}


def test_a_member_without_faults_is_joined() -> None:
    one = Look("cp-1", "10.0.0.1", True, complete=True, api_ready=True)
    judge(one, NODE)
    assert (one.stage, one.remedy) == ("joined", "none")


def test_a_join_killed_at_its_very_end_only_lacks_its_mark() -> None:
    one = Look("cp-1", "10.0.0.1", True, complete=True, api_ready=True, data=True)
    judge(one, {"metadata": {"labels": {}}, "spec": {}})
    assert (one.stage, one.remedy) == ("partial", "mark")


@pytest.mark.parametrize(
    ("complete", "learner", "recovers"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_only_a_whole_node_is_waited_for(complete: bool, learner: bool, recovers: bool) -> None:
    one = Look(
        "cp-1",
        "10.0.0.1",
        True,
        complete=complete,
        learner=learner,
        data=True,
        reasons=["etcd does not answer"],
    )
    judge(one, None)
    assert one.remedy == "reset"
    assert may_recover(one) is recovers


def test_an_administrator_without_rights_is_not_waited_for() -> None:
    refused = ["the API can't be asked: GET /api/v1/nodes/cp-1: 403 forbidden"]
    one = Look("cp-1", "10.0.0.1", True, complete=True, data=True, reasons=refused)
    judge(one, None)
    assert not may_recover(one)


@pytest.mark.parametrize(
    ("control_plane", "complete", "standing", "authority", "stays"),
    [
        (True, True, "voter", "ours", True),
        (True, False, "voter", "ours", True),
        (True, True, "learner", "ours", False),
        (True, True, "none", "ours", False),
        (False, True, "none", "ours", True),
        (False, True, "none", "another cluster's", False),
        (False, False, "none", "ours", False),
    ],
)
def test_who_is_never_undone_unasked(
    control_plane: bool, complete: bool, standing: str, authority: str, stays: bool
) -> None:
    one = {"control_plane": control_plane, "complete": complete, "authority": authority}
    assert established(one, standing, "ours") is stays
