"""The GPUs: each node offers what the catalogue says, a pod gets what it asks for, and no node gives more."""

from __future__ import annotations

from cluster import apply, kubectl, namespace, objects, pod, wait

from rackwright.derive.model import SiteModel


def asking(name: str, count: int) -> dict[str, object]:
    resources = {"resources": {"limits": {"nvidia.com/gpu": str(count)}}}
    return pod(name, "exec /bin/busybox sleep 600", container=resources)


def test_each_node_offers_what_the_catalogue_says(site: SiteModel) -> None:
    nodes = {one["metadata"]["name"]: one for one in objects("nodes")}
    for node in site.kubernetes_nodes:
        offered = int(nodes[node.name]["status"]["allocatable"].get("nvidia.com/gpu", "0"))
        assert offered == (node.gpus.count if node.gpus else 0), node.name
        if node.gpus:
            assert nodes[node.name]["metadata"]["labels"]["nvidia.com/gpu.product"] == node.gpus.label


def test_a_pod_gets_a_gpu_and_one_that_asks_for_too_many_waits(site: SiteModel) -> None:
    most = max(node.gpus.count for node in site.gpu_workers if node.gpus)
    with namespace("rackwright-test-gpu") as space:
        apply(space, asking("modest", 1), asking("greedy", most + 1))
        wait(space, "modest")
        wait(space, "greedy", "condition=PodScheduled=false", 30)
        said = kubectl(f"-n {space} get pod greedy -o jsonpath='{{.status.conditions[0].message}}'")
        assert "Insufficient nvidia.com/gpu" in said
        kubectl(f"-n {space} delete pod --all --now")  # the next scenario wants the GPUs
