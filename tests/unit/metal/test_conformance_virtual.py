"""Conformance of what the virtual BMC states over real HTTPS: every profile, and a wrong server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.rackwright_hardware import collect
from ansible.module_utils.rackwright_redfish import Bmc, BmcError

from rackwright.derive.model import Node
from rackwright.lab.bmc import BmcConfig, BmcServer
from rackwright.metal.conformance import compare
from rackwright.metal.settings import compare_bios, declared
from rackwright.site import load_site

SITE = load_site("reference")
NODES = {node.profile: node for node in SITE.nodes}
PASSWORD = "of-the-site-1"
NOTHING: dict[str, Any] = {"inventory": {}, "plugin_data": {}}


@pytest.fixture
def stated(tmp_path: Path) -> Iterator[Any]:
    """What the BMC of a node states, some of its hardware otherwise."""
    running: list[BmcServer] = []

    def state(node: Node, read: Any = collect, **hardware: Any) -> Any:
        ports = {"eno1": "lom1", "eno2": "lom2"}
        macs = {ports.get(one.name, one.name): one.mac for one in node.interfaces if one.kind == "physical"}
        server = BmcServer(
            BmcConfig(
                name=node.name,
                service_tag=node.service_tag,
                state_dir=tmp_path / node.name,
                port=0,
                model=node.product,
                profile=node.profile,
                factory={"password": PASSWORD},
                hardware={"macs": macs, **hardware},
            )
        ).start()
        running.append(server)
        bmc = Bmc("127.0.0.1", int(server.url.rpartition(":")[2]), patience=0)
        bmc.login("root", PASSWORD)

        def get(path: str) -> Any:
            try:
                return bmc.ask("GET", path)
            except BmcError as error:
                if error.status == 404:
                    return None
                raise

        return read(get)

    yield state
    for server in running:
        server.stop()


@pytest.mark.parametrize("profile", sorted(NODES))
def test_a_virtual_server_of_each_profile_is_as_ordered(profile: str, stated: Any) -> None:
    node = NODES[profile]
    assert [
        (one.check, one.found) for one in compare(SITE, node, NOTHING, (), stated(node)) if one.blocks
    ] == []


def test_a_wrong_virtual_server_is_held(stated: Any) -> None:
    node = SITE.node("r760xa-1")
    differences = {
        "missing_dimms": ["B8"],
        "gpus": 3,
        "firmware": {"idrac": "6.10.30.00"},
        "nics": {"ocp2": {"pci_id": "14e4:16d7"}},
    }
    told = {one.what: one for one in compare(SITE, node, NOTHING, (), stated(node, differences=differences))}
    assert told["memory"].found == "15 x 32 GB"
    assert told["GPUs"].found == "3 x NVIDIA H100 PCIe"
    assert told["firmware idrac"].found == "6.10.30.00"
    assert told["ocp2"].found.endswith("14e4:16d7")
    assert [name for name, one in told.items() if one.blocks] == ["memory", "ocp2", "GPUs"]


@pytest.mark.parametrize("profile", sorted(NODES))
def test_a_virtual_bios_takes_what_a_profile_declares(profile: str, stated: Any) -> None:
    node = NODES[profile]

    def bios(get: Any) -> Any:
        current = get("/redfish/v1/Systems/System.Embedded.1/Bios")["Attributes"]
        registry = get("/redfish/v1/Systems/System.Embedded.1/Bios/BiosRegistry")["RegistryEntries"][
            "Attributes"
        ]
        return current, registry

    current, registry = stated(node, bios)
    found = compare_bios(declared(SITE, node).bios, current, registry)
    assert found.faults == ()
    # From the factory: for every watt, and without virtual functions.
    assert {change.attribute for change in found.changes} == {"SysProfile", "SriovGlobalEnable"}
