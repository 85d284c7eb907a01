"""Acceptance through the cluster: what each GPU server's Job is made of, and what its log gives back.

The pod measures, and needs no more than Triton's image and PyTorch for it: this package's measuring part and the
synthetic GPT come as one archive in a ConfigMap. The workstation judges.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rackwright.acceptance.measure import BEGIN, END, Task
from rackwright.paths import checkout

NAMESPACE = "acceptance"
MODULES = ("__init__", "errors", "acceptance/__init__", "acceptance/measure", "acceptance/hardware", "acceptance/load",
           "acceptance/perf", "acceptance/serve", "acceptance/smi", "acceptance/sweep", "processes")  # fmt: skip
"""Of this package: what the measuring part imports, all of it standard library."""
RUN = (
    "python3 -m zipfile -e /acceptance/code.zip /work/code && "
    "PYTHONPATH=/work/code exec python3 -m rackwright.acceptance.measure /acceptance/task.json /work/out"
)
USER = 1000


@dataclass(frozen=True)
class Options:
    """What the pods are given; the role's options of the same names. ``limit`` in seconds."""

    image: str
    triton: str = "/opt/tritonserver"
    python_path: str = ""
    memory_limit: str = "64Gi"
    shared_memory: str = "8Gi"
    limit: int = 1800
    keep: int = 3600


def code() -> bytes:
    """The archive that a pod unpacks: the same bytes for the same files."""
    root = checkout()
    model = root / "packaging/models/synthetic-gpt"
    files = {f"rackwright/{name}.py": root / f"src/rackwright/{name}.py" for name in MODULES}
    files |= {f"synthetic-gpt/{path.relative_to(model)}": path for path in model.rglob("*.py")}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name].read_bytes(), zipfile.ZIP_DEFLATED)
    return held.getvalue()


def given(task: Task, options: Options) -> dict[str, Any]:
    """What the pod reads as its task."""
    return {
        "task": json.loads(json.dumps(task.to_dict())),
        "triton": options.triton,
        "model": "/work/code/synthetic-gpt",
        "python_path": options.python_path,
    }


def shared() -> list[dict[str, Any]]:
    """Objects for all servers: a namespace in which pods may do nothing but compute."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": levels}},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "closed", "namespace": NAMESPACE},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        },
    ]


def of_server(node: str, gpus: int, task: Task, options: Options) -> list[dict[str, Any]]:
    """A server's ConfigMap and Job; the Job is bound to it, cordoned or not, and asks for all its GPUs."""
    labels = {"app.kubernetes.io/name": "acceptance", "app.kubernetes.io/instance": node}
    meta = {"name": f"accept-{node}", "namespace": NAMESPACE, "labels": labels}
    mounts = {"work": "/work", "tmp": "/tmp", "shm": "/dev/shm", "acceptance": "/acceptance"}  # noqa: S108 - in the pod
    container = {
        "name": "measure",
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/bash", "-ec", RUN],
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - in the pod
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            # nvidia-smi is `utility`.
            {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": options.memory_limit, "nvidia.com/gpu": str(gpus)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
                    ]
                }
            }
        },
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            # A server is drained for this, and so cordoned.
            {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
        ],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": options.shared_memory}},
            {"name": "acceptance", "configMap": {"name": meta["name"]}},
        ],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"task.json": json.dumps(given(task, options))},
            "binaryData": {"code.zip": base64.b64encode(code()).decode()},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": meta,
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": options.limit,
                "ttlSecondsAfterFinished": options.keep,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


def unpack(log: str, directory: Path) -> dict[str, Any]:
    """The files that a pod's log holds, written below ``directory``, and its ``measured.json`` ({} without one).

    Raises ValueError for a log that is cut off, or was changed on its way.
    """
    begin, found, rest = log.partition(f"{BEGIN}-----\n")
    text, ended, last = rest.partition(f"{END} ")
    if not found or not ended:
        said = " | ".join(line for line in begin.strip().splitlines()[-3:])
        raise ValueError(f"the log has no whole measurement in it; its last words: {said or 'none'}")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the measurement in the log isn't base64: {error}") from None
    if hashlib.sha256(data).hexdigest() != last.partition("-----")[0].strip():
        raise ValueError("the measurement in the log isn't what the pod wrote: its digest differs")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        archive.extractall(directory, filter="data")
    file = directory / "measured.json"
    seen: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return seen
