"""Network adapters and their functions: what tells which product a port is of, beside its MAC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import CHASSIS, OK_STATUS, Json, Request, collection, link, resource
from rackwright.lab.bmc.messages import not_found
from rackwright.lab.bmc.routing import get

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

ADAPTERS = f"{CHASSIS}/NetworkAdapters"


def _ids(bmc: Bmc) -> list[str]:
    return list(dict.fromkeys(nic.adapter for nic in bmc.hardware.nics))


@get(ADAPTERS)
def adapters(bmc: Bmc, request: Request) -> Json:
    """All adapters."""
    return collection(ADAPTERS, "NetworkAdapter", "Network Adapter Collection", _ids(bmc))


@get(f"{ADAPTERS}/{{adapter}}")
def adapter(bmc: Bmc, request: Request, adapter: str) -> Json:
    """One adapter."""
    if adapter not in _ids(bmc):
        raise not_found(request.path)
    return resource(
        f"{ADAPTERS}/{adapter}",
        "NetworkAdapter.v1_12_0.NetworkAdapter",
        "Network Adapter View",
        Description="Network Adapter View",
        NetworkDeviceFunctions=link(f"{ADAPTERS}/{adapter}/NetworkDeviceFunctions"),
        Status=OK_STATUS,
    )


@get(f"{ADAPTERS}/{{adapter}}/NetworkDeviceFunctions")
def functions(bmc: Bmc, request: Request, adapter: str) -> Json:
    """Its functions: one for each port."""
    ids = [nic.id for nic in bmc.hardware.nics if nic.adapter == adapter]
    if not ids:
        raise not_found(request.path)
    uri = f"{ADAPTERS}/{adapter}/NetworkDeviceFunctions"
    return collection(uri, "NetworkDeviceFunction", "Network Device Function Collection", ids)


@get(f"{ADAPTERS}/{{adapter}}/NetworkDeviceFunctions/{{function}}")
def function(bmc: Bmc, request: Request, adapter: str, function: str) -> Json:
    """One function, with Dell's own words for its PCI ids."""
    nic = next((one for one in bmc.hardware.nics if (one.adapter, one.id) == (adapter, function)), None)
    if nic is None:
        raise not_found(request.path)
    vendor, device = nic.pci_id.split(":")
    uri = f"{ADAPTERS}/{adapter}/NetworkDeviceFunctions/{function}"
    return resource(
        uri,
        "NetworkDeviceFunction.v1_9_2.NetworkDeviceFunction",
        "NetworkDeviceFunction",
        NetDevFuncType="Ethernet",
        NetDevFuncCapabilities=["Disabled", "Ethernet"],
        Ethernet={"MACAddress": nic.mac, "PermanentMACAddress": nic.mac},
        Status=OK_STATUS,
        Oem={
            "Dell": {
                "@odata.type": "#DellOem.v1_3_0.DellOemResources",
                "DellNIC": {
                    "@odata.type": "#DellNIC.v1_6_0.DellNIC",
                    "Id": nic.id,
                    "Name": "DellNIC",
                    "FQDD": nic.id,
                    "ProductName": f"{nic.product} - {nic.mac.upper()}",
                    "PCIVendorID": vendor,
                    "PCIDeviceID": device,
                    "FamilyVersion": bmc.state["firmware"].get("nic", ""),
                },
            }
        },
    )
