"""Filters that gather what each host of a run saw, and choose who administers the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = """
name: rackwright_looks
short_description: Node name to its look, null for nodes that nobody looked at
description: Takes hostvars; I(names) are the nodes, I(further) the results of a loop over hosts not in the run.
author: Rackwright
"""


def looks(
    hostvars: Mapping[str, Any], names: Sequence[str], further: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The newest look at each node; None where this run has none."""
    found: dict[str, Any] = {str(name): None for name in names}
    results = list((further or {}).get("results", []))
    for name in names:
        variables = hostvars[name]
        registers = ("kubernetes_seen", "kubernetes_start", "kubernetes_member")
        results += [variables[register] for register in registers if register in variables]
    for look in (result["look"] for result in results if result.get("look")):
        known = found.get(str(look["name"]))
        if str(look["name"]) in found and (known is None or known["at"] <= look["at"]):
            found[str(look["name"])] = look
    return found


def operator(seen: Mapping[str, Any], order: Sequence[str]) -> str:
    """The first control plane through which the cluster can be administered; empty where there is none."""
    return next((str(name) for name in order if (seen.get(name) or {}).get("operational")), "")


def joining(seen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The looks of those nodes that have to join."""
    return [one for one in seen.values() if one and one["remedy"] in ("join", "reset")]


def looks_text(seen: Mapping[str, Any]) -> str:
    """What was seen, in one line, for a message."""
    return "; ".join(
        f"{name}: "
        + (
            "not reached"
            if one is None
            else f"{one['stage']}, {', '.join(one['reasons']) or 'nothing wrong'}"
        )
        for name, one in seen.items()
    )


def gpus(hostvars: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """What each GPU worker has to offer to pods, as `rackwright_manifests` waits for it."""
    return [
        {
            "kind": "Allocatable",
            "name": str(name),
            "resource": "nvidia.com/gpu",
            "count": hostvars[name]["rackwright_node"]["gpus"]["count"],
        }
        for name in names
        if hostvars[name]["rackwright_node"].get("gpus")
    ]


def nodes(names: Sequence[str]) -> list[dict[str, str]]:
    """The nodes, as `rackwright_manifests` waits for them."""
    return [{"kind": "Node", "name": str(name)} for name in names]


def enrolling(hostvars: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Name, addresses and labels of each node, as `rackwright_kubeadm` enrols it."""
    found = []
    for name in names:
        node = hostvars[name]["rackwright_node"]
        labels = {
            "rackwright/profile": node["profile"],
            "rackwright/rack": node["rack"],
            "topology.kubernetes.io/zone": node["rack"],
        }
        if "gpu_worker" in node["roles"]:
            labels |= {"rackwright/role": "gpu-worker", "node-role.kubernetes.io/worker": ""}
        else:
            labels["rackwright/role"] = "control-plane"
        found.append({"name": str(name), "address": node["address"], "labels": labels})
    return found


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Any]:
        """Name → function."""
        return {
            "rackwright_looks": looks,
            "rackwright_operator": operator,
            "rackwright_joining": joining,
            "rackwright_enrolling": enrolling,
            "rackwright_looks_text": looks_text,
            "rackwright_gpus": gpus,
            "rackwright_nodes": nodes,
        }
