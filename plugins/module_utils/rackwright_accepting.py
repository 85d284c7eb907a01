"""Running one Job on each GPU server and taking its log; and why a server can't be measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.rackwright_apply import Applier
from ansible.module_utils.rackwright_cluster import ADMIN_CONF, Api, ClusterError, execute, scrub, tail
from ansible.module_utils.rackwright_rollout import CAUSES, HOPELESS, _containers, _events, _state

GPU = "nvidia.com/gpu"
PATIENCE = 60
"""Seconds in which a pod must have a node, and its image be found."""


def gpus_of(pod: Mapping[str, Any]) -> int:
    """How many GPUs a pod holds; none once it has ended."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return sum(
        int(one.get("resources", {}).get("limits", {}).get(GPU, 0))
        for one in pod["spec"].get("containers", [])
    )


def pods_on(api: Api, node: str) -> list[dict[str, Any]]:
    """The pods that are bound to a node."""
    query = urlencode({"fieldSelector": f"spec.nodeName={node}"})
    found: list[dict[str, Any]] = (api.get(f"/api/v1/pods?{query}") or {"items": []})["items"]
    return found


def free(api: Api, node: str, wanted: int) -> int:
    """How many GPUs the Job on ``node`` is to ask for: all that it offers, at most ``wanted``.

    Raises ClusterError where the node isn't there, offers none, or other pods hold them.
    """
    what = f"accepting {node}"
    found = api.get(f"/api/v1/nodes/{node}")
    if found is None:
        raise ClusterError(
            what, node, "the cluster has no such node", "it hasn't joined yet", "rackwright rollout SITE"
        )
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))
    if not ready:
        raise ClusterError(
            what,
            node,
            "the node isn't Ready",
            "it is off, or its kubelet doesn't run",
            f"kubectl describe node {node}",
        )
    offered = int(found["status"].get("allocatable", {}).get(GPU, 0))
    if not offered:
        raise ClusterError(
            what, node, f"it offers no {GPU}", "its driver or the GPU operator's device plugin doesn't work",
            f"rackwright rollout SITE --until gpu; kubectl get pods -A --field-selector spec.nodeName={node}",
        )  # fmt: skip
    holders = {}
    for pod in pods_on(api, node):
        count = gpus_of(pod)
        if count and pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") != "acceptance":
            holders[f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"] = count
    if holders:
        held = ", ".join(f"{name} ({count})" for name, count in sorted(holders.items()))
        raise ClusterError(
            what, node, f"{sum(holders.values())} of its {offered} GPUs are in use by {held}",
            "a server is accepted as a whole, with nothing else on its GPUs",
            f"kubectl drain {node} --ignore-daemonsets --delete-emptydir-data; then accept it again; "
            f"at the end: kubectl uncordon {node}",
        )  # fmt: skip
    return min(offered, wanted)


def driver_says(api: Api, node: str) -> dict[str, str]:
    """``nvidia-smi -q -x`` and ``topo -m`` in the node's driver pod: the whole server's; {} without such a pod."""
    for pod in pods_on(api, node):
        if (
            pod["metadata"].get("labels", {}).get("app") == "nvidia-driver-daemonset"
            and pod["status"].get("phase") == "Running"
        ):
            meta = pod["metadata"]
            inside = [
                "kubectl",
                f"--kubeconfig={ADMIN_CONF}",
                "exec",
                "-n",
                meta["namespace"],
                meta["name"],
                "--",
            ]
            query = execute([*inside, "nvidia-smi", "-q", "-x"], 60)
            links = execute([*inside, "nvidia-smi", "topo", "-m"], 60)
            if query.rc == 0 and "<nvidia_smi_log" in query.out:
                return {"query": query.out, "topology": links.out if links.rc == 0 else ""}
    return {}


class Run:
    """One server's Job."""

    def __init__(self, api: Api, node: str, objects: list[dict[str, Any]], gpus: int) -> None:
        self.api, self.node = api, node
        self.config, self.job = objects
        limits = self.job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        limits[GPU] = str(gpus)
        meta = self.job["metadata"]
        self.space, self.name = meta["namespace"], meta["name"]
        self.path = f"/apis/batch/v1/namespaces/{self.space}/jobs/{self.name}"
        self.began = 0.0

    def start(self, patience: float) -> None:
        """Make it, after one of an earlier run is gone. Raises ClusterError where the API refuses it."""
        self.end()
        until = time.monotonic() + patience
        while self.api.get(self.path) is not None or self.pods():
            if time.monotonic() > until:
                raise self.failure("the Job of an earlier run doesn't go away", "its node doesn't answer")
            time.sleep(1)
        applier = Applier(self.api)
        applier.apply(self.config, patience)
        applier.apply(self.job, patience)
        self.began = time.monotonic()

    def end(self) -> None:
        """Remove what `start` made."""
        self.api.ask("DELETE", self.path, {"propagationPolicy": "Background"})
        self.api.ask("DELETE", f"/api/v1/namespaces/{self.space}/configmaps/{self.name}")

    def pods(self) -> list[dict[str, Any]]:
        """The Job's pods."""
        query = urlencode(
            {"labelSelector": f"app.kubernetes.io/name=acceptance,app.kubernetes.io/instance={self.node}"}
        )
        found: list[dict[str, Any]] = (
            self.api.get(f"/api/v1/namespaces/{self.space}/pods?{query}") or {"items": []}
        )["items"]
        return found

    def log(self) -> str | None:
        """The pod's whole log once it has ended, None while it works.

        Raises ClusterError where it never began, or came to a bad end.
        """
        status = (self.api.get(self.path) or {}).get("status", {})
        over = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
        pods = self.pods()
        if "Complete" in over and pods:
            code, text = self.api.ask("GET", f"{self._pod(pods[0])}/log")
            if code == 200:
                return text if isinstance(text, str) else str(text)
            raise self.failure(f"its log can't be read: {code} {text}", "the node's kubelet doesn't answer")
        if over & {"Failed", "FailureTarget"}:
            reasons = "; ".join(str(one.get("message", "")) for one in status["conditions"])
            raise self.failure(
                "\n".join([reasons, *self._evidence(pods)]), "the program in the pod ended early"
            )
        late = time.monotonic() - self.began > PATIENCE
        if late and not pods:
            raise self.failure("no pod was made for the Job", "the cluster's policy refuses it")
        for pod in pods:
            scheduled = bool(pod["spec"].get("nodeName"))
            reasons = {
                str(one.get("state", {}).get("waiting", {}).get("reason", "")) for one in _containers(pod)
            }
            stuck = reasons & (HOPELESS | {"ErrImagePull", "ImagePullBackOff"})
            if late and (not scheduled or stuck):
                raise self.failure("\n".join(self._evidence([pod])), "no cause is known")
        return None

    def _pod(self, pod: Mapping[str, Any]) -> str:
        return f"/api/v1/namespaces/{self.space}/pods/{pod['metadata']['name']}"

    def _evidence(self, pods: list[dict[str, Any]]) -> list[str]:
        said = []
        for pod in pods[:1]:
            said += [_state(pod), _events(self.api, pod)]
            code, text = self.api.ask("GET", f"{self._pod(pod)}/log?tailLines=6")
            if code == 200 and str(text).strip():
                said.append(f"its log ends: {tail(str(text), 6)}")
        return [one for one in said if one]

    def failure(self, evidence: str, cause: str) -> ClusterError:
        """What to tell of this server."""
        known = next((words for sign, words in CAUSES if sign in evidence), cause)
        return ClusterError(
            f"accepting {self.node}", self.node, scrub(evidence), known,
            f"kubectl -n {self.space} describe pod -l app.kubernetes.io/instance={self.node}",
        )  # fmt: skip
