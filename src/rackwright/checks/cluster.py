"""Checks of the cluster: etcd's members, the API through its virtual address, the nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial

from rackwright.checks import client
from rackwright.checks.base import (
    CLUSTER,
    WORKSTATION,
    Check,
    Command,
    Evidence,
    Hint,
    Need,
    Output,
    Request,
    Verdict,
    found,
    kubectl,
)
from rackwright.checks.storage import NAMESPACE
from rackwright.derive.model import Node, SiteModel

ETCD_PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={ETCD_PKI}/ca.crt",
    f"--cert={ETCD_PKI}/healthcheck-client.crt",
    f"--key={ETCD_PKI}/healthcheck-client.key",
    "--write-out=json",
)
PODS = kubectl(
    "pods",
    *("get", "pods", "-A", "-o"),
    'jsonpath={range .items[*]}{.metadata.namespace}{"\\t"}{.metadata.name}{"\\t"}{.spec.nodeName}{"\\t"}'
    '{.status.phase}{"\\t"}{.metadata.deletionTimestamp}{"\\t"}{.status.containerStatuses[*].ready}{"\\t"}'
    '{.status.containerStatuses[*].state.waiting.reason}{"\\t"}{.spec.restartPolicy}{"\\n"}{end}',
)
NODES = kubectl("nodes", "get", "nodes", "-o", "json")


def judge_members(evidence: Evidence, model: SiteModel) -> Verdict:
    """etcd's members are exactly the control planes, all started, all voters."""
    members = evidence.json(CLUSTER, "etcd-members")["members"]
    problems = []
    by_name: dict[str, dict[str, object]] = {}
    for member in members:
        name = member.get("name", "")
        if not name:
            problems.append(
                f"a member at {', '.join(member.get('peerURLs', ['?']))} was added but never started"
            )
            continue
        if member.get("isLearner"):
            problems.append(f"{name} is a learner, not a voter")
        by_name[name] = member
    expected = {node.name: node for node in model.control_planes}
    problems += [f"{name} is no member" for name in expected if name not in by_name]
    problems += [
        f"{name} is a member but no control plane of the site" for name in by_name if name not in expected
    ]
    for name, node in expected.items():
        urls = [str(url) for url in by_name.get(name, {}).get("peerURLs", [])]  # type: ignore[attr-defined]
        if urls and not any(f"//{node.address}:" in url for url in urls):
            problems.append(f"{name} is a member at {', '.join(urls)}, not at {node.address}")
    return found(problems, f"{len(members)} started voters: {', '.join(sorted(by_name))}")


def judge_health(evidence: Evidence, model: SiteModel) -> Verdict:
    """Every member commits a proposal."""
    output = evidence.output(CLUSTER, "etcd-health")
    if not output.stdout.strip():
        return Verdict(False, output.last_words)
    answers = evidence_json_lines(output)
    problems = [f"{a['endpoint']}: {a.get('error') or 'unhealthy'}" for a in answers if not a.get("health")]
    if len(answers) < len(model.control_planes):
        problems.append(f"{len(answers)} members answer, {len(model.control_planes)} should")
    slowest = max((milliseconds(str(a.get("took", ""))) for a in answers), default=0.0)
    return found(problems, f"{len(answers)} members commit, the slowest in {slowest:.0f} ms")


def milliseconds(duration: str) -> float:
    """Go's form of a duration below a minute: ``1.5s``, ``117.6ms``, ``900us``; 0 for anything else."""
    match = re.fullmatch(r"([\d.]+)(s|ms|[µu]s|ns)", duration)
    factor = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "us": 1e-3, "ns": 1e-6}
    return float(match.group(1)) * factor[match.group(2)] if match else 0.0


def evidence_json_lines(output: Output) -> list[dict[str, object]]:
    """The JSON list that etcdctl prints, also when it exits 1 because a member is down."""
    data = json.loads(output.stdout[output.stdout.index("[") :])
    return [dict(item) for item in data]


def judge_api(evidence: Evidence, model: SiteModel) -> Verdict:
    """The API answers ``ok`` through its virtual address with a certificate of the cluster's authority."""
    output = evidence.output(WORKSTATION, "api-vip")
    where = f"https://{model.api_vip}:{model.api_port}/readyz"
    if output.rc != 0 or output.stdout.strip() != "ok":
        return Verdict(False, f"{where}: {output.last_words}")
    return Verdict(True, f"{where} (as {model.api_fqdn}) answers ok in {output.seconds * 1000:.0f} ms")


def judge_api_member(evidence: Evidence, node: Node) -> Verdict:
    """This control plane's own API server answers."""
    output = evidence.output(WORKSTATION, f"api-{node.name}")
    if output.rc != 0 or output.stdout.strip() != "ok":
        return Verdict(False, f"https://{node.address}:6443/readyz: {output.last_words}")
    return Verdict(True, f"https://{node.address}:6443/readyz answers ok in {output.seconds * 1000:.0f} ms")


