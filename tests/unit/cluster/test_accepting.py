"""Which servers are measured, and what is said of those that can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rackwright_acceptance as module
from ansible.module_utils import rackwright_accepting as accepting
from ansible.module_utils.rackwright_cluster import ClusterError

from rackwright.acceptance import job
from rackwright.acceptance.cluster import ordered, plan_of
from rackwright.site import load_site


class FakeApi:
    """Answers from a table, by path without its query."""

    server = "https://api"

    def __init__(self, objects: dict[str, Any]) -> None:
        self.objects = objects
        self.asked: list[tuple[str, str]] = []

    def get(self, path: str) -> Any:
        return self.objects.get(path.split("?")[0])

    def ask(self, method: str, path: str, *_: Any) -> tuple[int, Any]:
        self.asked.append((method, path))
        return 200, self.objects.get(path.split("?")[0], "")


def node(gpus: int, ready: str = "True") -> dict[str, Any]:
    return {
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"nvidia.com/gpu": str(gpus)},
        }
    }


def pod(name: str, gpus: int, phase: str = "Running", labels: dict[str, str] | None = None) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "metadata": {"name": name, "uid": "u", "namespace": "serving", "labels": labels or {}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "resources": {"limits": limits}}]},
        "status": {"phase": phase},
    }


def cluster(gpus: int, *pods: dict[str, Any], ready: str = "True") -> Any:
    return FakeApi({"/api/v1/nodes/n": node(gpus, ready), "/api/v1/pods": {"items": list(pods)}})


def test_all_gpus_that_a_server_offers_are_asked_for() -> None:
    assert accepting.free(cluster(8, pod("logs", 0), pod("done", 2, "Succeeded")), "n", 8) == 8
    # One lost: the Job must not wait for it for ever; that it is missing is the measurement's to say.
    assert accepting.free(cluster(7), "n", 8) == 7
    # An earlier run's is removed before.
    assert (
        accepting.free(
            cluster(8, pod("accept-n-x", 8, labels={"app.kubernetes.io/name": "acceptance"})), "n", 8
        )
        == 8
    )


@pytest.mark.parametrize(
    ("api", "evidence", "following"),
    [
        (cluster(2, pod("capitals-1", 1), pod("other", 1)), "in use by serving/capitals-1 (1), serving/other (1)",
         "kubectl drain n"),
        (cluster(0), "offers no nvidia.com/gpu", "--until gpu"),
        (cluster(2, ready="Unknown"), "isn't Ready", "describe node"),
        (FakeApi({}), "no such node", "rackwright rollout"),
    ],
)  # fmt: skip
def test_a_server_that_can_t_be_measured(api: Any, evidence: str, following: str) -> None:
    with pytest.raises(ClusterError) as caught:
        accepting.free(api, "n", 2)
    assert evidence in caught.value.evidence and following in caught.value.next_command


JOB = "/apis/batch/v1/namespaces/acceptance/jobs/accept-n"
PODS = "/api/v1/namespaces/acceptance/pods"


def run(status: dict[str, Any], *pods: dict[str, Any], log: str = "") -> Any:
    api: Any = FakeApi(
        {
            JOB: {"status": status},
            PODS: {"items": list(pods)},
            f"{PODS}/p/log": log,
            "/api/v1/namespaces/serving/events": {},
        }
    )
    template = {"spec": {"containers": [{"resources": {"limits": {}}}]}}
    meta = {"name": "accept-n", "namespace": "acceptance"}
    made = accepting.Run(
        api, "n", [{"metadata": meta}, {"metadata": meta, "spec": {"template": template}}], 2
    )
    assert template["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    return made


def over(kind: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True", "message": "Job was active too long"}]}


def test_the_log_is_taken_when_the_job_is_over() -> None:
    working = run({}, pod("p", 2))
    working.began = accepting.time.monotonic()
    assert working.log() is None
    assert run(over("Complete"), pod("p", 2, "Succeeded"), log="figures").log() == "figures"


def test_a_job_that_failed_says_the_pod_s_last_words() -> None:
    with pytest.raises(ClusterError) as caught:
        run(over("Failed"), pod("p", 2, "Failed"), log="a\nno space left").log()
    assert "Job was active too long" in caught.value.evidence and "no space left" in caught.value.evidence
    assert "describe pod" in caught.value.next_command


def test_an_image_that_can_t_be_pulled_isn_t_waited_for() -> None:
    one = pod("p", 2, "Pending")
    one["status"]["containerStatuses"] = [
        {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    ]
    with pytest.raises(ClusterError) as caught:
        run({}, one).log()
    assert "can't be pulled" in caught.value.cause


class Cluster(FakeApi):
    """Keeps what is applied; a Job that is made is over at once, and its pod has written `log`."""

    def __init__(self, nodes: dict[str, dict[str, Any]], pods: list[dict[str, Any]], log: str) -> None:
        kinds = {
            "/api/v1": {"Namespace": ("namespaces", False), "ConfigMap": ("configmaps", True)},
            "/apis/batch/v1": {"Job": ("jobs", True)},
            "/apis/networking.k8s.io/v1": {"NetworkPolicy": ("networkpolicies", True)},
        }
        super().__init__(
            {"/api/v1/pods": {"items": pods}, **{f"/api/v1/nodes/{n}": one for n, one in nodes.items()}}
        )
        for base, known in kinds.items():
            rows = [
                {"kind": kind, "name": name, "namespaced": inside} for kind, (name, inside) in known.items()
            ]
            self.objects[base] = {"resources": rows}
        self.log_text = log

    def ask(self, method: str, path: str, body: Any = None, *_: Any) -> tuple[int, Any]:
        self.asked.append((method, path.split("?")[0]))
        where = path.split("?")[0]
        if method == "PATCH":
            assert where.endswith(f"/{body['metadata']['name']}")
            self.objects[where] = {**body, "status": over("Complete")}
            if body["kind"] == "Job":
                one = pod("p", 0, "Succeeded", {"app.kubernetes.io/name": "acceptance"})
                self.objects[PODS] = {"items": [one]}
                self.objects[f"{PODS}/p/log"] = self.log_text
        if method == "DELETE":
            self.objects.pop(where, None)
            self.objects.pop(PODS, None)
        return 200, self.objects.get(where, {})


def servers() -> list[dict[str, Any]]:
    model = load_site("minimal")
    plan = plan_of({"models": [], "grid": [], "concurrency": [1], "seconds": 1.0})
    [one] = ordered(model, ["r760xa-1"], plan, job.Options("image"), Path("out"))
    return [{"name": one.name, "gpus": 4, "objects": one.objects()}]


def test_a_server_is_measured_and_nothing_of_it_is_left() -> None:
    wanted = servers()
    name = wanted[0]["name"]
    api: Any = Cluster({name: node(4)}, [], "figures")
    arguments = {"objects": job.shared(), "servers": wanted, "limit": 5}
    assert module.measure(api, arguments, check=True) == {name: {}}
    assert not any(method == "PATCH" for method, _ in api.asked)
    assert module.measure(api, arguments, check=False) == {name: {"driver": {}, "log": "figures"}}
    applied = [path for method, path in api.asked if method == "PATCH"]
    assert applied == [
        "/api/v1/namespaces/acceptance",
        "/apis/networking.k8s.io/v1/namespaces/acceptance/networkpolicies/closed",
        f"/api/v1/namespaces/acceptance/configmaps/accept-{name}",
        f"/apis/batch/v1/namespaces/acceptance/jobs/accept-{name}",
    ]
    assert not any(path.endswith(f"accept-{name}") for path in api.objects)


def test_a_server_in_use_is_left_alone() -> None:
    wanted = servers()
    name = wanted[0]["name"]
    api: Any = Cluster({name: node(4)}, [pod("capitals", 1)], "figures")
    found = module.measure(api, {"objects": job.shared(), "servers": wanted, "limit": 5}, check=False)
    assert "serving/capitals" in found[name]["failure"]["evidence"]
    assert not any(method == "PATCH" for method, _ in api.asked)
