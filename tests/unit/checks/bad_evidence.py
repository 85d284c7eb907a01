"""The ways in which evidence can be bad: for every check at least one, each with the words that it must give.

The target of a check on a node is that node unless it is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rackwright.checks import CLUSTER, WORKSTATION

Edit = Callable[[str], str]


def json_edit(alter: Callable[[Any], None]) -> Edit:
    """An edit of JSON text through its data."""

    def edit(text: str) -> str:
        data = json.loads(text)
        alter(data)
        return json.dumps(data)

    return edit


def swap(old: str, new: str) -> Edit:
    """An edit that must find what it replaces."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


def drop_last(data: dict[str, list[Any]], key: str = "items") -> None:
    data[key].pop()


@dataclass(frozen=True)
class Bad:
    """One way in which a check fails: what is altered, and a word of the evidence it gives."""

    check: str
    place: str
    key: str
    says: str
    edit: Edit | None = None
    target: str = ""
    rc: int = 0
    stderr: str = ""


def condition(node: str, kind: str, status: str) -> Edit:
    def alter(data: Any) -> None:
        item = next(i for i in data["items"] if i["metadata"]["name"] == node)
        next(c for c in item["status"]["conditions"] if c["type"] == kind)["status"] = status

    return json_edit(alter)


def node_fact(node: str, alter: Callable[[Any], None]) -> Edit:
    return json_edit(lambda d: alter(next(i for i in d["items"] if i["metadata"]["name"] == node)))


def link_fact(name: str, **facts: Any) -> Edit:
    return json_edit(lambda links: next(link for link in links if link["ifname"] == name).update(facts))


def member_fact(index: int, **facts: Any) -> Edit:
    return json_edit(lambda d: d["members"][index].update(facts))


def code_of(pod: str, code: int) -> Edit:
    def alter(data: Any) -> None:
        item = next(i for i in data["items"] if i["metadata"]["name"] == pod)
        item["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": code}}

    return json_edit(alter)


def claim_phase(phase: str) -> Edit:
    return json_edit(
        lambda d: next(i for i in d["items"] if i["kind"] == "PersistentVolumeClaim")["status"].update(
            phase=phase
        )
    )


