"""What is waited for, and what is said when it does not come."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.rackwright_cluster import ClusterError, scrub
from ansible.module_utils.rackwright_rollout import shortfall, wait_for

DEPLOYMENT = {"kind": "Deployment", "namespace": "ns", "name": "web"}
DAEMONS = {"kind": "DaemonSet", "namespace": "ns", "name": "agent"}


class FakeApi:
    """Answers from a table; paths by their beginning."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self.objects = objects

    def get(self, path: str) -> Any:
        return self.objects.get(path.split("?")[0])

    def ask(self, method: str, path: str, *_: Any) -> tuple[int, Any]:
        return 200, self.objects.get(path.split("?")[0], "")


def deployment(**status: int) -> dict[str, Any]:
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": 2, **status},
    }


def node(name: str, ready: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


PATH = "/apis/apps/v1/namespaces/ns/deployments/web"
AGENTS = "/apis/apps/v1/namespaces/ns/daemonsets/agent"
PODS = "/api/v1/namespaces/ns/pods"


def test_a_deployment_counts_when_updated_and_ready() -> None:
    assert shortfall(FakeApi({PATH: deployment(updatedReplicas=2, readyReplicas=2)}), DEPLOYMENT) is None
    lacking = shortfall(FakeApi({PATH: deployment(updatedReplicas=1, readyReplicas=2)}), DEPLOYMENT)
    assert lacking == "Deployment web: 2 of 2 ready, 1 up to date"
    assert shortfall(FakeApi({}), DEPLOYMENT) == "Deployment web does not exist"


def test_an_older_generation_does_not_count() -> None:
    found = deployment(updatedReplicas=2, readyReplicas=2)
    found["status"]["observedGeneration"] = 1
    assert "not seen" in (shortfall(FakeApi({PATH: found}), DEPLOYMENT) or "")


@pytest.mark.parametrize(("ready", "lacks"), [("Unknown", False), ("False", True), ("True", True)])
def test_a_daemon_on_a_node_that_is_off_is_not_waited_for(ready: str, lacks: bool) -> None:
    daemons = {
        "metadata": {"generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": 2,
            "updatedNumberScheduled": 2,
            "numberReady": 1,
        },
    }
    objects = {
        AGENTS: daemons,
        "/api/v1/nodes": {"items": [node("a", "True"), node("b", ready)]},
        PODS: {"items": [{"spec": {"nodeName": "b"}}]},
    }
    assert (shortfall(FakeApi(objects), DAEMONS) is not None) is lacks


def test_allocatable_resources_have_to_be_exactly_the_catalogues() -> None:
    target = {"kind": "Allocatable", "name": "gpu-1", "resource": "nvidia.com/gpu", "count": 4}
    path = "/api/v1/nodes/gpu-1"
    assert shortfall(FakeApi({path: {"status": {"allocatable": {"nvidia.com/gpu": "4"}}}}), target) is None
    assert (
        shortfall(FakeApi({path: {"status": {"allocatable": {}}}}), target)
        == "gpu-1: nvidia.com/gpu 0, not 4"
    )


def test_a_failure_names_pod_event_log_cause_and_next_command() -> None:
    pod = {
        "metadata": {"name": "web-1", "namespace": "ns", "uid": "u1"},
        "spec": {"nodeName": "gpu-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": False,
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                    "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
                }
            ],
        },
    }
    objects = {
        PATH: deployment(updatedReplicas=2, readyReplicas=0),
        PODS: {"items": [pod]},
        f"{PODS}/web-1/log": "line 1\nno such model: capitals\n",
        "/api/v1/namespaces/ns/events": {"items": [{"reason": "BackOff", "message": "restarting"}]},
    }
    with pytest.raises(ClusterError) as caught:
        wait_for(FakeApi(objects), [DEPLOYMENT], 0, "Serving a model")
    text = caught.value.as_result()["msg"]
    for part in ("0 of 2 ready", "CrashLoopBackOff", "no such model: capitals", "event BackOff", "Error (1)"):
        assert part in text
    assert "ends soon after its start" in caught.value.cause
    assert caught.value.next_command == "kubectl -n ns describe pod web-1"


def test_secrets_are_taken_out_of_evidence() -> None:
    token, key = "abcdef.0123456789abcdef", "0123456789abcdef" * 4
    private = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
    text = scrub(f"kubeadm join --token {token} --certificate-key {key}\n{private}")
    assert token not in text
    assert key not in text
    assert "MIIE" not in text
