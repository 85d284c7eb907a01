"""Role triton on a standing cluster: what it serves, who can reach it, what its pods may do, how it heals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf -n serving"
QUESTION = json.dumps({"text_input": "What's the capital of Texas?"}).replace("'", "'\\''")


@pytest.fixture
def host(head: NodeHost) -> Any:
    """The head node: a control plane with an address on the external network."""
    return head.host


@pytest.fixture
def served(site: SiteModel) -> list[dict[str, Any]]:
    """The site's served models."""
    models: list[dict[str, Any]] = site.to_dict()["serving"]
    return models


@pytest.fixture
def objects(host: Any) -> Callable[[str], list[dict[str, Any]]]:
    """Objects of a kind in the namespace of the served models."""

    def get(kind: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(host.check_output(f"{KUBECTL} get {kind} -o json"))["items"]
        return items

    return get


@pytest.fixture
def pod(objects: Callable[[str], list[dict[str, Any]]]) -> dict[str, Any]:
    """One running replica."""
    return next(one for one in objects("pods") if "deletionTimestamp" not in one["metadata"])


def url(model: dict[str, Any], path: str) -> str:
    return f"http://{model['vip']}:{model['http_port']}/v2/{path}"


def answer_of(host: Any, model: dict[str, Any]) -> str:
    """What the published address says to the design's question; empty when it does not answer."""
    ask = f"curl -sS --max-time 20 -d '{QUESTION}' {url(model, 'models/' + model['name'] + '/generate')}"
    done = host.run(ask)
    return str(json.loads(done.stdout).get("text_output", "")) if done.rc == 0 and done.stdout else ""


def test_every_replica_answers(objects: Any, served: list[dict[str, Any]]) -> None:
    deployments = {one["metadata"]["name"]: one for one in objects("deployments")}
    for model in served:
        assert deployments[model["name"]]["status"].get("readyReplicas") == model["replicas"]


def test_the_published_address_answers_whole_and_in_pieces(host: Any, served: list[dict[str, Any]]) -> None:
    for model in served:
        assert answer_of(host, model) == "The capital of Texas is Austin."
        stream = url(model, f"models/{model['name']}-stream/generate_stream")
        lines = host.check_output(f"curl -sSN --max-time 20 -d '{QUESTION}' {stream}").splitlines()
        pieces = [json.loads(line.removeprefix("data: "))["text_output"] for line in lines if line]
        assert "".join(pieces) == "The capital of Texas is Austin." and len(pieces) > 4


def test_nobody_changes_what_is_served(host: Any, served: list[dict[str, Any]]) -> None:
    for model in served:
        path = url(model, f"repository/models/{model['name']}/unload")
        assert host.check_output(f"curl -sS -o /dev/null -w '%{{http_code}}' -X POST {path}") == "403"


def test_replicas_hold_the_gpus_they_were_promised(
    host: Any, objects: Any, served: list[dict[str, Any]]
) -> None:
    promised = {model["name"]: model["gpus"] for model in served}
    for one in objects("pods"):
        labels = one["metadata"]["labels"]
        name = one["metadata"]["name"]
        shown = host.check_output(f"{KUBECTL} exec {name} -c triton -- printenv NVIDIA_VISIBLE_DEVICES")
        assert len(shown.strip().split(",")) == promised[labels["app.kubernetes.io/instance"]]


def test_a_pod_may_do_nothing_but_serve(host: Any, pod: dict[str, Any]) -> None:
    name = pod["metadata"]["name"]
    status = host.check_output(f"{KUBECTL} exec {name} -c triton -- cat /proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split()[0] == "1000"
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    for forbidden in ("touch /etc/x", "touch /repository/x", "test -e /var/run/secrets/kubernetes.io"):
        assert host.run(f"{KUBECTL} exec {name} -c triton -- {forbidden}").rc != 0, forbidden


def test_a_pod_reaches_nothing(host: Any, pod: dict[str, Any]) -> None:
    dial = "timeout 3 bash -c 'exec 3<>/dev/tcp/$KUBERNETES_SERVICE_HOST/443'"
    assert host.run(f'{KUBECTL} exec {pod["metadata"]["name"]} -c triton -- sh -c "{dial}"').rc != 0


def test_metrics_are_not_for_everybody(
    host: Any, pod: dict[str, Any], served: list[dict[str, Any]], site: SiteModel
) -> None:
    """A pod elsewhere reaches the model, not its metrics; the API's proxy reaches them."""
    image = f"{site.registry}/rackwright/busybox:{site.versions['busybox']}"
    address = pod["status"]["podIP"]
    fetches = (f"wget -qT5 -O- http://{address}:{path}; echo rc=$?" for path in ("8000/v2", "8002/metrics"))
    script = "; ".join(fetches)
    client = f"{KUBECTL.replace('-n serving', '-n default')}"
    host.run(f"{client} delete pod triton-visitor --now --ignore-not-found")
    made = host.run(
        f"{client} run triton-visitor --image={image} --restart=Never --command -- sh -c '{script}'"
    )
    assert made.rc == 0, made.stderr
    try:
        host.check_output(
            f"{client} wait pod/triton-visitor --for=jsonpath={{.status.phase}}=Succeeded --timeout=90s"
        )
        said = host.check_output(f"{client} logs triton-visitor")
    finally:
        host.run(f"{client} delete pod triton-visitor --now --ignore-not-found")
    assert "rc=0" in said and "rc=1" in said and "nv_inference" not in said
    path = f"/api/v1/namespaces/serving/pods/{pod['metadata']['name']}:8002/proxy/metrics"
    assert "nv_inference_request_success" in host.check_output(f"{KUBECTL} get --raw {path}")


def test_a_dead_model_process_is_noticed_and_replaced(host: Any, pod: dict[str, Any]) -> None:
    """Triton itself would go on calling the model ready for ever."""
    name = pod["metadata"]["name"]

    def state() -> dict[str, Any]:
        found = json.loads(host.check_output(f"{KUBECTL} get pod {name} -o json"))
        statuses: list[dict[str, Any]] = found["status"]["containerStatuses"]
        return statuses[0]

    before = state()["restartCount"]
    victim = (
        "for p in /proc/[0-9]*; do grep -qa /[1]/model.py $p/cmdline && kill -9 ${p#/proc/} && exit; done"
    )
    host.run(f"{KUBECTL} exec {name} -c triton -- bash -c '{victim}'")
    until = time.monotonic() + 240
    noticed = False
    while time.monotonic() < until:
        now = state()
        noticed = noticed or not now["ready"]
        if now["restartCount"] > before and now["ready"]:
            break
        time.sleep(3)
    assert noticed and state()["restartCount"] > before and state()["ready"]