WORKER = "r760xa-1"
SECRET_LINE = "kubeadm join 10.40.0.10:8443 --token abcdef.0123456789abcdef\n"
BAD = [
    Bad("cable.links", WORKER, "addresses", "no interface bond0", swap('"bond0"', '"bond9"')),
    Bad("cable.links", WORKER, "addresses", "no carrier", link_fact("bond0", flags=["UP"])),
    Bad("cable.links", WORKER, "addresses", "should have 10.40.0.21/24", swap("10.40.0.21", "10.40.0.99")),
    Bad("cable.links", WORKER, "addresses", "MTU 1400", link_fact("bond0", mtu=1400)),
    Bad(
        "cable.frames",
        WORKER,
        "ping-external",
        "message too long",
        rc=1,
        stderr="ping: message too long, mtu=1400",
    ),
    Bad("os.hostname", WORKER, "hostname", "debian", lambda _: "debian\n"),
    Bad("os.secrets-in-arguments", WORKER, "processes", "kubeadm token", lambda t: t + SECRET_LINE),
    Bad(
        "os.secrets-in-arguments",
        WORKER,
        "processes",
        "password",
        lambda t: t + "mysql --password=hunter22\n",
    ),
    Bad(
        "os.certificates",
        WORKER,
        "certificates//var/lib/kubelet/pki/kubelet-client-current.pem",
        "ends 2020-01-02",
        lambda _: "notAfter=Jan  2 00:00:00 2020 GMT\n",
        WORKER,
    ),
    Bad("os.certificates", WORKER, "certificates", "find: no such", rc=1, stderr="find: no such directory"),
    Bad(
        "dns.names",
        WORKER,
        "names-1",
        "api.minimal.example is 10.9.9.9",
        swap("IN A 10.40.0.10", "IN A 10.9.9.9"),
    ),
    Bad("dns.names", WORKER, "names-1", "should be r660-2.minimal", swap("PTR r660-2.", "PTR other.")),
    Bad(
        "dns.names",
        WORKER,
        "names-1",
        "no answer",
        lambda _: ";; api: timed out from 10.40.0.11\n",
        WORKER,
        1,
    ),
    Bad("time.source", WORKER, "time-sources", "no source selected", swap("^,*,", "^,?,")),
    Bad(
        "time.source",
        WORKER,
        "time-sources",
        "no source selected",
        lambda t: re.sub(r"\^,.,[0-9.]+,", "^,~,192.0.2.1,", t),
    ),  # another than the one followed
    Bad(
        "time.source",
        WORKER,
        "time-tracking",
        "off by",
        lambda t: ",".join([*t.split(",")[:4], "-4.2", *t.split(",")[5:]]),
    ),
    Bad(
        "time.source",
        WORKER,
        "time-tracking",
        "only its own clock",
        lambda t: t.replace(t.split(",")[0], "7F7F0101"),
    ),
    Bad(
        "mirror.sources",
        WORKER,
        "apt-sources",
        "another source",
        lambda t: t + "http://deb.debian.org/debian/ /k.gpg\n",
    ),
    Bad(
        "mirror.sources",
        WORKER,
        "apt-sources",
        "no Signed-By",
        lambda _: "https://mirror.minimal.example/apt/ \n",
    ),
    Bad("mirror.sources", WORKER, "apt-waived", "waives its signature", lambda _: "a.sources:Trusted: yes\n"),
    Bad("mirror.sources", WORKER, "apt-sources", "no source at all", lambda _: ""),
    Bad(
        "mirror.signature",
        WORKER,
        "apt-update",
        "NO_PUBKEY",
        lambda _: "W: GPG error: https://mirror stable InRelease: NO_PUBKEY 0123456789ABCDEF\n",
        WORKER,
    ),
    Bad("mirror.signature", WORKER, "apt-update", "Could not connect", rc=100, stderr="E: Could not connect"),
    Bad(
        "registry.reachable",
        WORKER,
        "registry",
        "self-signed",
        rc=60,
        stderr="curl: (60) self-signed certificate",
    ),
    Bad("registry.reachable", WORKER, "registry", "HTTP 404", lambda _: "404"),
    Bad("registry.images", WORKSTATION, "manifests", "HTTP 404", swap("200", "404")),
    Bad(
        "registry.images",
        WORKSTATION,
        "manifests",
        "certificate refused",
        rc=-1,
        stderr="certificate refused: expired",
    ),
    Bad("etcd.members", CLUSTER, "etcd-members", "never started", member_fact(0, name="")),
    Bad("etcd.members", CLUSTER, "etcd-members", "learner", member_fact(1, isLearner=True)),
    Bad(
        "etcd.members", CLUSTER, "etcd-members", "is no member", json_edit(lambda d: drop_last(d, "members"))
    ),
    Bad(
        "etcd.members", CLUSTER, "etcd-members", "no control plane of the site", member_fact(2, name="r660-9")
    ),
    Bad(
        "etcd.members",
        CLUSTER,
        "etcd-members",
        "not at 10.40.0.12",
        swap("10.40.0.12:2380", "10.40.0.99:2380"),
    ),
    Bad(
        "etcd.health",
        CLUSTER,
        "etcd-health",
        "context deadline",
        json_edit(lambda d: d[0].update(health=False, error="context deadline")),
    ),
    Bad("etcd.health", CLUSTER, "etcd-health", "2 members answer, 3 should", json_edit(lambda d: d.pop())),
    Bad(
        "etcd.health",
        CLUSTER,
        "etcd-health",
        "connection refused",
        lambda _: "",
        rc=1,
        stderr="connection refused",
    ),
    Bad(
        "api.endpoint",
        WORKSTATION,
        "api-vip",
        "No route to host",
        lambda _: "",
        rc=-1,
        stderr="No route to host",
    ),
    Bad("api.endpoint", WORKSTATION, "api-vip", "readyz", lambda _: "etcd failed"),
    Bad("api.server", WORKSTATION, "api-r660-3", "refused", lambda _: "", "r660-3", -1, "Connection refused"),
    Bad("nodes.ready", CLUSTER, "nodes", "not Ready", condition(WORKER, "Ready", "False"), WORKER),
    Bad("nodes.ready", CLUSTER, "nodes", "DiskPressure", condition(WORKER, "DiskPressure", "True"), WORKER),
    Bad("nodes.ready", CLUSTER, "nodes", "release says v1.36.3", swap("v1.36.3", "v1.35.0"), WORKER),
    Bad("nodes.ready", CLUSTER, "nodes", "should be 10.40.0.21", swap("10.40.0.21", "10.40.3.21"), WORKER),
    Bad(
        "nodes.ready",
        CLUSTER,
        "nodes",
        "cordoned",
        node_fact(WORKER, lambda i: i["spec"].update(unschedulable=True)),
        WORKER,
    ),
    Bad("nodes.ready", CLUSTER, "nodes", "not in the cluster", json_edit(drop_last), WORKER),
    Bad(
        "nodes.known",
        CLUSTER,
        "nodes",
        "stranger is not in the site",
        swap('"name": "r660-3"', '"name": "stranger"'),
    ),
    Bad(
        "nodes.pods",
        CLUSTER,
        "pods",
        "CrashLoopBackOff",
        lambda t: t + "x\ty\tr660-1\tRunning\t\tfalse\tCrashLoopBackOff\tNever\n",
    ),
    Bad(
        "nodes.pods",
        CLUSTER,
        "pods",
        "not ready",
        lambda t: t + "x\ty\tr660-1\tRunning\t\ttrue false\t\tAlways\n",
    ),
    Bad("nodes.pods", CLUSTER, "pods", "no node: Pending", lambda t: t + "x\ty\t\tPending\t\t\t\tAlways\n"),
    Bad("nodes.network-policy", CLUSTER, "probe-claim", "not enforced", code_of("denied", 1)),
    Bad("nodes.network-policy", CLUSTER, "probe-claim", "could not reach", code_of("allowed", 1)),
    Bad(
        "gpu.allocatable",
        CLUSTER,
        "nodes",
        "0 GPUs allocatable",
        swap('"nvidia.com/gpu": "4"', '"nvidia.com/gpu": "0"'),
        WORKER,
    ),
    Bad(
        "gpu.allocatable",
        CLUSTER,
        "nodes",
        "labelled NVIDIA-L40S",
        swap("NVIDIA-H100-PCIe", "NVIDIA-L40S"),
        WORKER,
    ),
    Bad(
        "gpu.driver",
        CLUSTER,
        f"nvidia-smi/{WORKER}",
        "release says 580.95.05",
        swap("580.95.05", "535.54.03"),
        WORKER,
    ),
    Bad(
        "gpu.driver",
        CLUSTER,
        f"nvidia-smi/{WORKER}",
        "sees 3 GPUs",
        lambda t: t.replace("    Product Name ", "    Gone ", 1),
        WORKER,
    ),
    Bad("gpu.driver", CLUSTER, "nvidia-smi", "failed on cluster", rc=1, stderr="no API"),
    Bad(
        "gpu.driver",
        CLUSTER,
        f"nvidia-smi/{WORKER}",
        "couldn't communicate",
        rc=9,
        stderr="NVIDIA-SMI couldn't communicate",
    ),
    Bad(
        "gpu.nvlink",
        CLUSTER,
        f"nvidia-smi-topology/{WORKER}",
        "GPU0-GPU1 is PHB",
        swap("NV12", "PHB"),
        WORKER,
    ),
    Bad(
        "gpu.nvlink",
        CLUSTER,
        f"nvidia-smi-topology/{WORKER}",
        "says no NVLink",
        swap("SYS\t0", "NV12\t0"),
        WORKER,
    ),
    Bad("gpu.nvlink", CLUSTER, f"nvidia-smi-topology/{WORKER}", "0 links", lambda _: "nothing", WORKER),
    Bad(
        "fabric.state",
        CLUSTER,
        f"nvidia-smi/{WORKER}",
        "without NVSwitches",
        swap("State                                      : N/A", "State : Completed"),
        WORKER,
    ),
    Bad("storage.claim", CLUSTER, "probe-claim", "the claim is Pending", claim_phase("Pending")),
    Bad(
        "storage.claim",
        CLUSTER,
        "probe-word",
        "the writing pod is",
        lambda _: "",
        rc=1,
        stderr="permission denied",
    ),
    Bad(
        "serving.ready",
        WORKSTATION,
        "ready-capitals-stream",
        "HTTP 400",
        rc=-1,
        stderr="HTTP 400 Bad Request",
    ),
    Bad("serving.http", WORKSTATION, "http-capitals-0", "should name Austin", swap("Austin", "Houston")),
    Bad(
        "serving.http",
        WORKSTATION,
        "http-capitals-2",
        "also names Sacramento",
        swap("Tokyo", "Tokyo, Sacramento"),
    ),
    Bad(
        "serving.http",
        WORKSTATION,
        "http-capitals-1",
        "no plain answer",
        swap("Sacramento", "Sacramento" + " x" * 200),
    ),
    Bad("serving.http", WORKSTATION, "http-capitals-0", "No route to host", rc=-1, stderr="No route to host"),
    Bad("serving.grpc", WORKSTATION, "grpc-capitals-0", "should name Austin", swap("Austin", "random words")),
    Bad(
        "serving.stream",
        WORKSTATION,
        "stream-capitals-0",
        "was not streamed",
        lambda _: '[[0.1, "The capital of Texas is Austin."]]',
    ),
    Bad(
        "serving.grpc-stream",
        WORKSTATION,
        "grpc-stream-capitals-0",
        "should name Austin",
        swap("Aust", "Bost"),
    ),
    Bad(
        "metrics.triton",
        CLUSTER,
        "triton-metrics/capitals-5d5b4d686d-2x6t6",
        "without nv_inference",
        lambda _: "up 1\n",
    ),
    Bad(
        "metrics.triton",
        CLUSTER,
        "triton-metrics/capitals-5d5b4d686d-2x6t6",
        "Client.Timeout",
        rc=1,
        stderr="Client.Timeout",
    ),
    Bad(
        "metrics.gpu",
        CLUSTER,
        "dcgm-metrics/nvidia-dcgm-exporter-hf7n7",
        "of 0 GPUs, it has 4",
        swap("DCGM_FI_DEV_GPU_TEMP{", "OTHER{"),
    ),
    Bad("metrics.gpu", CLUSTER, "dcgm-metrics", "no exporter", lambda _: ""),
    Bad("metrics.nodes", CLUSTER, "node-metrics", "no figures of r760xa-1", swap(WORKER, "somebody")),
]
