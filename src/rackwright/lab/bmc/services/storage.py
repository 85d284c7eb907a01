"""Storage controllers and drives."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from rackwright.lab.bmc.hardware import Disk
from rackwright.lab.bmc.http import (
    CHASSIS,
    OK_STATUS,
    SYSTEM,
    Json,
    Request,
    Response,
    collection,
    link,
    resource,
)
from rackwright.lab.bmc.http import status as status_of
from rackwright.lab.bmc.messages import IDRAC, RedfishError, not_found
from rackwright.lab.bmc.routing import get, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

STORAGE = f"{SYSTEM}/Storage"
RAID_TYPES = ["RAID0", "RAID1", "RAID5", "RAID6", "RAID10"]


def drives_of(bmc: Bmc, controller: str) -> list[Disk]:
    """A controller's drives; RedfishError 404 if there is no such controller."""
    if controller not in bmc.hardware.controllers:
        raise not_found(f"{STORAGE}/{controller}")
    return [d for d in bmc.hardware.disks if d.controller == controller]


def is_raid(controller: str) -> bool:
    """Whether a controller makes volumes."""
    return controller.startswith("RAID")


def volumes_of(bmc: Bmc, controller: str) -> dict[str, Json]:
    """A controller's volumes by id."""
    kept: dict[str, Json] = bmc.state.setdefault("volumes", {}).setdefault(controller, {})
    return kept


@get(STORAGE)
def storages(bmc: Bmc, request: Request) -> Json:
    """All controllers."""
    return collection(STORAGE, "Storage", "Storage Collection", list(bmc.hardware.controllers))


@get(f"{STORAGE}/{{controller}}")
def storage(bmc: Bmc, request: Request, controller: str) -> Json:
    """One controller with its drives."""
    uri, drives = f"{STORAGE}/{controller}", drives_of(bmc, controller)
    raid = is_raid(controller)
    entry = {
        "@odata.id": f"{uri}#/StorageControllers/0",
        "MemberId": "0",
        "Name": "PERC H755 Front" if raid else "PCIe SSDs",
        "Model": "PERC H755 Front" if raid else "CPU PCIe lanes",
        "Manufacturer": "DELL" if raid else "Intel",
        "FirmwareVersion": bmc.state["firmware"].get("perc", "") if raid else None,
        "SpeedGbps": 12 if raid else 16,
        "SupportedControllerProtocols": ["PCIe"],
        "SupportedDeviceProtocols": ["SAS", "SATA"] if raid else ["NVMe"],
        "SupportedRAIDTypes": RAID_TYPES if raid else [],
        "Identifiers": [],
        "Status": OK_STATUS,
    }
    return resource(
        uri,
        "Storage.v1_16_0.Storage",
        "PERC H755 Front" if raid else "CPU.1",
        Drives=[link(f"{uri}/Drives/{d.id}") for d in drives],
        StorageControllers=[entry],
        Controllers=link(f"{uri}/Controllers"),
        Volumes=link(f"{uri}/Volumes"),
        Status=status_of(rollup=True),
        Links={"Enclosures": [link(CHASSIS)]},
        Actions={
            "#Storage.ResetToDefaults": {
                "target": f"{uri}/Actions/Storage.ResetToDefaults",
                "ResetType@Redfish.AllowableValues": ["ResetAll", "PreserveVolumes"],
            }
        }
        if raid
        else {},
        **{"Drives@odata.count": len(drives)},
    )


@get(f"{STORAGE}/{{controller}}/Controllers")
def controllers(bmc: Bmc, request: Request, controller: str) -> Json:
    """The controller as a collection of one."""
    drives_of(bmc, controller)
    return collection(f"{STORAGE}/{controller}/Controllers", "StorageController", "Controllers", [controller])


