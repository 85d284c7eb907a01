#!/usr/bin/python
"""Bring one node to its place in the cluster with kubeadm, from whatever state an earlier run left it in."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_kubeadm
short_description: Declares a node's membership in a kubeadm cluster
description:
  - Looks at reality (files, etcd membership, static pods, the Node object), never at a marker of its own.
  - An interrupted C(kubeadm init) is finished, an interrupted C(kubeadm join) is undone and done again.
  - Never runs C(kubeadm init) where another control plane holds, or may hold, a cluster.
  - Secrets live in files of mode 0600 under /run while kubeadm reads them.
options:
  state:
    description:
      - C(examined) looks, and gives a node that is only starting some time.
      - C(initialised) makes sure that a cluster exists.
      - C(credentials) makes, on a working control plane, what I(joining) need, and clears what they left.
      - C(joined) makes this node a member.
      - C(enrolled) approves the serving certificates of the kubelets of I(nodes), and sets their labels.
    type: str
    required: true
    choices: [examined, initialised, credentials, joined, enrolled]
  name: {description: Name of this node., type: str, required: true}
  address: {description: Management address of this node., type: str, required: true}
  control_plane: {description: Whether this node is a control plane., type: bool, default: false}
  config: {description: The kubeadm configuration on this node; @NAME@ stands for a secret., type: path}
  cri_socket: {description: Socket of the container runtime., type: str, default: unix:///run/containerd/containerd.sock}
  endpoint: {description: The API's URL for nodes that join., type: str}
  looks: {description: Name of each control plane to its look or null., type: dict, default: {}}
  order: {description: Control planes in the order of preference., type: list, elements: str, default: []}
  without: {description: Control planes that may stay unseen., type: list, elements: str, default: []}
  joining: {description: Looks of the nodes that have to join., type: list, elements: dict, default: []}
  force: {description: Nodes that may be removed from etcd and reset., type: list, elements: str, default: []}
  credentials: {description: What C(credentials) returned., type: dict}
  nodes: {description: "Nodes to enrol: name, address, labels.", type: list, elements: dict, default: []}
  patience: {description: Seconds to wait for a node that is starting., type: int, default: 90}
  limit: {description: Seconds that kubeadm may take., type: int, default: 420}
attributes:
  check_mode: {support: full}
  diff_mode: {support: partial}
author: Rackwright
"""

