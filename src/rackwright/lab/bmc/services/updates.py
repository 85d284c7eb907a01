"""UpdateService: firmware inventory and updates from a URI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.http import (
    OK_STATUS,
    ROOT,
    SYSTEM,
    Json,
    Request,
    Response,
    collection,
    link,
    resource,
)
from rackwright.lab.bmc.jobs import JobFailed, effect
from rackwright.lab.bmc.messages import BASE, RedfishError, missing, not_found
from rackwright.lab.bmc.routing import get, post
from rackwright.lab.bmc.services.volumes import accepted

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICE = f"{ROOT}/UpdateService"
INVENTORY = f"{SERVICE}/FirmwareInventory"

#: Components: name as Dell lists it, software id, FQDD.
COMPONENTS = {
    "bios": ("BIOS", "159", "BIOS.Setup.1-1"),
    "idrac": ("Integrated Dell Remote Access Controller", "25227", "iDRAC.Embedded.1-1"),
    "cpld": ("System CPLD", "27763", "CPLD.Embedded.1"),
    "nic": ("Network Adapter", "110254", "NIC.Integrated.1-1-1"),
    "perc": ("PERC H755 Front", "111183", "RAID.SL.3-1"),
}


def components(bmc: Bmc) -> dict[str, str]:
    """Keys of the components that the server has, by inventory id."""
    raid = any(c.startswith("RAID") for c in bmc.hardware.controllers)
    return {
        f"Installed-{COMPONENTS[key][1]}-{version}__{COMPONENTS[key][2]}": key
        for key, version in bmc.state["firmware"].items()
        if key in COMPONENTS and (key != "perc" or raid)
    }


@get(SERVICE)
def service(bmc: Bmc, request: Request) -> Json:
    """The service."""
    return resource(
        SERVICE,
        "UpdateService.v1_14_0.UpdateService",
        "Update Service",
        ServiceEnabled=True,
        FirmwareInventory=link(INVENTORY),
        SoftwareInventory=link(f"{SERVICE}/SoftwareInventory"),
        Status=OK_STATUS,
        Actions={
            "#UpdateService.SimpleUpdate": {
                "target": f"{SERVICE}/Actions/UpdateService.SimpleUpdate",
                "TransferProtocol@Redfish.AllowableValues": ["HTTP", "HTTPS"],
            }
        },
    )


@get(f"{SERVICE}/SoftwareInventory")
def software(bmc: Bmc, request: Request) -> Json:
    """Nothing but firmware."""
    return collection(f"{SERVICE}/SoftwareInventory", "SoftwareInventory", "Software Inventory", [])


@get(INVENTORY)
def inventory(bmc: Bmc, request: Request) -> Json:
    """All components."""
    return collection(INVENTORY, "SoftwareInventory", "Firmware Inventory Collection", list(components(bmc)))


@get(f"{INVENTORY}/{{item}}")
def component(bmc: Bmc, request: Request, item: str) -> Json:
    """One component."""
    key = components(bmc).get(item)
    if key is None:
        raise not_found(request.path)
    name, software_id, _ = COMPONENTS[key]
    return resource(
        f"{INVENTORY}/{item}",
        "SoftwareInventory.v1_10_0.SoftwareInventory",
        name,
        Version=bmc.state["firmware"][key],
        SoftwareId=software_id,
        Manufacturer="Dell Inc.",
        Updateable=True,
        Status=OK_STATUS,
        RelatedItem=[link(SYSTEM)],
    )


@post(f"{SERVICE}/Actions/UpdateService.SimpleUpdate")
def update(bmc: Bmc, request: Request) -> Response:
    """Update from a URI; a name like ``bios_2.7.5.exe`` says which component and version it is."""
    uri = request.body.get("ImageURI")
    if not isinstance(uri, str):
        raise missing("UpdateService.SimpleUpdate", "ImageURI")
    if not uri.startswith(("http://", "https://")):
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", uri, "ImageURI", related=["#/ImageURI"])
    match = re.fullmatch(
        r"([a-z]+)[_-]([0-9][0-9A-Za-z.-]*)\.(exe|bin|d9|pm)", uri.rsplit("/", 1)[-1], re.IGNORECASE
    )
    payload = {"key": match[1].lower(), "version": match[2]} if match else {}
    waits = payload.get("key") in ("bios", "perc", "nic", "cpld")
    return accepted(bmc.jobs.add("FirmwareUpdate", "Firmware Update", "firmware", payload, on_reset=waits))


@effect("firmware")
def flash(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job: the component has the new version."""
    key = job["payload"].get("key")
    if key not in bmc.state["firmware"]:
        raise JobFailed("The update package is not for a component of this server.")
    bmc.state["firmware"][key] = job["payload"]["version"]
    if key == "bios":
        bmc.state["bios"]["attributes"]["SystemBiosVersion"] = job["payload"]["version"]
