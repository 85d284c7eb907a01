"""What a node is to the cluster, from evidence on the node itself; and what would have to be done about it.

`look` gathers, `judge` decides; `founder` and `removable` are the two decisions that could destroy something, so
they are pure functions of what was seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible.module_utils.rackwright_cluster import (
    ADMIN_CONF,
    KUBELET_CONF,
    PKI,
    Api,
    ApiError,
    ClusterError,
    Etcd,
    Member,
    execute,
    installed,
    member_of,
)

MANIFESTS = "/etc/kubernetes/manifests"
STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ETCD_DATA = "/var/lib/etcd/member"
BOOTSTRAP_CONF = "/etc/kubernetes/bootstrap-kubelet.conf"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CONTROL_PLANE_MARK = "node-role.kubernetes.io/control-plane"
# What `kubeadm init` leaves in the API once the control plane answers: path, and the phase that makes it.
FOUNDATION = (
    ("/api/v1/namespaces/kube-system/configmaps/kubeadm-config", "upload-config all"),
    ("/api/v1/namespaces/kube-system/configmaps/kubelet-config", "upload-config all"),
    ("/api/v1/namespaces/kube-public/configmaps/cluster-info", "bootstrap-token"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubeadm:kubelet-bootstrap", "bootstrap-token"),
    ("/api/v1/namespaces/kube-system/services/kube-dns", "addon coredns"),
    ("/apis/apps/v1/namespaces/kube-system/deployments/coredns", "addon coredns"),
)


@dataclass
class Look:
    """What was seen on one node.

    `stage`: `absent` (nothing of a cluster), `partial` (an unfinished init, join or reset), `joined`.
    `remedy`: `none`, `mark` (label and taint missing), `join`, `reset` (then join).
    `at`: when, by this node's clock. `operational`: a control plane through which the cluster can be administered now.
    `complete`: every file of a finished join is there. `authority`: digest of the cluster CA that the node trusts.
    `data`: etcd data lies on the node. `members`: etcd's list as this node sees it, None where it can't say.
    """

    name: str
    address: str
    control_plane: bool
    stage: str = "absent"
    remedy: str = "join"
    reasons: list[str] = field(default_factory=list)
    operational: bool = False
    data: bool = False
    complete: bool = False
    api_ready: bool = False
    learner: bool = False
    unfounded: list[str] = field(default_factory=list)
    authority: str = ""
    members: list[dict[str, Any]] | None = None
    at: float = field(default_factory=time.time)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def traces(control_plane: bool) -> list[str]:
    """Return the paths on this node that an init or join leaves behind."""
    paths = [KUBELET_CONF, BOOTSTRAP_CONF, KUBELET_CONFIG]
    if control_plane:
        paths += [f"{MANIFESTS}/{pod}.yaml" for pod in STATIC_PODS]
        paths += [ETCD_DATA, f"{PKI}/ca.key", ADMIN_CONF]
    return [path for path in paths if os.path.exists(path)]


def authority_digest() -> str:
    """Return the SHA-256 of this node's copy of the cluster CA certificate; empty where it has none."""
    try:
        with open(f"{PKI}/ca.crt", "rb") as handle:
            return hashlib.sha256(handle.read().strip()).hexdigest()
    except FileNotFoundError:
        return ""


def look(name: str, address: str, control_plane: bool) -> Look:
    """Gather the evidence on this node and judge it; changes nothing."""
    seen = Look(name, address, control_plane)
    there = traces(control_plane)
    if not there:
        return seen
    required = [KUBELET_CONF, KUBELET_CONFIG, KUBELET_CERTIFICATE]
    if control_plane:
        required += [f"{MANIFESTS}/{pod}.yaml" for pod in STATIC_PODS] + [ETCD_DATA, ADMIN_CONF]
        seen.data = os.path.exists(ETCD_DATA)
    seen.authority = authority_digest()
    missing = [path for path in required if not os.path.exists(path)]
    seen.complete = not missing
    seen.reasons = [f"{path} is missing" for path in missing]
    active = execute(["systemctl", "is-active", "--quiet", "kubelet"]).rc == 0
    if not active:
        seen.reasons.append("the kubelet is not running")
    node = _look_at_control_plane(seen) if control_plane else _look_at_worker(seen)
    judge(seen, node)
    return seen


def _own_node(seen: Look, api: Api) -> Any:
    """Return the Node object, None where there is none; an API that can't be asked is a reason."""
    try:
        found = api.get(f"/api/v1/nodes/{seen.name}")
    except ApiError as error:
        seen.reasons.append(f"the API can't be asked: {error}")
        return None
    seen.api_ready = True
    if found is None:
        seen.reasons.append(f"the API knows no node {seen.name}")
    return found


def _look_at_worker(seen: Look) -> Any:
    try:
        return _own_node(seen, Api.from_kubeconfig(KUBELET_CONF))
    except ApiError as error:
        seen.reasons.append(f"the API can't be asked: {error}")
        return None


def _look_at_control_plane(seen: Look) -> Any:
    if not seen.data or not os.path.exists(ADMIN_CONF) or not installed("etcdctl"):
        return None
    etcd = Etcd()
    members = etcd.members()
    if members is None:
        seen.learner = etcd.is_learner()
        state = "etcd's member here is a learner" if seen.learner else "etcd here does not answer"
        seen.reasons.append(state)
        return None
    seen.members = [asdict(one) for one in members]
    own = member_of(members, seen.name, seen.address)
    if own is None or own.standing != "voter":
        seen.learner = own is not None
        seen.reasons.append(f"etcd's member here is {'gone' if own is None else own.standing}")
        return None
    try:
        api = Api.from_kubeconfig(ADMIN_CONF, f"https://{seen.address}:6443")
        if not api.ready():
            seen.reasons.append(f"{api.server}/readyz is not 200")
            return None
        node = _own_node(seen, api)
        seen.unfounded = list(dict.fromkeys(phase for path, phase in FOUNDATION if api.get(path) is None))
    except ApiError as error:
        seen.api_ready = False
        seen.reasons.append(f"the API can't be asked: {error}")
        return None
    seen.operational = seen.api_ready and not seen.unfounded
    seen.reasons += [f"`kubeadm init phase {phase}` was not completed" for phase in seen.unfounded]
    return node