RETURN = """
look: {description: What was seen on this node at the end., type: dict, returned: always}
credentials: {description: Secret., type: dict, returned: with state=credentials}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rackwright_cluster import ApiError, ClusterError
from ansible.module_utils.rackwright_credentials import make_credentials
from ansible.module_utils.rackwright_enrolment import enrol
from ansible.module_utils.rackwright_join import Kubeadm, exclusive
from ansible.module_utils.rackwright_membership import Look, founder, look, settle


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {
                "required": True,
                "choices": ["examined", "initialised", "credentials", "joined", "enrolled"],
            },
            "name": {"required": True},
            "address": {"required": True},
            "control_plane": {"type": "bool", "default": False},
            "config": {"type": "path"},
            "cri_socket": {"default": "unix:///run/containerd/containerd.sock"},
            "endpoint": {},
            "looks": {"type": "dict", "default": {}},
            "order": {"type": "list", "elements": "str", "default": []},
            "without": {"type": "list", "elements": "str", "default": []},
            "joining": {"type": "list", "elements": "dict", "default": []},
            "force": {"type": "list", "elements": "str", "default": []},
            "credentials": {"type": "dict", "no_log": True},
            "nodes": {"type": "list", "elements": "dict", "default": []},
            "patience": {"type": "int", "default": 90},
            "limit": {"type": "int", "default": 420},
        },
        supports_check_mode=True,
    )
    p = module.params
    act = {
        "examined": examined,
        "initialised": initialised,
        "credentials": credentials,
        "joined": joined,
        "enrolled": enrolled,
    }[p["state"]]
    try:
        with exclusive(p["name"], wait=p["limit"], take=not module.check_mode) as lock:
            result = act(p, module.check_mode, lock)
    except ClusterError as failure:
        module.fail_json(**failure.as_result())
    except ApiError as error:
        module.fail_json(
            **ClusterError(
                f"Bringing the node to state {p['state']}",
                p["name"],
                str(error),
                "the Kubernetes API stopped answering meanwhile",
                "run again: finished steps are not repeated",
            ).as_result()
        )
    module.exit_json(**result)


def _look(p: dict[str, Any]) -> Look:
    return look(p["name"], p["address"], p["control_plane"])


def examined(p: dict[str, Any], check: bool, _lock: int | None) -> dict[str, Any]:
    """Look, giving a node that seems to be starting its time."""
    seen, acted = settle(_look(p), p["patience"], act=not check)
    return {"changed": acted, "look": seen.as_dict()}


def initialised(p: dict[str, Any], check: bool, lock: int | None) -> dict[str, Any]:
    """Start the cluster here, or finish starting it, where this node is the one that has to."""
    if founder(p["looks"], p["order"], p["without"]) != p["name"]:
        return {"changed": False, "look": p["looks"][p["name"]]}
    seen = _look(p)
    if seen.operational:
        return {"changed": False, "look": seen.as_dict()}
    if check:
        return {"changed": True, "look": seen.as_dict(), "msg": "would run kubeadm init"}
    kubeadm = Kubeadm(p["name"], p["config"], p["cri_socket"], p["limit"], lock)
    if seen.unfounded:
        kubeadm.finish_init(seen)
    else:
        kubeadm.init(seen)
    seen, _ = settle(_look(p), p["patience"], act=True)
    kubeadm.require(seen, "kubeadm init")
    return {"changed": True, "look": seen.as_dict()}


def credentials(p: dict[str, Any], check: bool, lock: int | None) -> dict[str, Any]:
    """Make what the joining nodes need. A failure is returned, not raised: this task's output is hidden."""
    if check:
        return {"changed": False, "credentials": {}}
    try:
        made = make_credentials(p, lock)
    except ClusterError as failure:
        return {"changed": False, "credentials": {"problem": failure.parts()}}
    except ApiError as error:
        problem = ClusterError(
            "Making credentials for the nodes that join",
            p["name"],
            str(error),
            "the API server of this control plane stopped answering",
            "run again; another healthy control plane is taken if there is one",
        )
        return {"changed": False, "credentials": {"problem": problem.parts()}}
    return {"changed": True, "credentials": made}


def joined(p: dict[str, Any], check: bool, lock: int | None) -> dict[str, Any]:
    """Make this node a member."""
    seen = _look(p)
    if seen.stage == "joined":
        return {"changed": False, "look": seen.as_dict()}
    if check:
        return {
            "changed": True,
            "look": seen.as_dict(),
            "msg": "would join: " + "; ".join(seen.reasons or ["nothing here yet"]),
        }
    kubeadm = Kubeadm(p["name"], p["config"], p["cri_socket"], p["limit"], lock)
    if seen.remedy == "mark":
        kubeadm.mark(seen)
    else:
        kubeadm.join(seen, p["credentials"] or {}, p["name"] in p["force"])
    seen, _ = settle(_look(p), p["patience"], act=True)
    kubeadm.require(seen, "kubeadm join")
    return {"changed": True, "look": seen.as_dict()}


def enrolled(p: dict[str, Any], check: bool, _lock: int | None) -> dict[str, Any]:
    """Approve kubelet serving certificates of known nodes, and set labels."""
    done = enrol(p["address"], p["nodes"], p["patience"], check)
    return {
        "changed": bool(done),
        "done": done,
        "diff": {"before": "", "after": "".join(line + "\n" for line in done)},
    }


if __name__ == "__main__":
    main()
