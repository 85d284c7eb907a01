"""Artefacts of the cluster: kubeadm's and the kubelet's files, and the objects that are handed to the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rackwright.derive.model import Node, Processors, SiteModel
from rackwright.render.registry import Artefact, Options, Scope, Template

KUBEADM = "/etc/rackwright/kubeadm"
KUBELET_SETTINGS = "/etc/kubernetes/kubelet.conf.d/50-rackwright.conf"
# Read by the API server through one mount; beside kubeadm's files, which `kubeadm reset` deletes.
API_SERVER = "/etc/kubernetes/rackwright"
# API documents never lie on a node's disk; under this name they stand in `intended/`, with the head node.
API = "/kubernetes"


def network_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The interfaces that carry pods and published services, by the names they have on any node."""
    nodes = model.kubernetes_nodes

    def names(purpose: str, among: tuple[Node, ...]) -> list[str]:
        found = (one.interface(purpose) for one in among)
        return sorted({interface.name for interface in found if interface and interface.address})

    purposes = ("management", "external", "storage")
    return {
        "devices": sorted({name for purpose in purposes for name in names(purpose, nodes)}),
        "announcing": names("external", model.gpu_workers),
    }


def gpu_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """Where the operator's images lie, and the nodes with NVSwitches, which need Fabric Manager."""
    return {
        "image_base": f"{model.registry}/nvidia",
        "fabric_nodes": [one.name for one in model.gpu_workers if one.gpus and one.gpus.fabric],
    }


def kubelet_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The CPUs that are kept from pods, and which managers a GPU worker's kubelet runs."""
    worker = node.is_gpu_worker
    return {
        "static_cpus": worker and options["kubernetes_cpu_manager"] == "static",
        "topology_policy": options["kubernetes_topology_manager"] if worker else "none",
        "reserved_cpus": reserved_cpus(node.processors, options["kubernetes_reserved_cores"]),
        "hugepages": options["kubernetes_hugepages"] if worker else 0,
        "settings": KUBELET_SETTINGS,
        "state": "/var/lib/kubelet/cpu_manager_state",
    }


def reserved_cpus(processors: Processors, cores: int) -> str:
    """The first ``cores`` cores of each NUMA node with all their threads, as a Linux list of CPUs.

    As PowerEdge servers of two sockets count them: CPUs take turns over the NUMA nodes, and the second
    threads follow after all the first ones.
    """
    physical = processors.sockets * processors.cores
    threads = processors.threads // processors.cores
    wanted = min(cores, physical // processors.numa_nodes) * processors.numa_nodes
    spans = ((thread * physical, thread * physical + wanted - 1) for thread in range(threads))
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def _joins(model: SiteModel, node: Node, options: Options) -> bool:
    return node.is_kubernetes


def _is_control_plane(model: SiteModel, node: Node, options: Options) -> bool:
    return node.is_control_plane


def _publishes(model: SiteModel, node: Node, options: Options) -> bool:
    return model.serving_range is not None


def _document(name: str, role: str, source: str, path: str, **more: Any) -> Artefact:
    """An artefact that goes to the API."""
    when = more.pop("when", None)
    files = (Template(source, f"{API}/{path}", mode="0600", when=when),)
    return Artefact(name, role=role, scope=Scope.HEAD, files=files, **more)


ARTEFACTS = (
    Artefact(
        "kubelet",
        role="kubernetes",
        values=kubelet_values,
        files=(
            Template("kubeadm/kubelet.yaml.j2", KUBELET_SETTINGS, when=_joins),
            Template("kubeadm/kubelet-defaults.j2", "/etc/default/kubelet", when=_joins),
            Template(
                "kubeadm/kubelet-unit.conf.j2",
                "/etc/systemd/system/kubelet.service.d/20-rackwright.conf",
                when=_joins,
            ),
        ),
    ),
    Artefact(
        "kubeadm",
        role="kubernetes",
        files=(
            Template("kubeadm/join.yaml.j2", f"{KUBEADM}/join.yaml", mode="0600", when=_joins),
            Template("kubeadm/init.yaml.j2", f"{KUBEADM}/init.yaml", mode="0600", when=_is_control_plane),
            Template(
                "kubeadm/authentication.yaml.j2",
                f"{API_SERVER}/authentication.yaml",
                mode="0600",
                when=_is_control_plane,
            ),
            Template(
                "kubeadm/audit-policy.yaml.j2",
                f"{API_SERVER}/audit-policy.yaml",
                mode="0600",
                when=_is_control_plane,
            ),
        ),
    ),
    _document("coredns", "kubernetes", "kubeadm/coredns.yaml.j2", "coredns.yaml"),
    _document(
        "cilium_values", "pod_network", "cilium/values.yaml.j2", "cilium-values.yaml", values=network_values
    ),
    _document(
        "cilium_services",
        "pod_network",
        "cilium/services.yaml.j2",
        "cilium-services.yaml",
        values=network_values,
        when=_publishes,
    ),
    _document("local_path", "storage_class", "storage/local-path.yaml.j2", "local-path.yaml"),
    _document("metrics_server", "metrics_server", "metrics/metrics-server.yaml.j2", "metrics-server.yaml"),
    _document(
        "gpu_operator_values",
        "gpu_operator",
        "gpu-operator/values.yaml.j2",
        "gpu-operator-values.yaml",
        values=gpu_values,
    ),
)
