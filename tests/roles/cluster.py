"""The cluster on the nodes of a standing lab, for the tests of the roles that make it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from node_hosts import NodeHost, model

ETCDCTL = (
    "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt "
    "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key"
)


def operator() -> NodeHost:
    """The first control plane, from which the cluster is looked at."""
    return NodeHost(model().control_planes[0])


def kubectl(words: str, stdin: str = "") -> str:
    """What kubectl prints; fails the test with its error output."""
    feed = f"printf %s {shlex.quote(stdin)} | " if stdin else ""
    return operator().out(f"{feed}kubectl --kubeconfig /etc/kubernetes/admin.conf {words}")


def objects(words: str) -> list[dict[str, Any]]:
    """The items of `kubectl get WORDS`."""
    items: list[dict[str, Any]] = json.loads(kubectl(f"get {words} -o json"))["items"]
    return items


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """A namespace that is gone afterwards."""
    kubectl(f"delete namespace {name} --ignore-not-found --wait=true")
    kubectl(f"create namespace {name}")
    try:
        yield name
    finally:
        kubectl(f"delete namespace {name} --wait=false")


def pod(name: str, script: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod of the site's busybox image that runs a script, without privileges."""
    site = model()
    container = {
        "name": "main",
        "image": f"{site.registry}/rackwright/busybox:{site.versions['busybox']}",
        "command": ["/bin/sh", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000},
            "containers": [container],
            **spec,
        },
    }


def apply(space: str, *wanted: dict[str, Any]) -> None:
    """Apply objects in a namespace."""
    kubectl(f"-n {space} apply -f -", json.dumps({"apiVersion": "v1", "kind": "List", "items": list(wanted)}))


def wait(space: str, name: str, condition: str = "condition=Ready", seconds: int = 120) -> None:
    """Wait for a pod."""
    kubectl(f"-n {space} wait pod/{name} --for={condition} --timeout={seconds}s")


def succeeds(space: str, name: str, script: str) -> bool:
    """Whether a script in a running pod ends with 0."""
    command = f"-n {space} exec {name} -- /bin/sh -c {shlex.quote(script)}"
    done = operator().host.run(f"kubectl --kubeconfig /etc/kubernetes/admin.conf {command}")
    return int(done.rc) == 0


def becomes(wanted: bool, check: Any, seconds: float = 40) -> bool:
    """Whether a check gives `wanted` within some seconds, and twice in a row."""
    until, row = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        row = row + 1 if check() is wanted else 0
        if row == 2:
            return True
        time.sleep(1)
    return False
