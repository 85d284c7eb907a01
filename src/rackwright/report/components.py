"""Which parts of a site were real, emulated, or not exercised at all: stated, not guessed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rackwright.catalog import releases
from rackwright.derive.model import SiteModel

Fidelity = Literal["real", "emulated", "not_exercised"]

PHASE_OF: Mapping[str, str] = {
    "containerd": "kubernetes",
    "runc": "kubernetes",
    "cni_plugins": "kubernetes",
    "pause": "kubernetes",
    "kubernetes": "kubernetes",
    "etcd": "kubernetes",
    "coredns": "kubernetes",
    "helm": "kubernetes",
    "cilium": "kubernetes",
    "local_path_provisioner": "kubernetes",
    "metrics_server": "kubernetes",
    "gpu_operator": "gpu",
    "gpu_driver": "gpu",
    "triton": "serving",
    "busybox": "verify",
    "debian": "nodes",
}
"""The phase that puts a component of the release to work; the others serve while bundles are built."""

SERVICES: Mapping[str, str] = {
    "dnsmasq": "head",
    "chrony": "head",
    "nginx-light": "head",
    "docker-registry": "head",
    "haproxy": "kubernetes",
    "keepalived": "kubernetes",
}
"""The distribution's packages that carry a service of the site, by name of the package, with their phase."""


@dataclass(frozen=True)
class Component:
    """One part, with what stood in for it where it was emulated."""

    name: str
    version: str
    fidelity: Fidelity
    note: str = ""

    def to_dict(self) -> dict[str, str]:
        """The shape that stands in report.json."""
        return {"name": self.name, "version": self.version, "fidelity": self.fidelity}


def _lock_entries(lock: Path | None) -> list[dict[str, Any]]:
    if lock is None or not lock.is_file():
        return []
    return [dict(entry) for entry in json.loads(lock.read_text())["entries"]]


def software(model: SiteModel, done: frozenset[str], lock: Path | None) -> Iterable[Component]:
    """The release's components and the services' packages, by the bundle's own word; undone phases
    exercise none.
    """
    entries = _lock_entries(lock)
    facts = releases()[model.release].components if model.release in releases() else {}
    locked = {str(entry["name"]).rsplit("/", 1)[-1]: entry for entry in entries}
    for name, version in model.versions.items():
        phase = PHASE_OF.get(name)
        if phase is None:
            continue
        stated = str(facts.get(name, {}).get("fidelity", "real"))
        fidelity: Fidelity = "emulated" if stated == "emulated" else "real"
        fidelity = fidelity if phase in done else "not_exercised"
        note = "built by this project in place of NVIDIA's" if fidelity == "emulated" else ""
        yield Component(name, version, fidelity, note)
    for package, phase in SERVICES.items():
        if package in locked:
            yield Component(
                package, str(locked[package]["version"]), "real" if phase in done else "not_exercised"
            )
    for served in sorted({served.model for served in model.serving}):
        yield Component(
            served, model.release, "real" if "serving" in done else "not_exercised", "a model's weights"
        )


def hardware(
    model: SiteModel, rehearsed: bool, done: frozenset[str], metal: Sequence[str] = ()
) -> Iterable[Component]:
    """Machines, silicon and switches. A rehearsal imitates silicon and only silicon; what it leaves out is
    said.
    """

    def stand_in(note: str, phase: str = "nodes") -> tuple[Fidelity, str]:
        if phase not in done:
            return "not_exercised", ""
        return ("emulated", note) if rehearsed else ("real", "")

    for product in sorted({node.product for node in model.nodes}):
        alike = [node.name for node in model.nodes if node.product == product]
        count, bare = len(alike), len(set(alike) & set(metal))
        kinds = [f"{bare} emulated machines with UEFI and a kernel of their own"] if bare else []
        kinds += ["containers with systemd on one kernel"] if bare < count else []
        fidelity, note = stand_in("; ".join(kinds))
        yield Component(f"{product} ({count})", "", fidelity, note)
    seen = {(node.gpus.product, node.gpus.interconnect) for node in model.nodes if node.gpus}
    for product in sorted({product for product, _ in seen}):
        count = sum(node.gpus.count for node in model.nodes if node.gpus and node.gpus.product == product)
        yield Component(
            f"{product} ({count})", "", *stand_in("device plugin, labels, nvidia-smi; no CUDA", "gpu")
        )
    if any(kind in ("nvlink_bridge", "nvlink") for _, kind in seen):
        yield Component("NVLink", "", *stand_in("nvidia-smi topology only", "gpu"))
    if any(node.gpus and node.gpus.fabric for node in model.nodes):
        yield Component("NVSwitch fabric", "", *stand_in("Fabric Manager's states only", "gpu"))
    yield Component("network ports, bonds and VLANs", "", *stand_in("virtual Ethernet under the same names"))
    absent: Fidelity = "not_exercised"
    if "provision" in done and (metal or not rehearsed):
        bmc = stand_in("a virtual BMC with an iDRAC9's Redfish surface", "provision")
        yield Component("BMC (iDRAC), power and firmware", "", *bmc)
        yield Component("PXE installation of the operating system", "", "real", ", ".join(metal))
    else:
        yield Component("BMC (iDRAC), power and firmware", "", absent, "no server was provisioned")
        yield Component(
            "PXE installation of the operating system", "", absent, "nodes are taken as installed"
        )
    for product in sorted({switch.product for switch in model.switches}):
        yield Component(f"{product} switches", "", absent, "configured by hand")


def components(
    model: SiteModel,
    rehearsed: bool,
    done: frozenset[str],
    lock: Path | None,
    metal: Sequence[str] = (),
) -> list[Component]:
    """All of them; ``done`` names the phases that passed, ``lock`` is the bundle's lock file.

    ``metal`` names the nodes that a rehearsal began with as bare machines.
    """
    return [*software(model, done, lock), *hardware(model, rehearsed, done, metal)]
