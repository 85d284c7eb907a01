"""What a Prometheus of the site scrapes: targets as files, one for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.serving.plan import METRICS_PORT, NAMESPACE

# The exporters' own usual ports; the kubelet's and etcd's are kubeadm's.
NODE_EXPORTER, KUBELET, DCGM_EXPORTER, HAPROXY, ETCD = 9100, 10250, 9400, 8405, 2381

Groups = list[dict[str, Any]]


def targets(model: SiteModel) -> Mapping[str, Groups]:
    """Job → target groups in the form of Prometheus' file_sd, a group for each node."""
    planes, workers = model.control_planes, model.gpu_workers
    return {
        "node": _groups(model.nodes, NODE_EXPORTER),
        "kubelet": _groups(model.kubernetes_nodes, KUBELET),
        "dcgm": _groups(workers, DCGM_EXPORTER),
        "haproxy": _groups(planes, HAPROXY),
        "etcd": _groups(planes, ETCD),
    }


def prometheus_names(model: SiteModel) -> Mapping[str, Any]:
    """What the configuration's template needs beside the model."""
    services = [f"{served.name}-metrics.{NAMESPACE}.svc.cluster.local" for served in model.serving]
    return {"model": model, "jobs": list(targets(model)), "triton": services, "triton_port": METRICS_PORT}


def _groups(nodes: Iterable[Node], port: int) -> Groups:
    return [{"targets": [f"{node.address}:{port}"], "labels": _labels(node)} for node in nodes]


def _labels(node: Node) -> dict[str, str]:
    labels = {"node": node.name, "profile": node.profile, "rack": node.rack, "unit": str(node.unit)}
    return labels | ({"gpu": node.gpus.product} if node.gpus is not None else {})
