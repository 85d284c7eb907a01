"""Conformance: a faultless server has no difference, a wrong one each of its own, in words."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible.module_utils.rackwright_hardware import EXPAND, collect
from found_hardware import agent, redfish
from hypothesis import given
from hypothesis import strategies as st

from rackwright.catalog import builtin, releases
from rackwright.derive.model import Node
from rackwright.metal.conformance import CHECKS, Difference, as_json, compare, table
from rackwright.metal.hardware import Hardware, from_inventory, from_redfish
from rackwright.site import load_site

SITE = load_site("reference")
NODES = {node.profile: node for node in SITE.nodes}
NOTHING: dict[str, Any] = {"inventory": {}, "plugin_data": {}}
COMPONENTS = [
    {
        "component": "bios",
        "initial_version": "2.1.0",
        "current_version": "2.7.5",
        "last_version_flashed": None,
    },
    {
        "component": "bmc",
        "initial_version": "7.0.0",
        "current_version": "7.10.70.00",
        "last_version_flashed": None,
    },
]


def found(node: Node, stated: dict[str, Any] | None = None, **more: Any) -> tuple[Difference, ...]:
    return compare(SITE, node, agent(node), COMPONENTS, redfish(node) if stated is None else stated, **more)


@pytest.mark.parametrize("node", SITE.nodes, ids=lambda node: node.name)
def test_what_is_as_ordered_has_no_difference(node: Node) -> None:
    assert found(node) == ()


@pytest.mark.parametrize("profile", sorted(NODES))
def test_the_bmc_alone_is_enough(profile: str) -> None:
    node = NODES[profile]
    assert compare(SITE, node, NOTHING, (), redfish(node)) == ()


@pytest.mark.parametrize("profile", sorted(NODES))
def test_the_agent_alone_is_enough_but_for_the_disks_behind_a_controller(profile: str) -> None:
    node = NODES[profile]
    told = [(one.check, one.found, one.severity) for one in compare(SITE, node, agent(node))]
    assert told == ([("drives", "not told", "warning")] if profile == "r660" else [])


def test_the_small_inventory_of_redfish_inspection_is_no_difference() -> None:
    """Ironic 29's redfish inspection: the board's serial number, 'System' for a product, threads in all."""
    node = NODES["xe9680"]
    inventory = {
        "inventory": {
            "memory": {"physical_mb": 1024 * 1024},
            "cpu": {"count": 208, "model_name": "Intel(R) Xeon(R) Platinum 8470", "frequency": 4000,
                    "architecture": "x86_64"},
            "disks": [{"name": "PCIe SSD in Slot 0 in Bay 1", "size": 1920383410176},
                      {"name": "PCIe SSD in Slot 1 in Bay 1", "size": 1920383410176}],
            "interfaces": [{"mac_address": one.mac.upper()} for one in node.interfaces if one.kind == "physical"],
            "system_vendor": {"product_name": "System", "serial_number": "CNIVC0034800B1",
                              "manufacturer": "Dell Inc."},
            "boot": {"current_boot_mode": "uefi"},
        },
        "plugin_data": None,
    }  # fmt: skip
    assert [(one.check, one.found) for one in compare(SITE, node, inventory)] == [
        ("service-tag", "not told"),
        ("gpus", "not told"),
    ]


def wrong(node: Node) -> dict[str, Any]:
    """A missing DIMM, another NIC, old firmware, three instead of four GPUs."""
    stated = redfish(node)
    gpus = sorted(path for path in stated if "/PCIeDevices/" in path)
    del stated[gpus[-1]], stated[next(path for path in stated if path.endswith("DIMM.Socket.B8"))]
    other = next(
        one for path, one in stated.items() if path.endswith("NetworkDeviceFunctions/NIC.Integrated.1-2-1")
    )
    other["Oem"]["Dell"]["DellNIC"] |= {"PCIVendorID": "14e4", "PCIDeviceID": "16d7"}
    old = next(one for path, one in stated.items() if path.endswith("__iDRAC.Embedded.1-1"))
    old["Version"] = "6.10.30.00"
    return stated


WRONG = """\
server    part            ordered                                                      found                         severity
r760xa-1  memory          16 x 32 GB                                                   15 x 32 GB                    blocking
    hint: reseat or replace the modules that are missing or off; filled: A1-A8 B1-B7
r760xa-1  ocp2            b8:3f:d2:40:15:02, NVIDIA ConnectX-6 Lx Dual Port 10/25 GbE  b8:3f:d2:40:15:02, 14e4:16d7  blocking
    hint: another adapter than ordered: have it exchanged, or describe it in the site's own catalogue
r760xa-1  GPUs            4 x NVIDIA H100 PCIe                                         3 x NVIDIA H100 PCIe          blocking
    hint: reseat the card and its power cable, or have what is missing delivered; lspci -d 10de: on the server
r760xa-1  firmware idrac  7.10.70.00 or later                                          6.10.30.00                    warning
    hint: update it through the iDRAC (Maintenance, System Update) to 7.10.70.00 or later
