"""testinfra on the nodes of a standing lab, over ssh; each test runs once per node that it is about.

``RACKWRIGHT_TEST_SITE`` names the site (default inventories/minimal), ``RACKWRIGHT_TEST_LAB`` the lab
(default: the one that Molecule made, else the site's own). ``RACKWRIGHT_TEST_OVERLAY`` names an overlay file
instead, for a site without a lab.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from node_hosts import NodeHost, model

from rackwright.derive.model import Node, SiteModel

CHOICES: dict[str, Callable[[Node], bool]] = {
    "each_node": lambda node: True,
    "head": lambda node: node.is_head,
    "each_control_plane": lambda node: node.is_control_plane,
    "each_kubernetes_node": lambda node: node.is_kubernetes,
    "each_client": lambda node: not node.is_head,
}


@pytest.fixture(scope="session")
def site() -> SiteModel:
    """The site whose nodes are looked at."""
    return model()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per node for every fixture that names a choice of nodes."""
    for name, chosen in CHOICES.items():
        if name in metafunc.fixturenames:
            nodes = [node.name for node in model().nodes if chosen(node)]
            metafunc.parametrize(name, nodes, indirect=True, scope="session")


@pytest.fixture(scope="session")
def each_node(request: pytest.FixtureRequest) -> NodeHost:
    """Every node."""
    return NodeHost(model().node(request.param))


head = each_control_plane = each_kubernetes_node = each_client = each_node


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need a standing lab."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.roles)
