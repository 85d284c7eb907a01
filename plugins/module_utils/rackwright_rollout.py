"""Waiting for what the cluster was asked to run; and, where it does not come, why not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ansible.module_utils.rackwright_cluster import Api, ApiError, ClusterError, scrub, tail

WORKLOADS = {
    "DaemonSet": "/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}",
}
CONDITIONS = {
    "Node": ("/api/v1/nodes/{name}", "Ready"),
    "APIService": ("/apis/apiregistration.k8s.io/v1/apiservices/{name}", "Available"),
    "CustomResourceDefinition": (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}",
        "Established",
    ),
}
# A container state that no waiting mends.
HOPELESS = {"InvalidImageName", "CreateContainerConfigError", "ErrImageNeverPull"}
CAUSES = (
    (
        "ErrImagePull",
        "the image can't be pulled: the registry does not have it, or does not answer on this node",
    ),
    (
        "ImagePullBackOff",
        "the image can't be pulled: the registry does not have it, or does not answer on this node",
    ),
    ("executable file not found", "the image does not hold the program that the pod names"),
    ("CrashLoopBackOff", "the program ends soon after its start; its last words are above"),
    ("CreateContainerConfigError", "a ConfigMap or Secret that the pod names does not exist"),
    ("Unschedulable", "no node may or can run the pod: see the event above"),
    ("FailedCreatePodSandBox", "the container runtime or the pod network on that node does not work"),
    ("OOMKilled", "the container used more memory than its limit"),
    ("not ready", "its readiness probe fails; see its log above"),
)


def shortfall(api: Api, target: Mapping[str, Any]) -> str | None:
    """Say in one line what a target still lacks; None where it is as wanted.

    Targets: a workload `{kind, namespace, name}`, an object with a condition `{kind, name}`, or
    `{kind: Allocatable, name: NODE, resource, count}`.
    """
    kind, name = target["kind"], target["name"]
    if kind in WORKLOADS:
        found = api.get(WORKLOADS[kind].format(namespace=target["namespace"], name=name))
        return f"{kind} {name} does not exist" if found is None else _workload(api, target, found)
    if kind == "Allocatable":
        found = api.get(f"/api/v1/nodes/{name}") or {}
        have = found.get("status", {}).get("allocatable", {}).get(target["resource"], "0")
        return (
            None
            if have == str(target["count"])
            else f"{name}: {target['resource']} {have}, not {target['count']}"
        )
    path, wanted = CONDITIONS[kind]
    found = api.get(path.format(name=name))
    if found is None:
        return f"{kind} {name} does not exist"
    for condition in found.get("status", {}).get("conditions", []):
        if condition["type"] == wanted:
            return (
                None
                if condition["status"] == "True"
                else f"{kind} {name}: {condition.get('message', 'not ' + wanted)}"
            )
    return f"{kind} {name} is not {wanted} yet"


def _workload(api: Api, target: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Compare a workload with its controller's counts. Pods on nodes that are off, and known to be, don't count."""
    kind, name, status = target["kind"], target["name"], found.get("status", {})
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return f"{kind} {name}: not seen by its controller yet"
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        updated, ready = status.get("updatedNumberScheduled", 0), status.get("numberReady", 0)
    else:
        wanted = found["spec"].get("replicas", 1)
        updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    lacking = max(wanted - ready, wanted - updated)
    if lacking > 0 and ready > 0:
        off = set(_off(api))
        lacking -= sum(1 for pod in _pods(api, target) if pod["spec"].get("nodeName") in off)
    if lacking <= 0 and (wanted > 0 or kind != "DaemonSet"):
        return None
    return f"{kind} {name}: {ready} of {wanted} ready, {updated} up to date"


def _off(api: Api) -> list[str]:
    """Name the nodes of which the cluster has not heard for a while: they are off or cut off."""
    return [
        node["metadata"]["name"]
        for node in (api.get("/api/v1/nodes") or {"items": []})["items"]
        if any(
            one["type"] == "Ready" and one["status"] == "Unknown"
            for one in node["status"].get("conditions", [])
        )
    ]


def wait_for(api: Api, targets: Sequence[Mapping[str, Any]], limit: float, what: str) -> None:
    """Return when every target is as wanted. Raises ClusterError, with evidence, after `limit` seconds."""
    until, asked = time.monotonic() + limit, ""
    hopeless_since: dict[str, float] = {}
    pause = 0.5
    while True:
        try:
            lacking = {
                index: text for index, target in enumerate(targets) if (text := shortfall(api, target))
            }
            asked = ""
        except ApiError as error:
            lacking, asked = {0: str(error)}, str(error)
        if not lacking:
            return
        lost = None if asked else _hopeless(api, [targets[index] for index in lacking], hopeless_since)
        if lost or time.monotonic() > until:
            raise _explain(api, [targets[index] for index in lacking], list(lacking.values()), what, lost)
        time.sleep(pause)
        pause = min(pause * 1.5, 3)