def judge_node(evidence: Evidence, node: Node, version: str) -> Verdict:
    """The node is Ready, at the release's version, under its own address, and carries no unexpected
    pressure.
    """
    items = {item["metadata"]["name"]: item for item in evidence.json(CLUSTER, "nodes")["items"]}
    item = items.get(node.name)
    if item is None:
        return Verdict(False, f"not in the cluster; there are {', '.join(sorted(items)) or 'no nodes'}")
    status = item["status"]
    conditions = {c["type"]: c for c in status["conditions"]}
    problems = []
    ready = conditions.get("Ready", {"status": "Unknown"})
    if ready["status"] != "True":
        problems.append(f"not Ready: {ready.get('reason', '')} {ready.get('message', '')}".strip())
    problems += [
        f"{kind}: {c.get('message', '')}"
        for kind, c in conditions.items()
        if "Pressure" in kind and c["status"] == "True"
    ]
    kubelet = status["nodeInfo"]["kubeletVersion"]
    if kubelet != f"v{version}":
        problems.append(f"kubelet is {kubelet}, the release says v{version}")
    addresses = [a["address"] for a in status["addresses"] if a["type"] == "InternalIP"]
    if str(node.address) not in addresses:
        problems.append(f"registered as {', '.join(addresses)}, should be {node.address}")
    if item["spec"].get("unschedulable"):
        problems.append("cordoned: takes no new pods")
    return found(
        problems, f"Ready, kubelet {kubelet}, {status['nodeInfo']['containerRuntimeVersion']}, {addresses[0]}"
    )


def judge_strangers(evidence: Evidence, model: SiteModel) -> Verdict:
    """The cluster has no nodes but the site's."""
    names = {item["metadata"]["name"] for item in evidence.json(CLUSTER, "nodes")["items"]}
    strangers = sorted(names - {node.name for node in model.kubernetes_nodes})
    return found(
        [f"{name} is not in the site file" for name in strangers], f"{len(names)} nodes, all of the site"
    )


def judge_pods(evidence: Evidence) -> Verdict:
    """Every pod that lasts is running and ready.

    Left out: the checks' own short-lived pods, and those that do one thing and end (a volume's clean-up, a
    job), while nothing is wrong with them.
    """
    problems, count = [], 0
    for line in evidence.text(CLUSTER, "pods").splitlines():
        namespace, name, node, phase, deleted, ready, waiting, restarts = line.split("\t")
        at_work = phase in ("Pending", "Running") and waiting in ("", "ContainerCreating", "PodInitializing")
        if namespace == NAMESPACE or deleted or phase == "Succeeded" or (restarts != "Always" and at_work):
            continue
        count += 1
        where = f"{namespace}/{name} on {node or 'no node'}"
        if waiting or phase != "Running":
            problems.append(f"{where}: {waiting or phase}")
        elif "false" in ready:
            problems.append(f"{where} is not ready")
    if not count:
        return Verdict(False, "the cluster has no pods")
    return found(problems, f"{count} pods, all running and ready")


def ask_api(evidence: Evidence, model: SiteModel, address: str, port: int) -> Output:
    """GET /readyz under the API's name at an address, trusting only the cluster's authority."""
    return client.with_authority(
        evidence,
        CLUSTER,
        "cluster-authority",
        lambda pem: client.get(address, port, "/readyz", name=model.api_fqdn, authority=pem),
    )


def checks(model: SiteModel) -> Iterator[Check]:
    """etcd, API endpoint, nodes, system pods."""
    first = model.control_planes[0]
    shell = f"ssh {first.address} kubectl --kubeconfig /etc/kubernetes/admin.conf"
    etcd_hint = Hint(
        "A control plane was added or lost half-way: a member without its machine, or a machine without "
        "its member",
        f"ssh {first.address} crictl logs of the etcd pod; ansible-playbook -i {model.path} "
        "playbooks/kubernetes.yml",
    )
    yield Check(
        "etcd.members",
        "etcd",
        model.name,
        (Need(CLUSTER, Command("etcd-members", (*ETCDCTL, "member", "list"))),),
        partial(judge_members, model=model),
        etcd_hint,
    )
    yield Check(
        "etcd.health",
        "etcd",
        model.name,
        (Need(CLUSTER, Command("etcd-health", (*ETCDCTL, "endpoint", "health", "--cluster"))),),
        partial(judge_health, model=model),
        etcd_hint,
    )
    authority = Need(CLUSTER, Command("cluster-authority", ("cat", "/etc/kubernetes/pki/ca.crt")))
    vip = partial(ask_api, model=model, address=str(model.api_vip), port=model.api_port)
    yield Check(
        "api.endpoint",
        "api",
        f"{model.api_fqdn}:{model.api_port}",
        (authority, Need(WORKSTATION, Request("api-vip", vip))),
        partial(judge_api, model=model),
        Hint(
            "No control plane holds the virtual address, or haproxy has no live API server behind it",
            f"ansible control_plane -i {model.path} -a 'ip -br address'; ssh {first.address} journalctl -u "
            "keepalived -u haproxy",
        ),
    )
    for node in model.control_planes:
        direct = partial(ask_api, model=model, address=str(node.address), port=6443)
        yield Check(
            "api.server",
            "api",
            node.name,
            (authority, Need(WORKSTATION, Request(f"api-{node.name}", direct))),
            partial(judge_api_member, node=node),
            Hint(
                "The API server or the etcd member on this machine is down",
                f"ssh {node.address} crictl ps -a; ssh {node.address} journalctl -u kubelet -n 50",
            ),
        )
    for node in model.kubernetes_nodes:
        yield Check(
            "nodes.ready",
            "nodes",
            node.name,
            (NODES,),
            partial(judge_node, node=node, version=model.versions["kubernetes"]),
            Hint(
                "kubelet or the container runtime is down, or the pod network has not come up on this node",
                f"{shell} describe node {node.name}; ssh {node.address} journalctl -u kubelet -n 50",
            ),
        )
    yield Check(
        "nodes.known",
        "nodes",
        model.name,
        (NODES,),
        partial(judge_strangers, model=model),
        Hint(
            "A machine that left the site file was not taken out of the cluster", f"{shell} delete node NAME"
        ),
    )
    yield Check(
        "nodes.pods",
        "nodes",
        model.name,
        (PODS,),
        judge_pods,
        Hint(
            "See the pod's events and the log of its last run",
            f"{shell} get events -A --sort-by=.lastTimestamp",
        ),
    )