@get(f"{STORAGE}/{{controller}}/Controllers/{{same}}")
def storage_controller(bmc: Bmc, request: Request, controller: str, same: str) -> Json:
    """The controller itself."""
    drives_of(bmc, controller)
    if same != controller:
        raise not_found(request.path)
    raid = is_raid(controller)
    return resource(
        f"{STORAGE}/{controller}/Controllers/{controller}",
        "StorageController.v1_8_0.StorageController",
        "PERC H755 Front" if raid else "CPU PCIe lanes",
        Model="PERC H755 Front" if raid else "CPU PCIe lanes",
        Manufacturer="DELL" if raid else "Intel",
        SpeedGbps=12 if raid else 16,
        SupportedControllerProtocols=["PCIe"],
        SupportedDeviceProtocols=["SAS", "SATA"] if raid else ["NVMe"],
        SupportedRAIDTypes=RAID_TYPES if raid else [],
        Identifiers=[],
        Status=OK_STATUS,
        Oem={
            "Dell": {
                "@odata.type": "#DellOem.v1_3_0.DellOemResources",
                "DellStorageController": {
                    "@odata.type": "#DellStorageController.v1_0_0.DellStorageController",
                    "ControllerMode": "RAID",
                },
            }
        }
        if raid
        else {},
    )


@get(f"{STORAGE}/Drives/{{drive}}")
def drive_by_id(bmc: Bmc, request: Request, drive: str) -> Json:
    """The same where older firmware has it."""
    disk = next((d for d in bmc.hardware.disks if d.id == drive), None)
    if disk is None:
        raise not_found(request.path)
    return one_drive(bmc, request, disk.controller, drive)


@get(f"{STORAGE}/{{controller}}/Drives/{{drive}}")
def one_drive(bmc: Bmc, request: Request, controller: str, drive: str) -> Json:
    """One drive."""
    disk = next((d for d in drives_of(bmc, controller) if d.id == drive), None)
    if disk is None:
        raise not_found(request.path)
    uri = f"{STORAGE}/{controller}"
    of = [v for v in volumes_of(bmc, controller).values() if drive in v["drives"]]
    nvme = disk.kind == "NVMe"
    return resource(
        f"{uri}/Drives/{drive}",
        "Drive.v1_18_0.Drive",
        f"{'PCIe SSD' if nvme else 'Solid State Disk'} in Slot {disk.bay} in Bay 1",
        Description=f"Disk {disk.bay}",
        Manufacturer="SAMSUNG",
        Model="Dell Ent NVMe v2 AGN RI U.2" if nvme else "AL15SEB",
        SerialNumber=serial(bmc, disk),
        PartNumber="0P0001",
        Revision="2.3.0",
        CapacityBytes=disk.size_gb * 10**9,
        BlockSizeBytes=512,
        MediaType="HDD" if disk.kind == "HDD" else "SSD",
        Protocol="NVMe" if nvme else "SAS",
        CapableSpeedGbs=32 if nvme else 12,
        NegotiatedSpeedGbs=32 if nvme else 12,
        HotspareType="None",
        FailurePredicted=False,
        PredictedMediaLifeLeftPercent=100,
        EncryptionAbility="SelfEncryptingDrive",
        EncryptionStatus="Unencrypted",
        IndicatorLED="Off",
        Identifiers=[{"DurableName": _naa(bmc, disk), "DurableNameFormat": "NAA"}] if not nvme else [],
        Status=OK_STATUS,
        Links={
            "Volumes": [link(f"{uri}/Volumes/{v['id']}") for v in of],
            "Chassis": link(CHASSIS),
        },
        Actions={"#Drive.SecureErase": {"target": f"{uri}/Drives/{drive}/Actions/Drive.SecureErase"}},
    )


def _naa(bmc: Bmc, disk: Disk) -> str:
    return "5" + hashlib.sha256(serial(bmc, disk).encode()).hexdigest()[:15].upper()


def serial(bmc: Bmc, disk: Disk) -> str:
    """A drive's serial number; the machine's disk has the same."""
    return f"{bmc.config.service_tag}D{disk.bay:02d}"


@post(f"{STORAGE}/{{controller}}/Drives/{{drive}}/Actions/Drive.SecureErase")
def secure_erase(bmc: Bmc, request: Request, controller: str, drive: str) -> Response:
    """Erase a drive that no volume uses, as a job."""
    if drive not in [d.id for d in drives_of(bmc, controller)]:
        raise not_found(request.path)
    if any(drive in v["drives"] for v in volumes_of(bmc, controller).values()):
        raise RedfishError(400, f"{IDRAC}.STOR", f"{drive} is part of a volume")
    from rackwright.lab.bmc.services.volumes import accepted

    disk = next(d for d in drives_of(bmc, controller) if d.id == drive)
    job = bmc.jobs.add(
        "RAIDConfiguration",
        f"Secure erase: {drive}",
        "erase",
        {"bay": disk.bay},
        on_reset=not is_raid(controller),
    )
    return accepted(job)
