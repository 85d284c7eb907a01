"""Where things lie on the nodes: names that more than one artefact uses."""

from __future__ import annotations

from rackwright import catalog
from rackwright.derive.model import SiteModel

MIRROR_ROOT = "/srv/rackwright/mirror"
TLS_DIRECTORY = "/etc/rackwright/tls"


def ca_anchor(model: SiteModel) -> str:
    """Where the site CA's certificate lies on every node, for the trust store and for other programs."""
    anchors = catalog.distributions()[model.distribution].paths["ca_anchors"]
    return f"{anchors}/rackwright-{model.name}.crt"