def marked(node: Mapping[str, Any]) -> bool:
    """Tell whether a Node object carries the control plane's label and taint."""
    labels = node["metadata"].get("labels", {})
    taints = node.get("spec", {}).get("taints") or []
    return CONTROL_PLANE_MARK in labels and any(one["key"] == CONTROL_PLANE_MARK for one in taints)


def judge(seen: Look, node: Mapping[str, Any] | None) -> None:
    """Set stage and remedy from what was gathered."""
    if node is not None and seen.control_plane and not marked(node):
        seen.reasons.append("the node lacks the control plane's label or taint")
    if not seen.reasons:
        seen.stage, seen.remedy = "joined", "none"
        return
    seen.stage = "partial"
    only_marks = (
        seen.control_plane and seen.complete and seen.api_ready and node is not None and not seen.unfounded
    )
    seen.remedy = (
        "mark" if only_marks and not marked(node or {"metadata": {}}) and len(seen.reasons) == 1 else "reset"
    )


def may_recover(seen: Look) -> bool:
    """Tell whether waiting, with the kubelet running, can bring this node back.

    All its files have to be there. A learner is a killed join; an administrator without rights (403) a killed init.
    """
    if seen.learner or seen.unfounded or any(": 403 " in reason for reason in seen.reasons):
        return False
    return seen.stage == "partial" and seen.complete and seen.remedy == "reset"


def established(one: Mapping[str, Any], standing: str, authority: str) -> bool:
    """Tell whether a node is a full member that something merely ails: never to be undone without being asked.

    `one`: its look. `standing`: of its etcd member. `authority`: digest of the cluster's CA.
    """
    if standing == "voter":
        return True
    return bool(one["complete"]) and one["authority"] == authority and not one["control_plane"]


def settle(seen: Look, patience: float, act: bool) -> tuple[Look, bool]:
    """Give a node that only seems to be starting `patience` seconds; returns the last look and whether it acted.

    With `act`, starts a stopped kubelet; restarts one whose Node object is gone (it registers only at its start).
    """
    acted, until = False, time.monotonic() + patience
    while may_recover(seen):
        if act and not acted:
            stopped = execute(["systemctl", "is-active", "--quiet", "kubelet"]).rc != 0
            lost = any("knows no node" in reason for reason in seen.reasons)
            if stopped or lost:
                execute(["systemctl", "restart", "kubelet"])
                acted = True
        if not act or time.monotonic() > until:
            break
        time.sleep(2)
        seen = look(seen.name, seen.address, seen.control_plane)
    return seen, acted


def founder(
    looks: Mapping[str, Mapping[str, Any] | None], order: list[str], without: list[str]
) -> str | None:
    """Name the control plane on which `kubeadm init` has to run or to be finished; None where a cluster stands.

    `looks`: each control plane's look, None where it was not looked at. `without`: those that may stay unseen.
    Raises ClusterError where starting a cluster could destroy or double one.
    """
    seen = {name: looks.get(name) for name in order}
    known = {name: one for name, one in seen.items() if one is not None}
    if any(one["operational"] for one in known.values()):
        return None
    unfinished = [name for name, one in known.items() if one["unfounded"]]
    if unfinished:
        return unfinished[0]
    holders = [name for name, one in known.items() if one["data"]]
    evidence = "\n".join(
        f"{name}: not looked at in this run"
        if one is None
        else f"{name}: {one['stage']}; " + "; ".join(one["reasons"])
        for name, one in seen.items()
    )
    where = ", ".join(order)
    if len(holders) > 1 or any(len(known[name]["members"] or []) > 1 for name in holders):
        raise ClusterError(
            "Looking for a control plane that works",
            where,
            evidence,
            "a cluster was established here, but none of its control planes answers: no quorum, or still starting",
            f"start the control planes that are off and run again; to look, on {holders[0]}: journalctl -b -u kubelet",
        )
    unseen = [name for name, one in seen.items() if one is None and name not in without]
    if unseen:
        raise ClusterError(
            "Deciding whether to start a new cluster",
            where,
            evidence,
            f"{', '.join(unseen)} may hold the cluster already: outside --limit, or not reachable",
            "run without --limit, with all control planes up; if those are known to be empty: "
            f"-e '{json.dumps({'kubernetes_found_without': unseen})}'",
        )
    candidates = holders or [name for name in order if name in known]
    if not candidates:
        raise ClusterError(
            "Starting the cluster",
            where,
            evidence,
            "no control plane can be reached",
            "ansible control_plane -m ping",
        )
    return candidates[0]


def removable(members: list[Member], joining: Mapping[str, Any], forced: bool) -> Member | None:
    """Return the etcd member that a joining node left behind, if it may go; None where there is none or it must stay.

    A learner, or one that never started, holds nothing. A voter may go when its node has no data any more; or when
    that was asked for.
    """
    own = member_of(members, joining["name"], joining["address"])
    if own is None:
        return None
    if own.standing != "voter" or not joining["data"] or forced:
        return own
    return None
