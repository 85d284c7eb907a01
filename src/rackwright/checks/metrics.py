"""Checks of metrics: every source answers with numbers that can be scraped."""

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
    kubectl,
    running_pods,
)
from rackwright.derive.model import SiteModel

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)", re.M)
TRITON_SERIES = "nv_inference_request_success"
DCGM_SERIES = ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED")


def pods(label: str, port: int, key: str) -> Need:
    """Scrape ``/metrics`` of every running pod with the label, through the API: key by ``pod`` name."""
    running = running_pods(label, ".metadata.name", ".metadata.namespace", ".spec.nodeName")
    scrape = (*KUBECTL, "get", "--raw", f"/api/v1/namespaces/{{1}}/pods/{{0}}:{port}/proxy/metrics")
    return Need(CLUSTER, Command(key, running, timeout=30, each=scrape))


def series(text: str) -> dict[str, float]:
    """Sum of the samples of each series in Prometheus' text format."""
    sums: dict[str, float] = {}
    for name, _, value in SAMPLE.findall(text):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


def judge_triton(evidence: Evidence, replicas: int) -> Verdict:
    """Every Triton replica counts its inferences."""
    outputs = evidence.each(CLUSTER, "triton-metrics")
    problems, requests = [], 0.0
    for pod, output in outputs.items():
        sums = series(output.stdout)
        if output.rc != 0:
            problems.append(f"{pod}: {output.last_words}")
        elif TRITON_SERIES not in sums:
            problems.append(f"{pod}: {len(sums)} series, without {TRITON_SERIES}")
        requests += sums.get(TRITON_SERIES, 0.0)
    if len(outputs) < replicas:
        problems.append(f"{len(outputs)} Triton pods are running, {replicas} should")
    return found(problems, f"{len(outputs)} replicas, {requests:.0f} inferences counted")


def judge_dcgm(evidence: Evidence, model: SiteModel) -> Verdict:
    """The exporter of every GPU node gives each GPU's temperature, power and memory."""
    wanted = {node.name: node.gpus.count for node in model.gpu_workers if node.gpus}
    placed = {
        line.split()[0]: line.split()[2]
        for line in evidence.text(CLUSTER, "dcgm-metrics").splitlines()
        if line.strip()
    }
    problems, seen = [], set()
    for pod, output in evidence.each(CLUSTER, "dcgm-metrics").items():
        node = placed.get(pod, pod)
        if output.rc != 0:
            problems.append(f"{node}: {output.last_words}")
            continue
        seen.add(node)
        for name in DCGM_SERIES:
            count = len(re.findall(rf"^{name}(?:\{{| )", output.stdout, re.M))
            if node in wanted and count != wanted[node]:
                problems.append(f"{node}: {name} of {count} GPUs, it has {wanted[node]}")
    problems += [
        f"{node}: no exporter"
        for node in sorted(set(wanted) - seen)
        if not any(p.startswith(node) for p in problems)
    ]
    return found(problems, f"{sum(wanted.values())} GPUs on {len(wanted)} nodes: temperature, power, memory")


def judge_usage(evidence: Evidence, model: SiteModel) -> Verdict:
    """metrics-server knows every node's use of processor and memory."""
    items = {item["metadata"]["name"] for item in evidence.json(CLUSTER, "node-metrics")["items"]}
    missing = [node.name for node in model.kubernetes_nodes if node.name not in items]
    return found([f"no figures of {name}" for name in missing], f"processor and memory of {len(items)} nodes")


def checks(model: SiteModel) -> Iterator[Check]:
    """Triton, the GPU exporter, metrics-server."""
    shell = f"ssh {model.control_planes[0].address} kubectl --kubeconfig /etc/kubernetes/admin.conf"
    if model.serving:
        yield Check(
            "metrics.triton",
            "metrics",
            model.name,
            (pods("app.kubernetes.io/name=triton", 8002, "triton-metrics"),),
            partial(judge_triton, replicas=sum(served.replicas for served in model.serving)),
            Hint(
                "A network policy shuts the metrics port, or the server was started without metrics",
                f"{shell} get pods -A -l app.kubernetes.io/name=triton -o wide",
            ),
        )
    if any(node.gpus for node in model.gpu_workers):
        yield Check(
            "metrics.gpu",
            "metrics",
            model.name,
            (pods("app=nvidia-dcgm-exporter", 9400, "dcgm-metrics"),),
            partial(judge_dcgm, model=model),
            Hint("The DCGM exporter of a node is not running", f"{shell} -n gpu-operator get pods -o wide"),
        )
    yield Check(
        "metrics.nodes",
        "metrics",
        model.name,
        (kubectl("node-metrics", "get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"),),
        partial(judge_usage, model=model),
        Hint(
            "metrics-server is not running, or can't reach the kubelets",
            f"{shell} -n kube-system logs deploy/metrics-server",
        ),
    )
