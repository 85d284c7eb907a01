"""How things of a site are named and coloured in drawings and pages."""

from __future__ import annotations

from rackwright.derive.model import Network, Node, SiteModel
from rackwright.report import svg

ORDER = ("external", "management", "storage", "oob")


def short(product: str) -> str:
    """``PowerEdge XE9680`` → ``XE9680``."""
    return product.removeprefix("PowerEdge ").removeprefix("PowerSwitch ")


def gpu_text(node: Node) -> str:
    """``8 x H100 SXM``."""
    if node.gpus is None:
        return ""
    product = node.gpus.product.removeprefix("NVIDIA ").split(" ")[0]
    return f"{node.gpus.count} x {product} {node.gpus.form_factor}"


def network_text(network: Network) -> str:
    """``10.40.1.0/24, VLAN 110``."""
    return f"{network.cidr}, VLAN {network.vlan}" if network.vlan else str(network.cidr)


def colours(node: Node) -> tuple[str, str]:
    """(fill, edge) by role."""
    if node.is_head:
        return svg.HEAD_FILL, svg.HEAD_EDGE
    if node.is_control_plane:
        return svg.CONTROL_FILL, svg.CONTROL_EDGE
    return svg.WORKER_FILL, svg.WORKER_EDGE


def buses(model: SiteModel) -> list[str]:
    """Purposes of the site's networks, in the order in which they are drawn."""
    return [purpose for purpose in ORDER if purpose in model.networks]