"""


def test_the_table_of_a_wrong_server() -> None:
    node = SITE.node("r760xa-1")
    differences = found(node, wrong(node))
    assert table(differences) == WRONG
    assert [one["blocks"] for one in json.loads(as_json(differences))] == [True, True, True, False]


def test_the_bmc_is_believed_before_the_agent() -> None:
    """The agent in this server saw two processors' worth of nothing; its BMC knows better."""
    node = NODES["xe9680"]
    small = agent(node)
    small["inventory"]["cpu"] |= {"model_name": "QEMU TCG CPU version 2.5+", "count": 2, "socket_count": 2}
    small["inventory"]["memory"] = {"total": 2 << 30, "physical_mb": 2048}
    small["plugin_data"]["pci_devices"] = []
    assert compare(SITE, node, small, (), redfish(node)) == ()
    assert {one.check for one in compare(SITE, node, small)} == {"cpu", "memory", "gpus"}


def without(field: str) -> Any:
    def change(stated: dict[str, Any]) -> None:
        for path in [path for path, one in stated.items() if one["@odata.type"].startswith(f"#{field}.")]:
            del stated[path]

    return change


def first(kind: str, **facts: Any) -> Any:
    def change(stated: dict[str, Any]) -> None:
        next(one for one in stated.values() if one["@odata.type"].startswith(f"#{kind}.")).update(facts)

    return change


@pytest.mark.parametrize(
    ("profile", "change", "check", "severity", "said"),
    [
        ("xe9680", first("ComputerSystem", SKU="7XYZ999"), "service-tag", "blocking", "7XYZ999"),
        ("xe9680", first("ComputerSystem", Model="PowerEdge XE8640"), "product", "blocking", "XE8640"),
        ("xe9680", first("Processor", ProcessorType="FPGA"), "cpu", "blocking", "1 x Intel Xeon Platinum 8470"),
        ("xe9680", first("Processor", TotalCores=2), "cpu", "blocking", "54 cores in all"),
        ("xe9680", first("Processor", Model="Intel(R) Xeon(R) Platinum 8480+"), "cpu", "warning", "8480+"),
        ("r660", first("Memory", CapacityMiB=8192), "memory", "blocking", "7 x 16 GB, 1 x 8 GB"),
        ("r660", first("Drive", CapacityBytes=480 * 10**9), "drives", "blocking", "3 x 960 GB SSD, 1 x 480 GB SSD"),
        ("r660", first("Memory", Status={"State": "Absent"}), "memory", "blocking", "7 x 16 GB"),
        ("xe8640", first("Drive", Protocol="SATA"), "drives", "warning", "1 x 1920 GB SSD, 1 x 1920 GB NVMe"),
        ("xe8640", first("PCIeFunction", DeviceId="0x2335"), "gpus", "blocking", "1 x NVIDIA H200"),
        ("xe8640", first("NetworkDeviceFunction", Ethernet={}), "nics", "blocking", "no port with this MAC"),
    ],
)  # fmt: skip
def test_each_fault_is_its_own(profile: str, change: Any, check: str, severity: str, said: str) -> None:
    node = NODES[profile]
    stated = redfish(node)
    change(stated)
    (difference,) = compare(SITE, node, NOTHING, (), stated)
    assert (difference.check, difference.severity) == (check, severity)
    assert said in difference.found
    assert difference.hint


def test_a_replaced_adapter_is_recognised_by_its_product() -> None:
    node = NODES["r760xa"]
    stated = redfish(node)
    ethernet = {"PermanentMACAddress": "B8:CE:F6:00:00:01", "MACAddress": "B8:CE:F6:00:00:01"}
    next(one for path, one in stated.items() if path.endswith("NIC.Integrated.1-1-1") and "Ethernet" in one)[
        "Ethernet"
    ] = ethernet
    (difference,) = compare(SITE, node, NOTHING, (), stated)
    assert difference.what == "ocp1"
    assert "is it b8:ce:f6:00:00:01?" in difference.hint


def test_more_than_ordered_is_as_ordered() -> None:
    node = NODES["xe8640"]
    stated = redfish(node)
    for one in [*stated.values()]:
        if (
            "/PCIeDevices/" in one["@odata.id"]
            or "/Drives/" in one["@odata.id"]
            or "/DIMM." in one["@odata.id"]
        ):
            path = f"{one['@odata.id']}9-0"
            stated[path] = {**copy.deepcopy(one), "@odata.id": path}
    first("ComputerSystem")(stated)
    assert compare(SITE, node, NOTHING, (), stated) == ()


@pytest.mark.parametrize("kind", ["Processor", "Memory", "Drive", "NetworkDeviceFunction", "PCIeFunction"])
def test_what_nobody_told_is_told_as_such_and_never_blocks(kind: str) -> None:
    node = NODES["xe9680"]
    stated = redfish(node)
    without(kind)(stated)
    first("ComputerSystem", ProcessorSummary={})(stated)
    severity = dict.fromkeys(CHECKS, "blocking")
    told = compare(SITE, node, NOTHING, (), stated, severity=severity)
    assert [(one.found, one.blocks) for one in told] == [("not told", False)]


