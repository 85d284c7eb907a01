"""Checks that put something into the cluster for a moment: a claim that binds and is written to, and a
network policy.

They are the only checks that alter anything; the namespace they make is removed in the same lane of commands,
whatever happened before, and a left-over of a killed run is taken away first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from rackwright.checks.base import CLUSTER, KUBECTL, Check, Command, Evidence, Hint, Need, Verdict, found
from rackwright.derive.model import SiteModel

NAMESPACE = "rackwright-verify"
LANE = "probe-namespace"
PORT = 8080
WORD = "written-by-rackwright"


def _pod(name: str, image: str, script: str, claim: str = "") -> dict[str, Any]:
    """A pod without privileges that runs a line of shell once."""
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": image,
                "command": ["/bin/busybox", "sh", "-c", script],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {"limits": {"cpu": "100m", "memory": "32Mi"}},
            }
        ],
    }
    if claim:
        spec["securityContext"]["fsGroup"] = 65534
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": spec,
    }


def documents(image: str) -> tuple[str, str]:
    """The two sets of objects, as JSON lists: first claim, writer, server and policy; then the two
    clients.
    """
    writer = f"echo {WORD} > /data/probe && /bin/busybox cat /data/probe"
    serve = f"exec /bin/busybox httpd -f -p {PORT} -h /etc"
    call = f"/bin/busybox wget -q -T 2 -O - http://server.{NAMESPACE}:{PORT}/hostname"
    allowed = f"i=0; while [ $i -lt 20 ]; do {call} && exit 0; i=$((i+1)); /bin/busybox sleep 1; done; exit 1"
    denied = (
        f"i=0; while [ $i -lt 3 ]; do {call} && exit 1; i=$((i+1)); /bin/busybox sleep 1; done; echo blocked"
    )
    meta = {"namespace": NAMESPACE}
    first: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "claim", **meta},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server", **meta},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": PORT}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "only-the-allowed", **meta},
            "spec": {
                "podSelector": {"matchLabels": {"app": "server"}},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": {"app": "allowed"}}}],
                        "ports": [{"port": PORT}],
                    }
                ],
            },
        },
        _pod("writer", image, writer, claim="claim"),
        _pod("server", image, serve),
    ]
    # Ready means listening: else a refused connection would pass for a blocked one.
    first[-1]["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    second = [_pod("allowed", image, allowed), _pod("denied", image, denied)]

    def as_list(items: list[dict[str, Any]]) -> str:
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    return as_list(first), as_list(second)


def _wait(key: str, condition: str, *pods: str, seconds: int = 60) -> Command:
    wait = (
        *KUBECTL[:2],
        "-n",
        NAMESPACE,
        "wait",
        f"--for={condition}",
        f"--timeout={seconds}s",
        *(f"pod/{p}" for p in pods),
    )
    return Command(key, wait, timeout=seconds + 15, lane=LANE, alters=True)


def lane(image: str) -> tuple[Need, ...]:
    """The commands in their order: clear, make, wait, make the clients, wait, look, clear."""
    first, second = documents(image)
    clear = (*KUBECTL[:2], "delete", "namespace", NAMESPACE, "--ignore-not-found")
    apply = (*KUBECTL, "apply", "-f", "-")
    commands = (
        Command("probe-clear", (*clear, "--wait=true", "--timeout=60s"), timeout=75, lane=LANE, alters=True),
        Command("probe-make", apply, timeout=40, lane=LANE, stdin=first, alters=True),
        _wait("probe-written", "jsonpath={.status.phase}=Succeeded", "writer", seconds=45),
        _wait("probe-server", "condition=Ready", "server", seconds=30),
        Command("probe-clients", apply, timeout=40, lane=LANE, stdin=second, alters=True),
        _wait(
            "probe-allowed",
            "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=0",
            "allowed",
            seconds=30,
        ),
        _wait(
            "probe-denied",
            "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=0",
            "denied",
            seconds=20,
        ),
        Command(
            "probe-claim", (*KUBECTL, "-n", NAMESPACE, "get", "pvc,pod", "-o", "json"), lane=LANE, alters=True
        ),
        Command("probe-word", (*KUBECTL, "-n", NAMESPACE, "logs", "writer"), lane=LANE, alters=True),
        Command(
            "probe-events", (*KUBECTL, "-n", NAMESPACE, "get", "events", "-o", "json"), lane=LANE, alters=True
        ),
        Command("probe-remove", (*clear, "--wait=false"), timeout=40, lane=LANE, alters=True),
    )
    return tuple(Need(CLUSTER, command) for command in commands)


def _warnings(evidence: Evidence, *names: str) -> str:
    """The cluster's own last warning about the named objects, or nothing."""
    items = evidence.json(CLUSTER, "probe-events")["items"]
    said = [
        i["message"] for i in items if i.get("type") == "Warning" and i["involvedObject"]["name"] in names
    ]
    return f" ({said[-1][:300]})" if said else ""


