"""Checks of GPUs: what the cluster can allot, the driver, the links between GPUs, the fabric of NVSwitch
machines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from rackwright.checks.base import (
    CLUSTER,
    KUBECTL,
    Check,
    Command,
    Evidence,
    Hint,
    Need,
    Verdict,
    found,
    running_pods,
)
from rackwright.checks.cluster import NODES
from rackwright.derive.model import Node, Silicon, SiteModel

DRIVER_PODS = running_pods(
    "app=nvidia-driver-daemonset", ".spec.nodeName", ".metadata.namespace", ".metadata.name"
)
EXEC = (*KUBECTL, "exec", "-n", "{1}", "{2}", "--", "nvidia-smi")
LINK = re.compile(r"NV\d+")


def queries() -> tuple[Need, Need]:
    """``nvidia-smi`` inside every node's driver pod: the full query, and the links between the GPUs."""
    return (
        Need(CLUSTER, Command("nvidia-smi", DRIVER_PODS, timeout=30, each=(*EXEC, "-q"))),
        Need(CLUSTER, Command("nvidia-smi-topology", DRIVER_PODS, timeout=30, each=(*EXEC, "topo", "-m"))),
    )


def _of_node(evidence: Evidence, key: str, node: Node) -> str:
    """What nvidia-smi printed in the node's driver pod; ValueError when there is no such pod or it failed."""
    output = evidence.each(CLUSTER, key).get(node.name)
    if output is None:
        raise ValueError(f"no running driver pod on {node.name}")
    if output.rc != 0:
        raise ValueError(f"nvidia-smi on {node.name}: {output.last_words}")
    return output.stdout


def judge_allocatable(evidence: Evidence, node: Node, gpus: Silicon | None) -> Verdict:
    """The node can allot as many GPUs as the catalogue gives its profile, and is labelled with the right
    product.
    """
    items = {item["metadata"]["name"]: item for item in evidence.json(CLUSTER, "nodes")["items"]}
    if node.name not in items:
        return Verdict(False, "not in the cluster")
    item = items[node.name]
    seen = int(item["status"]["allocatable"].get("nvidia.com/gpu", 0))
    wanted = gpus.count if gpus else 0
    problems = [] if seen == wanted else [f"{seen} GPUs allocatable, the catalogue says {wanted}"]
    labels = item["metadata"].get("labels", {})
    if gpus:
        if labels.get("nvidia.com/gpu.product") != gpus.label:
            problems.append(
                f"labelled {labels.get('nvidia.com/gpu.product')}, the catalogue says {gpus.label}"
            )
        if labels.get("nvidia.com/gpu.memory") not in (None, str(gpus.memory_mib)):
            problems.append(
                f"labelled {labels['nvidia.com/gpu.memory']} MiB, the catalogue says {gpus.memory_mib}"
            )
    return found(problems, f"{seen} x {gpus.product}" if gpus else "no GPUs, as the site says")


def judge_driver(evidence: Evidence, node: Node, gpus: Silicon, version: str) -> Verdict:
    """The driver is the release's and sees every GPU of the right product."""
    text = _of_node(evidence, "nvidia-smi", node)
    driver = re.search(r"^Driver Version\s*:\s*(\S+)", text, re.M)
    products = [match.strip() for match in re.findall(r"^\s+Product Name\s*:\s*(.+)$", text, re.M)]
    problems = []
    if not driver or driver.group(1) != version:
        problems.append(f"driver is {driver.group(1) if driver else 'not named'}, the release says {version}")
    if len(products) != gpus.count:
        problems.append(f"the driver sees {len(products)} GPUs, the catalogue says {gpus.count}")
    problems += [
        f"a GPU is {product}, not {gpus.product}" for product in sorted(set(products) - {gpus.product})
    ]
    return found(problems, f"driver {version} sees {len(products)} x {gpus.product}")


def fabric_states(text: str) -> list[tuple[str, str]]:
    """(State, Status) of every GPU's ``Fabric`` section of ``nvidia-smi -q``; GPUs without the section are
    left out.
    """
    sections = re.findall(r"^(\s+)Fabric\s*\n((?:\1\s+.*\n?)+)", text, re.M)
    states = []
    for _, body in sections:
        fields = dict(re.findall(r"^\s*(\w+)\s*:\s*(.+?)\s*$", body, re.M))
        states.append((fields.get("State", "missing"), fields.get("Status", "missing")))
    return states


