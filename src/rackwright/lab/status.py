"""What there is of a lab, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NodeStatus:
    """What a node is now. ``state`` is ``running``, ``stopped`` (on purpose) or ``dead``; memory in bytes.

    A bare machine (``metal``) is ``running`` while it has power and ``off`` without, as long as its BMC runs; ``bmc``
    says whether that answers (None for a container).
    """

    name: str
    address: str
    pid: int | None
    state: str
    ssh: bool
    memory: int | None
    metal: bool = False
    bmc: bool | None = None

    @property
    def sound(self) -> bool:
        """Whether it is as ``up`` leaves it: a container lets us log in, a bare machine's BMC answers."""
        return bool(self.bmc) if self.metal else self.state == "running" and self.ssh


@dataclass(frozen=True)
class LabStatus:
    """What a lab is now. ``state`` is ``up``, ``partial`` or ``down``; memory in bytes, of all nodes."""

    name: str
    site: str
    namespace: str
    state: str
    memory: int | None
    nodes: tuple[NodeStatus, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        nodes = [
            {
                "name": n.name,
                "address": n.address,
                "pid": n.pid,
                "state": n.state,
                "ssh": n.ssh,
                "memory_bytes": n.memory,
                "metal": n.metal,
                "bmc": n.bmc,
            }
            for n in self.nodes
        ]
        return {
            "name": self.name,
            "site": self.site,
            "namespace": self.namespace,
            "state": self.state,
            "memory_bytes": self.memory,
            "nodes": nodes,
        }
