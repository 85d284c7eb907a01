"""What a BMC states of its server's hardware, read with as few requests as it allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
MANAGER = "/redfish/v1/Managers/iDRAC.Embedded.1"
ADAPTERS = "/redfish/v1/Chassis/System.Embedded.1/NetworkAdapters"
FIRMWARE = "/redfish/v1/UpdateService/FirmwareInventory"
#: An iDRAC9 gives a collection's members whole when asked so: one request in the place of dozens.
EXPAND = "?$expand=*($levels=1)"

#: What is kept of a resource: an iDRAC's are ten times as large, and there are a hundred of a server.
FIELDS = """
    @odata.id @odata.type Id Name Model SKU SerialNumber Manufacturer PartNumber BiosVersion FirmwareVersion Status
    ProcessorSummary ProcessorType TotalCores TotalThreads MaxSpeedMHz CapacityMiB OperatingSpeedMhz MemoryDeviceType
    CapacityBytes MediaType Protocol VendorId DeviceId ClassCode Ethernet MACAddress PermanentMACAddress SpeedMbps
    LinkStatus Version SoftwareId
"""
KEPT = frozenset(FIELDS.split())

Get = Callable[[str], "dict[str, Any] | None"]


def collect(get: Get) -> dict[str, dict[str, Any]]:
    """Redfish resources by ``@odata.id``: the system, its processors, memory, drives, PCIe functions, network
    functions and installed firmware.

    ``get`` gives a path's JSON, or None where there is no such resource; what it raises goes through.
    """  # fmt: skip
    found: dict[str, dict[str, Any]] = {}

    def keep(body: dict[str, Any] | None) -> dict[str, Any]:
        if body is not None and "@odata.id" in body:
            found[body["@odata.id"]] = _cut(body)
        return body or {}

    system = keep(get(SYSTEM))
    keep(get(MANAGER))
    for name in ("Processors", "Memory", "EthernetInterfaces"):
        for member in _members(get, f"{SYSTEM}/{name}"):
            keep(member)
    for storage in _members(get, f"{SYSTEM}/Storage"):
        for drive in storage.get("Drives", ()):
            keep(get(drive["@odata.id"]))
    for function in _functions(get, system):
        keep(function)
    for adapter in _members(get, ADAPTERS):
        functions = adapter.get("NetworkDeviceFunctions", {}).get("@odata.id")
        for member in _members(get, functions) if functions else ():
            keep(member)
    for member in _members(get, FIRMWARE):
        keep(member)
    return found


def _cut(body: dict[str, Any]) -> dict[str, Any]:
    """What of a resource tells of hardware."""
    nic = body.get("Oem", {}).get("Dell", {}).get("DellNIC")
    return {
        **{key: value for key, value in body.items() if key in KEPT},
        **({"Oem": {"Dell": {"DellNIC": nic}}} if nic else {}),
    }


def _functions(get: Get, system: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The PCIe functions: the system lists them, or its devices do."""
    links = system.get("PCIeFunctions", ())
    for device in () if links else system.get("PCIeDevices", ()):
        whole = get(device["@odata.id"]) or {}
        collection = whole.get("PCIeFunctions", {}).get("@odata.id")
        yield from _members(get, collection) if collection else ()
        links = [*links, *whole.get("Links", {}).get("PCIeFunctions", ())] if not collection else links
    for link in links:
        body = get(link["@odata.id"])
        if body is not None:
            yield body


def _members(get: Get, path: str) -> Iterator[dict[str, Any]]:
    """The members of a collection, each whole."""
    collection = get(path + EXPAND) or get(path) or {}
    for member in collection.get("Members", ()):
        # A BMC that doesn't know the question answers with the links alone.
        whole = member if set(member) - {"@odata.id"} else get(member["@odata.id"])
        if whole is not None:
            yield whole
