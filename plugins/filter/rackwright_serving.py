"""What to wait for once a site's models have been handed to the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = """
name: rackwright_served
short_description: Served models as the workloads that `rackwright_manifests` waits for
description: Takes rackwright_serving; I(namespace) is where the models run.
author: Rackwright
"""


def served(models: Sequence[Mapping[str, Any]], namespace: str) -> list[dict[str, str]]:
    """The Deployment of each served model."""
    return [{"kind": "Deployment", "namespace": namespace, "name": str(model["name"])} for model in models]


class FilterModule:
    """Filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them."""
        return {"rackwright_served": served}
