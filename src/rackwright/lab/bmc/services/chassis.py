"""The chassis: identity, PCIe devices and functions, a few readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import (
    CHASSIS,
    MANAGER,
    OK_STATUS,
    ROOT,
    SYSTEM,
    Json,
    Request,
    collection,
    link,
    resource,
)
from rackwright.lab.bmc.http import status as status_of
from rackwright.lab.bmc.messages import not_found
from rackwright.lab.bmc.routing import get

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

DEVICES = f"{CHASSIS}/PCIeDevices"
SENSORS = f"{CHASSIS}/Sensors"


@get(f"{ROOT}/Chassis")
def all_chassis(bmc: Bmc, request: Request) -> Json:
    """One chassis."""
    return collection(f"{ROOT}/Chassis", "Chassis", "Chassis Collection", ["System.Embedded.1"])


@get(CHASSIS)
def chassis(bmc: Bmc, request: Request) -> Json:
    """The chassis."""
    from rackwright.lab.bmc.services.systems import pcie_ids

    return resource(
        CHASSIS,
        "Chassis.v1_25_0.Chassis",
        "Computer System Chassis",
        ChassisType="RackMount",
        Manufacturer="Dell Inc.",
        Model=bmc.config.model,
        SKU=bmc.config.service_tag,
        SerialNumber=f"CN{bmc.config.service_tag}0001",
        PartNumber="0RW000A00",
        AssetTag=bmc.state.get("asset_tag", ""),
        IndicatorLED=bmc.state.get("led", "Off"),
        PowerState="On" if bmc.power_state() in ("On", "PoweringOn") else "Off",
        Status=status_of(rollup=True),
        NetworkAdapters=link(f"{CHASSIS}/NetworkAdapters"),
        PCIeDevices=link(DEVICES),
        Sensors=link(SENSORS),
        Links={
            "ComputerSystems": [link(SYSTEM)],
            "ManagedBy": [link(MANAGER)],
            "PCIeDevices": [link(f"{DEVICES}/{i}") for i in pcie_ids(bmc)],
        },
    )


def _devices(bmc: Bmc) -> dict[str, dict[str, str]]:
    """PCIe devices by id: name, maker, and vendor:device of each function."""
    found: dict[str, dict[str, str]] = {}
    adapters: dict[str, list[str]] = {}
    for nic in bmc.hardware.nics:
        adapters.setdefault(nic.adapter, []).append(nic.id)
        number = list(adapters).index(nic.adapter) + 1
        first = {"name": nic.product, "pci": nic.pci_id, "class": "NetworkController", "code": "0x020000"}
        found.setdefault(f"{number}-0", first)["functions"] = str(len(adapters[nic.adapter]))
    for gpu in bmc.hardware.gpus:
        found[f"{0x80 + gpu.slot}-0"] = {
            "name": gpu.product,
            "pci": gpu.pci_id,
            "functions": "1",
            "class": "DisplayController",
            "code": "0x030200",
        }
    return found


MAKERS = {
    "10de": "NVIDIA Corporation",
    "15b3": "Mellanox Technologies",
    "14e4": "Broadcom Inc. and subsidiaries",
}


@get(DEVICES)
def devices(bmc: Bmc, request: Request) -> Json:
    """All PCIe devices."""
    return collection(DEVICES, "PCIeDevice", "PCIeDevice Collection", list(_devices(bmc)))


def _device(bmc: Bmc, request: Request, device: str) -> dict[str, str]:
    known = _devices(bmc).get(device)
    if known is None:
        raise not_found(request.path)
    return known


@get(f"{DEVICES}/{{device}}")
def pcie_device(bmc: Bmc, request: Request, device: str) -> Json:
    """One device."""
    known = _device(bmc, request, device)
    return resource(
        f"{DEVICES}/{device}",
        "PCIeDevice.v1_14_0.PCIeDevice",
        known["name"],
        Model=known["name"],
        Manufacturer=MAKERS.get(known["pci"].split(":")[0], "unknown"),
        DeviceType="SingleFunction" if known["functions"] == "1" else "MultiFunction",
        FirmwareVersion=bmc.state["firmware"].get("nic", "") if known["class"] == "NetworkController" else "",
        PCIeFunctions=link(f"{DEVICES}/{device}/PCIeFunctions"),
        Status=OK_STATUS,
        Links={"Chassis": [link(CHASSIS)]},
    )


@get(f"{DEVICES}/{{device}}/PCIeFunctions")
def functions(bmc: Bmc, request: Request, device: str) -> Json:
    """Its functions."""
    known = _device(bmc, request, device)
    ids = [f"{device}-{n}" for n in range(int(known["functions"]))]
    return collection(f"{DEVICES}/{device}/PCIeFunctions", "PCIeFunction", "PCIeFunction Collection", ids)


@get(f"{DEVICES}/{{device}}/PCIeFunctions/{{function}}")
def pcie_function(bmc: Bmc, request: Request, device: str, function: str) -> Json:
    """One function with its PCI ids."""
    known = _device(bmc, request, device)
    number = function.removeprefix(f"{device}-")
    if not number.isdigit() or int(number) >= int(known["functions"]):
        raise not_found(request.path)
    vendor, product = known["pci"].split(":")
    return resource(
        f"{DEVICES}/{device}/PCIeFunctions/{function}",
        "PCIeFunction.v1_5_0.PCIeFunction",
        known["name"],
        FunctionId=int(number),
        FunctionType="Physical",
        DeviceClass=known["class"],
        ClassCode=known["code"],
        VendorId=f"0x{vendor}",
        DeviceId=f"0x{product}",
        SubsystemVendorId="0x1028",
        SubsystemId="0x0000",
        RevisionId="0x00",
        Status=OK_STATUS,
        Links={"PCIeDevice": link(f"{DEVICES}/{device}")},
    )


READINGS: dict[str, tuple[str, str, str, float, float]] = {
    "SystemBoardInletTemp": ("System Board Inlet Temp", "Temperature", "Cel", 22.0, 22.0),
    "CPU1Temp": ("CPU1 Temp", "Temperature", "Cel", 45.0, 25.0),
    "SystemBoardPwrConsumption": ("System Board Pwr Consumption", "Power", "W", 420.0, 20.0),
}


@get(SENSORS)
def sensors(bmc: Bmc, request: Request) -> Json:
    """A few sensors."""
    return collection(SENSORS, "Sensor", "Sensors Collection", list(READINGS))


@get(f"{SENSORS}/{{sensor}}")
def sensor(bmc: Bmc, request: Request, sensor: str) -> Json:
    """A reading: one figure while the host is on, another while it is off."""
    if sensor not in READINGS:
        raise not_found(request.path)
    name, kind, unit, on, off = READINGS[sensor]
    return resource(
        f"{SENSORS}/{sensor}",
        "Sensor.v1_9_0.Sensor",
        name,
        Reading=on if bmc.machine.power_state() == "On" else off,
        ReadingType=kind,
        ReadingUnits=unit,
        Status=OK_STATUS,
    )
