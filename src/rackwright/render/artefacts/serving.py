"""Artefacts of the served models: the objects that run Triton and publish it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.render.registry import Artefact, Options, Scope, Template
from rackwright.serving.plan import METRICS_PORT, NAMESPACE, digest, services


def serving_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The services, and a fingerprint for what their pods mount."""
    return {
        "services": services(model),
        "serving_namespace": NAMESPACE,
        "metrics_port": METRICS_PORT,
        "digest": digest,
    }


ARTEFACTS = (
    Artefact(
        "serving",
        role="triton",
        scope=Scope.HEAD,
        values=serving_values,
        files=(Template("triton/serving.yaml.j2", "/kubernetes/serving.yaml", mode="0600"),),
    ),
)
