"""Checks at every layer, from a cable up to a streamed token: what they need, what they judge, what to do
when they fail.
"""

from __future__ import annotations

from rackwright.checks import cluster, gpu, host, metrics, names, serving, storage, supply
from rackwright.checks.base import (
    CLUSTER,
    LAYERS,
    WORKSTATION,
    Check,
    CheckResult,
    Command,
    Evidence,
    Hint,
    Layer,
    Need,
    Output,
    Request,
    Verdict,
)
from rackwright.derive.model import SiteModel

__all__ = [
    "CLUSTER",
    "LAYERS",
    "WORKSTATION",
    "Check",
    "CheckResult",
    "Command",
    "Evidence",
    "Hint",
    "Layer",
    "Need",
    "Output",
    "Request",
    "Verdict",
    "all_checks",
]


def all_checks(model: SiteModel) -> list[Check]:
    """Every check of the site, by layer from the cable up, then by id and target."""
    sources = (host, names, supply, cluster, gpu, storage, serving, metrics)
    made = [check for source in sources for check in source.checks(model)]
    return sorted(made, key=lambda check: (LAYERS.index(check.layer), check.id))
