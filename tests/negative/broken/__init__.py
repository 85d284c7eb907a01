"""Broken sites: named mutations of the good ones, by family. What each says is in ``expected/<family>.txt``."""

from __future__ import annotations

from broken import cabling, cluster, examples, fabric, hardware, identity, mixed, network, reading, together
from broken.base import Mutation

FAMILIES: dict[str, tuple[Mutation, ...]] = {
    "reading": reading.MUTATIONS,
    "network": network.MUTATIONS,
    "identity": identity.MUTATIONS,
    "cabling": cabling.MUTATIONS,
    "fabric": fabric.MUTATIONS,
    "hardware": hardware.MUTATIONS,
    "cluster": cluster.MUTATIONS,
    "mixed": mixed.MUTATIONS,
    "examples": examples.MUTATIONS,
    "together": together.MUTATIONS,
}
