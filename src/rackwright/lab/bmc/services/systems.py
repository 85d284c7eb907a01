"""The host: power, identity, boot settings as a property of the system, secure boot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc import boot
from rackwright.lab.bmc.http import (
    CHASSIS,
    MANAGER,
    ROOT,
    SYSTEM,
    Json,
    Request,
    Response,
    collection,
    link,
    resource,
)
from rackwright.lab.bmc.http import status as status_of
from rackwright.lab.bmc.jobs import effect
from rackwright.lab.bmc.messages import BASE, RedfishError, missing
from rackwright.lab.bmc.routing import get, patch, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

RESETS = [
    "On",
    "ForceOff",
    "ForceRestart",
    "GracefulRestart",
    "GracefulShutdown",
    "PushPowerButton",
    "Nmi",
    "PowerCycle",
]
SETTINGS = f"{SYSTEM}/Settings"
SECURE_BOOT = f"{SYSTEM}/SecureBoot"


@get(f"{ROOT}/Systems")
def systems(bmc: Bmc, request: Request) -> Json:
    """One system."""
    return collection(
        f"{ROOT}/Systems", "ComputerSystem", "Computer System Collection", ["System.Embedded.1"]
    )


def boot_property(bmc: Bmc) -> Json:
    """The property Boot."""
    settings = bmc.state["boot"]
    return {
        "BootOptions": link(f"{SYSTEM}/BootOptions"),
        "Certificates": link(f"{SYSTEM}/Boot/Certificates"),
        "BootOrder": boot.order(bmc),
        "BootSourceOverrideEnabled": settings["enabled"],
        "BootSourceOverrideMode": "UEFI"
        if bmc.state["bios"]["attributes"]["BootMode"] == "Uefi"
        else "Legacy",
        "BootSourceOverrideTarget": settings["target"],
        "BootSourceOverrideTarget@Redfish.AllowableValues": list(boot.TARGETS),
        "UefiTargetBootSourceOverride": settings["uefi_target"],
        "HttpBootUri": settings["http_uri"],
        "StopBootOnFault": "Never",
    }


@get(SYSTEM)
def system(bmc: Bmc, request: Request) -> Json:
    """The host."""
    hardware, tag = bmc.hardware, bmc.config.service_tag
    power = bmc.power_state()
    return resource(
        SYSTEM,
        "ComputerSystem.v1_22_0.ComputerSystem",
        "System",
        Id="System.Embedded.1",
        Description="Computer System which represents a machine (physical or virtual)",
        SystemType="Physical",
        Manufacturer="Dell Inc.",
        Model=bmc.config.model,
        SKU=tag,
        SerialNumber=f"CN{tag}0001",
        PartNumber="0RW000A00",
        AssetTag=bmc.state.get("asset_tag", ""),
        HostName=bmc.state.get("host_name", ""),
        IndicatorLED=bmc.state.get("led", "Off"),
        UUID=bmc.uuid,
        BiosVersion=bmc.state["firmware"]["bios"],
        PowerState=power,
        Status=status_of("OK", "Enabled" if power == "On" else "StandbyOffline", rollup=True),
        Boot=boot_property(bmc),
        BootProgress={"LastState": "OSRunning" if power == "On" else "None"},
        LastResetTime=bmc.state.get("last_start", bmc.state["born"]),
        Actions={
            "#ComputerSystem.Reset": {
                "target": f"{SYSTEM}/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": RESETS,
            }
        },
        MemorySummary={
            "TotalSystemMemoryGiB": hardware.memory_gib,
            "MemoryMirroring": "System",
            "Status": status_of(rollup=True),
        },
        ProcessorSummary={
            "Count": hardware.cpu_count,
            "CoreCount": hardware.cpu_count * hardware.cores,
            "LogicalProcessorCount": hardware.cpu_count * hardware.threads,
            "Model": hardware.cpu_model,
            "Status": status_of(rollup=True),
        },
        Bios=link(f"{SYSTEM}/Bios"),
        EthernetInterfaces=link(f"{SYSTEM}/EthernetInterfaces"),
        Memory=link(f"{SYSTEM}/Memory"),
        Processors=link(f"{SYSTEM}/Processors"),
        SecureBoot=link(SECURE_BOOT),
        Storage=link(f"{SYSTEM}/Storage"),
        VirtualMedia=link(f"{SYSTEM}/VirtualMedia"),
        PCIeDevices=[link(f"{CHASSIS}/PCIeDevices/{i}") for i in pcie_ids(bmc)],
        Links={
            "Chassis": [link(CHASSIS)],
            "ManagedBy": [link(MANAGER)],
            "Oem": {
                "Dell": {
                    "@odata.type": "#DellOem.v1_3_0.DellOemLinks",
                    "BootOrder": link(f"{SYSTEM}/Oem/Dell/DellBootSources"),
                    "DellRaidService": link(f"{SYSTEM}/Oem/Dell/DellRaidService"),
                }
            },
        },
        **{
            "@Redfish.Settings": {
                "@odata.type": "#Settings.v1_3_5.Settings",
                "SettingsObject": link(SETTINGS),
                "SupportedApplyTimes": ["OnReset"],
            }
        },
    )


def pcie_ids(bmc: Bmc) -> list[str]:
    """Ids of the PCIe devices: adapters, then GPUs (bus-device, as an iDRAC numbers them)."""
    adapters = list(dict.fromkeys(nic.adapter for nic in bmc.hardware.nics))
    return [f"{i}-0" for i in range(1, len(adapters) + 1)] + [
        f"{0x80 + gpu.slot}-0" for gpu in bmc.hardware.gpus
    ]


@patch(SYSTEM)
def change(bmc: Bmc, request: Request) -> Response:
    """Boot override at once, boot order as a job; asset tag, LED."""
    request.only("Boot", "AssetTag", "IndicatorLED", "HostName", "LocationIndicatorActive")
    if not request.body:
        raise RedfishError(400, f"{BASE}.EmptyJSON")
    wanted = request.body.get("Boot", {})
    if not isinstance(wanted, dict):
        raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(wanted), "Boot", related=["#/Boot"])
    headers: dict[str, str] = {}
    if wanted:
        headers = set_boot(bmc, wanted)
    if "IndicatorLED" in request.body:
        if request.text("IndicatorLED") not in ("Lit", "Blinking", "Off"):
            raise RedfishError(
                400, f"{BASE}.PropertyValueNotInList", request.text("IndicatorLED"), "IndicatorLED"
            )
        bmc.state["led"] = request.text("IndicatorLED")
    for name, key in (("AssetTag", "asset_tag"), ("HostName", "host_name")):
        if name in request.body:
            bmc.state[key] = request.text(name)
    return Response(202 if headers else 200, system(bmc, request), headers)


@get(SETTINGS)
def pending(bmc: Bmc, request: Request) -> Json:
    """What the system takes over at the next reset."""
    return resource(
        SETTINGS,
        "ComputerSystem.v1_22_0.ComputerSystem",
        "System Settings",
        Boot={"BootOrder": bmc.state["boot"].get("pending_order") or boot.order(bmc)},
    )


@patch(SETTINGS)
def change_pending(bmc: Bmc, request: Request) -> Response:
    """As for the system itself: newer firmware wants the boot settings here."""
    request.only("Boot")
    headers = set_boot(bmc, request.body.get("Boot", {}))
    return Response(202 if headers else 200, pending(bmc, request), headers)


def _bad(value: object, name: str) -> RedfishError:
    return RedfishError(400, f"{BASE}.PropertyValueNotInList", str(value), name, related=[f"#/Boot/{name}"])


def set_boot(bmc: Bmc, wanted: dict[str, Any]) -> dict[str, str]:
    """Take over a property Boot; headers of the answer (the job, if one was made). RedfishError for bad values."""
    names = {
        "BootSourceOverrideEnabled": ("Disabled", "Once", "Continuous"),
        "BootSourceOverrideTarget": boot.TARGETS,
        "BootSourceOverrideMode": ("UEFI", "Legacy"),
    }
    known = {*names, "UefiTargetBootSourceOverride", "HttpBootUri", "BootOrder", "StopBootOnFault"}
    for name, value in wanted.items():
        if name not in known and "@" not in name:
            raise RedfishError(400, f"{BASE}.PropertyUnknown", name, related=[f"#/Boot/{name}"])
        if name in names and value not in names[name]:
            raise _bad(value, name)
    settings = bmc.state["boot"]
    paths = [o["path"] for o in boot.options(bmc).values()]
    if wanted.get("UefiTargetBootSourceOverride") and wanted["UefiTargetBootSourceOverride"] not in paths:
        raise _bad(wanted["UefiTargetBootSourceOverride"], "UefiTargetBootSourceOverride")
    mode = wanted.get("BootSourceOverrideMode")
    if (
        mode
        and mode != boot_property(bmc)["BootSourceOverrideMode"]
        and wanted.get("BootSourceOverrideTarget")
    ):
        # An iDRAC can't start in another mode for once: the BIOS attribute BootMode says which it is
        raise RedfishError(
            400, f"{BASE}.PropertyValueConflict", "BootSourceOverrideMode", "BootMode", related=["#/Boot"]
        )
    headers = {}
    order = wanted.get("BootOrder")
    if order is not None:
        have = boot.order(bmc)
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(have):
            raise _bad(order, "BootOrder")
        if order != have:
            job = bmc.jobs.add(
                "BIOSConfiguration", "Configure: BIOS.Setup.1-1", "boot", {"order": order}, on_reset=True
            )
            headers["Location"] = f"{ROOT}/TaskService/TaskMonitors/{job}"
    if "BootSourceOverrideTarget" in wanted:
        settings["target"] = wanted["BootSourceOverrideTarget"]
        settings["enabled"] = wanted.get("BootSourceOverrideEnabled", "Once")
    if "BootSourceOverrideEnabled" in wanted:
        settings["enabled"] = wanted["BootSourceOverrideEnabled"]
    if settings["enabled"] == "Disabled" or settings["target"] == "None":
        settings.update(enabled="Disabled", target="None", uefi_target=None)
    if "UefiTargetBootSourceOverride" in wanted:
        settings["uefi_target"] = wanted["UefiTargetBootSourceOverride"]
    if "HttpBootUri" in wanted:
        settings["http_uri"] = wanted["HttpBootUri"]
    bmc.events.write("boot override", target=settings["target"], enabled=settings["enabled"])
    return headers


@effect("boot")
def take_order(bmc: Bmc, job: dict[str, Any]) -> None:
    """A job that changes the boot order or which options are on."""
    if "order" in job["payload"]:
        bmc.state["boot"]["order"] = job["payload"]["order"]
    if "off" in job["payload"]:
        bmc.state["boot"]["off"] = job["payload"]["off"]


@post(f"{SYSTEM}/Actions/ComputerSystem.Reset")
def reset(bmc: Bmc, request: Request) -> Response:
    """Power actions."""
    kind = request.body.get("ResetType")
    if kind is None:
        raise missing("ComputerSystem.Reset", "ResetType")
    if kind not in RESETS:
        raise RedfishError(
            400,
            f"{BASE}.ActionParameterValueNotInList",
            str(kind),
            "ResetType",
            "ComputerSystem.Reset",
            related=["#/ResetType"],
        )
    bmc.reset(str(kind))
    return Response(204)


@get(f"{SYSTEM}/Boot/Certificates")
def boot_certificates(bmc: Bmc, request: Request) -> Json:
    """No certificates for HTTPS boot."""
    return collection(f"{SYSTEM}/Boot/Certificates", "Certificate", "Boot Certificates", [])


@get(SECURE_BOOT)
def secure_boot(bmc: Bmc, request: Request) -> Json:
    """UEFI secure boot: the BIOS attribute, seen the Redfish way."""
    attributes, pending = bmc.state["bios"]["attributes"], bmc.state["bios"]["pending"]
    wanted = pending.get("SecureBoot", attributes["SecureBoot"])
    return resource(
        SECURE_BOOT,
        "SecureBoot.v1_1_0.SecureBoot",
        "UEFI Secure Boot",
        SecureBootCurrentBoot=bmc.state["bios"].get("secure_now", attributes["SecureBoot"]),
        SecureBootEnable=wanted == "Enabled",
        SecureBootMode="DeployedMode",
        Actions={
            "#SecureBoot.ResetKeys": {
                "target": f"{SECURE_BOOT}/Actions/SecureBoot.ResetKeys",
                "ResetKeysType@Redfish.AllowableValues": [
                    "ResetAllKeysToDefault",
                    "DeleteAllKeys",
                    "DeletePK",
                ],
            }
        },
    )


@patch(SECURE_BOOT)
def change_secure_boot(bmc: Bmc, request: Request) -> Response:
    """A change waits for the next reset."""
    from rackwright.lab.bmc.services.bios import stage

    request.only("SecureBootEnable")
    wanted = request.body.get("SecureBootEnable")
    if not isinstance(wanted, bool):
        raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(wanted), "SecureBootEnable")
    job = stage(bmc, {"SecureBoot": "Enabled" if wanted else "Disabled"}, scheduled=True)
    return Response(202, secure_boot(bmc, request), {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"})


@post(f"{SECURE_BOOT}/Actions/SecureBoot.ResetKeys")
def reset_keys(bmc: Bmc, request: Request) -> Response:
    """Keys are not kept here: the action is taken and logged."""
    if "ResetKeysType" not in request.body:
        raise missing("SecureBoot.ResetKeys", "ResetKeysType")
    bmc.jobs.check_free()
    bmc.log("lc", "Informational", "Secure boot keys were reset.")
    return Response(202)