def judge_fabric(evidence: Evidence, node: Node, gpus: Silicon) -> Verdict:
    """On NVSwitch machines every GPU has joined the fabric; elsewhere no GPU speaks of one.

    A driver pod is Ready while the fabric is not: CUDA then fails to initialise (error 802) in every GPU pod.
    """
    states = fabric_states(_of_node(evidence, "nvidia-smi", node))
    if not gpus.fabric:
        joined = [state for state in states if state[0] not in ("N/A", "missing")]
        return found(
            [f"a fabric in state {s} on a machine without NVSwitches" for s, _ in joined],
            "no fabric, as the catalogue says",
        )
    if len(states) != gpus.count:
        return Verdict(False, f"{len(states)} of {gpus.count} GPUs report a fabric")
    bad = [
        f"GPU {number}: {state}, {status}"
        for number, (state, status) in enumerate(states)
        if (state, status) != ("Completed", "Success")
    ]
    return found(bad, f"{len(states)} of {gpus.count} GPUs: Completed, Success")


def matrix(text: str) -> dict[tuple[int, int], str]:
    """The GPU part of ``nvidia-smi topo -m``: (row, column) → link (``NV12``, ``SYS`` …), own diagonal
    left out.
    """
    links: dict[tuple[int, int], str] = {}
    columns: list[int] = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        words = line.split()
        row = re.fullmatch(r"GPU(\d+)", words[0]) if words else None
        if row is None:
            continue
        if not columns:
            columns = [int(word[3:]) for word in words if re.fullmatch(r"GPU\d+", word)]
            continue
        for column, link in zip(columns, words[1:], strict=False):
            if int(row.group(1)) != column:
                links[int(row.group(1)), column] = link
    return links


def judge_links(evidence: Evidence, node: Node, gpus: Silicon) -> Verdict:
    """NVLink joins the GPUs in the groups the catalogue says: all of an SXM board, pairs under a bridge,
    else none.
    """
    links = matrix(_of_node(evidence, "nvidia-smi-topology", node))
    span = gpus.span if gpus.interconnect != "none" else 1
    wanted_pairs = gpus.count * (gpus.count - 1)
    if len(links) != wanted_pairs:
        return Verdict(
            False, f"the matrix has {len(links)} links between GPUs, {gpus.count} GPUs make {wanted_pairs}"
        )
    problems = []
    for (one, other), link in sorted(links.items()):
        together = one // span == other // span
        if together and not LINK.fullmatch(link):
            problems.append(f"GPU{one}-GPU{other} is {link}, should be NVLink")
        if not together and LINK.fullmatch(link):
            problems.append(f"GPU{one}-GPU{other} is {link}, the catalogue says no NVLink")
    kinds = ", ".join(sorted(set(links.values())))
    return found(problems, f"NVLink in groups of {span} ({gpus.interconnect}): {kinds}")


def checks(model: SiteModel) -> Iterator[Check]:
    """GPU checks of every cluster node; those without GPUs must allot none."""
    shell = f"ssh {model.control_planes[0].address} kubectl --kubeconfig /etc/kubernetes/admin.conf"
    query, topology = queries()
    for node in model.kubernetes_nodes:
        yield Check(
            "gpu.allocatable",
            "gpu",
            node.name,
            (NODES,),
            partial(judge_allocatable, node=node, gpus=node.gpus),
            Hint(
                "The device plugin of this node is not running, or a GPU has fallen off the bus",
                f"{shell} -n gpu-operator get pods -o wide --field-selector spec.nodeName={node.name}",
            ),
        )
        if node.gpus is None:
            continue
        operator = Hint(
            "The driver pod of this node is not running, or runs another release's driver",
            f"{shell} -n gpu-operator logs -l app=nvidia-driver-daemonset --tail=50",
        )
        yield Check(
            "gpu.driver",
            "gpu",
            node.name,
            (query,),
            partial(judge_driver, node=node, gpus=node.gpus, version=model.versions["gpu_driver"]),
            operator,
        )
        yield Check(
            "gpu.nvlink",
            "gpu",
            node.name,
            (topology,),
            partial(judge_links, node=node, gpus=node.gpus),
            Hint(
                "An NVLink bridge is missing or not seated, or the board is another one",
                f"{shell} describe node {node.name}",
            ),
        )
        yield Check(
            "fabric.state",
            "fabric",
            node.name,
            (query,),
            partial(judge_fabric, node=node, gpus=node.gpus),
            Hint(
                "Fabric Manager is not running or is of another version than the driver; GPU pods start "
                "and then fail "
                "with CUDA error 802, system not yet initialized",
                f"{shell} -n gpu-operator logs -l app=nvidia-driver-daemonset --tail=100 | grep -i fabric",
            ),
        )