def _object(evidence: Evidence, kind: str, name: str) -> dict[str, Any]:
    items = evidence.json(CLUSTER, "probe-claim")["items"]
    for item in items:
        if item["kind"] == kind and item["metadata"]["name"] == name:
            return dict(item)
    raise ValueError(f"no {kind} {name}")


def judge_claim(evidence: Evidence) -> Verdict:
    """A claim of the default class is bound, and a pod wrote into it."""
    evidence.text(CLUSTER, "probe-make")
    claim = _object(evidence, "PersistentVolumeClaim", "claim")
    phase = claim["status"].get("phase")
    if phase != "Bound":
        return Verdict(False, f"the claim is {phase}{_warnings(evidence, 'claim', 'writer')}")
    word = evidence.output(CLUSTER, "probe-word")
    if word.stdout.strip() != WORD:
        state = _object(evidence, "Pod", "writer")["status"].get("phase")
        return Verdict(
            False,
            f"claim bound, but the writing pod is {state}: {word.last_words}{_warnings(evidence, 'writer')}",
        )
    seconds = evidence.output(CLUSTER, "probe-written").seconds
    return Verdict(
        True, f"class {claim['spec'].get('storageClassName')}: bound and written to in {seconds:.0f} s"
    )


def judge_policy(evidence: Evidence) -> Verdict:
    """With a NetworkPolicy in place the allowed pod reaches the server by its service's name, the other
    one does not.
    """
    evidence.text(CLUSTER, "probe-clients")
    codes = {}
    for name in ("allowed", "denied"):
        statuses = _object(evidence, "Pod", name)["status"].get("containerStatuses", [{}])
        codes[name] = statuses[0].get("state", {}).get("terminated", {}).get("exitCode")
    problems = []
    if codes["allowed"] != 0:
        end = "has not ended" if codes["allowed"] is None else "could not reach the server"
        problems.append(
            f"the allowed pod {end}: service address, cluster DNS or pod "
            f"network{_warnings(evidence, 'allowed', 'server')}"
        )
    if codes["denied"] == 1:
        problems.append("the pod that the policy shuts out reached the server: policies are not enforced")
    elif codes["denied"] != 0:
        problems.append(f"the shut-out pod has not ended{_warnings(evidence, 'denied')}")
    return found(problems, "the allowed pod reached the server by its service name, the shut-out pod did not")


def checks(model: SiteModel) -> Iterator[Check]:
    """Storage class and network policy, once for the cluster."""
    image = f"{model.registry}/rackwright/busybox:{model.versions['busybox']}"
    needs = lane(image)
    shell = f"ssh {model.control_planes[0].address} kubectl --kubeconfig /etc/kubernetes/admin.conf"
    yield Check(
        "storage.claim",
        "storage",
        "default class",
        needs,
        judge_claim,
        Hint(
            "The provisioner is not running, there is no default class, or its directory can't be written "
            "on the node",
            f"{shell} get storageclass,pv,pvc -A; {shell} -n local-path-storage logs -l "
            "app=local-path-provisioner",
        ),
    )
    yield Check(
        "nodes.network-policy",
        "nodes",
        model.name,
        needs,
        partial(judge_policy),
        Hint(
            "The Cilium agent of a node is not ready",
            f"{shell} -n kube-system exec ds/cilium -- cilium-dbg status",
        ),
    )