def test_waived_differences_say_why_and_do_not_block() -> None:
    node = SITE.node("r760xa-1")
    reasons = {"memory": "ordered, arrives on Monday", "nics": "same speed", "gpus": "on loan"}
    differences = found(node, wrong(node), waived=reasons)
    assert not any(one.blocks for one in differences)
    assert "accepted: ordered, arrives on Monday" in table(differences)


def test_severity_and_firmware_are_the_sites_to_say() -> None:
    node = SITE.node("r760xa-1")
    told = found(node, severity={"firmware": "blocking"}, firmware={"bios": "2.10.0"})
    assert [(one.what, one.ordered, one.found, one.blocks) for one in told] == [
        ("firmware bios", "2.10.0 or later", "2.7.5", True)
    ]


@pytest.mark.parametrize("version", ["26.43.25.66", "26.43.2566", "16.35.2000"])
def test_an_adapters_firmware_is_read_as_its_maker_writes_it(version: str) -> None:
    node = NODES["xe9680"]
    stated = redfish(node)
    next(one for path, one in stated.items() if path.endswith("__NIC.Integrated.1-1-1"))["Version"] = version
    (difference,) = compare(SITE, node, NOTHING, (), stated)
    assert (difference.what, difference.ordered) == ("firmware connectx-6-lx", "26.47.2682 or later")


def test_a_check_that_is_none_is_refused() -> None:
    node = NODES["r660"]
    with pytest.raises(ValueError, match="'ram' is no check of conformance"):
        compare(SITE, node, NOTHING, waived={"ram": "?"})


@pytest.mark.parametrize("name", sorted(releases()))
def test_a_baseline_has_sources_and_products(name: str) -> None:
    known = {"bios", "idrac", "perc", *builtin().nics, *builtin().gpus}
    assert set(releases()[name].firmware) <= known
    assert all(one.source for one in releases()[name].firmware.values())


def test_the_collector_reads_everything_with_and_without_expansion() -> None:
    node = NODES["xe9680"]
    stated = redfish(node)
    system = next(iter(stated))
    stated[system]["PCIeFunctions"] = [{"@odata.id": path} for path in stated if "PCIeFunctions/" in path]
    served: dict[str, Any] = dict(stated)
    folders: dict[str, list[str]] = {}
    for path in stated:
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    for folder, paths in folders.items():
        served[folder] = {"Members": [{"@odata.id": path} for path in paths]}
    drives = folders[f"{system}/Storage/X/Drives"]
    storage = {"@odata.id": f"{system}/Storage/X", "Drives": [{"@odata.id": path} for path in drives]}
    served |= {
        f"{system}/Storage": {"Members": [{"@odata.id": f"{system}/Storage/X"}]},
        f"{system}/Storage/X": storage,
    }
    chassis = "/redfish/v1/Chassis/System.Embedded.1/NetworkAdapters"
    adapters = sorted({path.split("/")[6] for path in stated if path.startswith(chassis)})
    served[chassis] = {"Members": [{"@odata.id": f"{chassis}/{one}"} for one in adapters]}
    for one in adapters:
        link = {"@odata.id": f"{chassis}/{one}/NetworkDeviceFunctions"}
        served[f"{chassis}/{one}"] = {"@odata.id": f"{chassis}/{one}", "NetworkDeviceFunctions": link}
    asked: list[str] = []

    def plainly(path: str) -> Any:
        asked.append(path)
        return served.get(path)

    def expanded(path: str) -> Any:
        asked.append(path)
        body = served.get(path.removesuffix(EXPAND))
        if body is None or not path.endswith(EXPAND):
            return body
        return {"Members": [served[one["@odata.id"]] for one in body["Members"]]}

    for get in (plainly, expanded):
        asked.clear()
        collected = collect(get)
        assert compare(SITE, node, NOTHING, (), collected) == ()
    assert len(asked) < 25


FIELDS = ["service_tag", "product", "cpu", "sockets", "cores", "threads", "memory_mib"]


@given(st.lists(st.sampled_from(FIELDS)), st.lists(st.sampled_from(FIELDS)))
def test_the_first_source_wins_where_it_speaks(mine: list[str], others: list[str]) -> None:
    one = Hardware(**dict.fromkeys(mine, 1))  # type: ignore[arg-type]
    other = Hardware(**dict.fromkeys(others, 2))  # type: ignore[arg-type]
    joined = one.over(other)
    for name in FIELDS:
        assert getattr(joined, name) == (1 if name in mine else 2 if name in others else None)


@given(st.dictionaries(st.text(max_size=8), st.none() | st.dictionaries(st.text(max_size=8), st.none())))
def test_strange_inventories_tell_nothing_and_break_nothing(data: dict[str, Any]) -> None:
    assert isinstance(from_inventory({"inventory": data, "plugin_data": None}), Hardware)
    assert isinstance(from_redfish({"a": data}), Hardware)