def _pods(api: Api, target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pods of a workload; none for other targets."""
    if target["kind"] not in WORKLOADS:
        return []
    found = api.get(WORKLOADS[target["kind"]].format(namespace=target["namespace"], name=target["name"]))
    labels = (found or {}).get("spec", {}).get("selector", {}).get("matchLabels", {})
    if not labels:
        return []
    selector = urlencode(
        {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
    )
    items: list[dict[str, Any]] = (
        api.get(f"/api/v1/namespaces/{target['namespace']}/pods?{selector}") or {}
    ).get("items", [])
    return items


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _hopeless(api: Api, targets: Sequence[Mapping[str, Any]], since: dict[str, float]) -> str | None:
    """Name a pod that waiting can't mend: it has been in a state that only a change of its input ends for 30 s."""
    now = time.monotonic()
    for target in targets:
        for pod in _pods(api, target):
            name = pod["metadata"]["name"]
            waiting = [one.get("state", {}).get("waiting", {}) for one in _containers(pod)]
            stuck = [
                one
                for one in waiting
                if one.get("reason") in HOPELESS
                or ("not found" in one.get("message", "") and "mage" in one.get("reason", ""))
            ]
            if not stuck:
                since.pop(name, None)
            elif now - since.setdefault(name, now) > 30:
                return str(name)
    return None


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod is Ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _state(pod: Mapping[str, Any]) -> str:
    """Describe a pod that is not ready in one line."""
    parts = [
        f"pod {pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')}: {pod['status'].get('phase')}"
    ]
    for one in _containers(pod):
        waiting, ended = one.get("state", {}).get("waiting"), one.get("lastState", {}).get("terminated")
        if waiting and waiting.get("reason") != "PodInitializing":
            parts.append(f"{one['name']} {waiting.get('reason')}: {waiting.get('message', '')[:240]}")
        elif not one.get("ready") and one.get("state", {}).get("running"):
            parts.append(f"{one['name']} runs but is not ready")
        if ended:
            parts.append(f"{one['name']} ended before: {ended.get('reason')} ({ended.get('exitCode')})")
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            parts.append(f"{condition.get('reason')}: {condition.get('message')}")
    return "; ".join(parts)


def _log(api: Api, pod: Mapping[str, Any]) -> str:
    """Return the last lines of the first container of a pod that is not ready."""
    for one in _containers(pod):
        if one.get("ready") or one.get("state", {}).get("waiting", {}).get("reason") == "PodInitializing":
            continue
        again = one.get("restartCount", 0) > 0 and not one.get("state", {}).get("running")
        query = urlencode(
            {"container": one["name"], "tailLines": 8, **({"previous": "true"} if again else {})}
        )
        meta = pod["metadata"]
        try:
            status, text = api.ask(
                "GET", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/log?{query}"
            )
        except ApiError:
            return ""
        if status == 200 and str(text).strip():
            return f"log of {one['name']}:\n{tail(str(text), 8)}"
    return ""


def _events(api: Api, pod: Mapping[str, Any]) -> str:
    meta = pod["metadata"]
    chosen = quote(f"involvedObject.uid={meta['uid']},type=Warning")
    found = (api.get(f"/api/v1/namespaces/{meta['namespace']}/events?fieldSelector={chosen}") or {}).get(
        "items", []
    )
    lines = [f"event {one.get('reason')}: {one.get('message', '')[:300]}" for one in found[-3:]]
    return "\n".join(lines)


def _explain(
    api: Api, targets: Sequence[Mapping[str, Any]], lacking: Sequence[str], what: str, lost: str | None
) -> ClusterError:
    evidence = list(lacking)
    following = "kubectl get nodes -o wide; kubectl get pods -A -o wide"
    try:
        for target in targets:
            faulty = [pod for pod in _pods(api, target) if not is_ready(pod)]
            faulty.sort(key=lambda pod: pod["metadata"]["name"] != lost)
            for pod in faulty[:3]:
                evidence += [part for part in (_state(pod), _events(api, pod), _log(api, pod)) if part]
            if faulty:
                meta = faulty[0]["metadata"]
                following = f"kubectl -n {meta['namespace']} describe pod {meta['name']}"
    except ApiError as error:
        evidence.append(str(error))
    text = scrub("\n".join(evidence))
    cause = next(
        (cause for sign, cause in CAUSES if sign in text),
        "it takes longer than was allowed, or a controller is down",
    )
    where = ", ".join(f"{target.get('namespace', '')}/{target['name']}".lstrip("/") for target in targets)
    return ClusterError(what, where, text, cause, following)
