"""BIOS attributes, their registry, and changes that wait for a job and the next start of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.bios_attributes import ATTRIBUTES, BY_NAME, defaults, fault_of
from rackwright.lab.bmc.http import ROOT, SYSTEM, Json, Request, Response, link, resource
from rackwright.lab.bmc.jobs import JobFailed, effect
from rackwright.lab.bmc.messages import BASE, IDRAC, RedfishError, message
from rackwright.lab.bmc.routing import get, patch, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

BIOS = f"{SYSTEM}/Bios"
REGISTRY = "BiosAttributeRegistry.v1_0_0"


@get(BIOS)
def bios(bmc: Bmc, request: Request) -> Json:
    """The attributes in force."""
    return resource(
        BIOS,
        "Bios.v1_2_1.Bios",
        "BIOS Configuration Current Settings",
        Attributes=bmc.state["bios"]["attributes"],
        AttributeRegistry=REGISTRY,
        Actions={
            "#Bios.ResetBios": {"target": f"{BIOS}/Actions/Bios.ResetBios"},
            "#Bios.ChangePassword": {"target": f"{BIOS}/Actions/Bios.ChangePassword"},
        },
        **{
            "@Redfish.Settings": {
                "@odata.type": "#Settings.v1_3_5.Settings",
                "SettingsObject": link(f"{BIOS}/Settings"),
                "SupportedApplyTimes": ["OnReset", "AtMaintenanceWindowStart", "InMaintenanceWindowOnReset"],
            }
        },
    )


@get(f"{BIOS}/Settings")
def settings(bmc: Bmc, request: Request) -> Json:
    """The attributes that wait."""
    return resource(
        f"{BIOS}/Settings",
        "Bios.v1_2_1.Bios",
        "BIOS Configuration Pending Settings",
        Attributes=bmc.state["bios"]["pending"],
        AttributeRegistry=REGISTRY,
        Actions={
            "Oem": {
                "#DellManager.ClearPending": {
                    "target": f"{BIOS}/Settings/Actions/Oem/DellManager.ClearPending",
                }
            }
        },
    )


@patch(f"{BIOS}/Settings")
def change(bmc: Bmc, request: Request) -> Response:
    """Stage attributes; with an apply time the job is made at once, else a POST to the job queue does it."""
    request.only("Attributes")
    wanted = request.body.get("Attributes")
    if not isinstance(wanted, dict):
        raise RedfishError(400, f"{BASE}.PropertyMissing", "Attributes", related=["#/Attributes"])
    if not wanted:
        raise RedfishError(400, f"{BASE}.EmptyJSON")
    apply_time = request.body.get("@Redfish.SettingsApplyTime")
    job = stage(bmc, wanted, scheduled=apply_time is not None)
    headers = {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"} if job else {}
    done = {"@Message.ExtendedInfo": [message(f"{BASE}.Success")]}
    return Response(202 if job else 200, settings(bmc, request) | done, headers)


def stage(bmc: Bmc, wanted: dict[str, Any], scheduled: bool) -> str:
    """Let attributes wait, with a job if ``scheduled``; its id or nothing.

    RedfishError 400 for a wrong attribute or value, 503 while the Lifecycle Controller or another job is at it.
    """
    if bmc.jobs.going("BIOSConfiguration"):
        raise RedfishError(400, f"{IDRAC}.SYS011")
    bmc.jobs.check_free()
    pending = bmc.state["bios"]["pending"]
    rejected = bmc.faults.option("bios_setting_rejected")
    now = bmc.state["bios"]["attributes"]
    profile = wanted.get("SysProfile", pending.get("SysProfile", now["SysProfile"]))
    for name, value in wanted.items():
        fault = fault_of(name, value, profile)
        if fault == "depends" and value == now.get(name):
            fault = None  # nothing would change
        if (
            rejected is not None
            and rejected.get("when") == "request"
            and name in rejected.get("attributes", [name])
        ):
            fault = "depends"
        pointer = [f"#/Attributes/{name}"]
        if fault == "unknown":
            raise RedfishError(400, f"{BASE}.PropertyUnknown", name, related=pointer)
        if fault == "read_only":
            raise RedfishError(400, f"{BASE}.PropertyNotWritable", name, related=pointer)
        if fault == "depends":
            raise RedfishError(400, f"{IDRAC}.SYS410", name, related=pointer)
        if fault is not None:
            text = {"type": "PropertyValueTypeError", "range": "PropertyValueOutOfRange"}
            message_id = f"{BASE}.{text.get(fault, 'PropertyValueNotInList')}"
            raise RedfishError(400, message_id, str(value), name, related=pointer)
    pending.update(wanted)
    return schedule(bmc) if scheduled else ""


def schedule(bmc: Bmc) -> str:
    """A job for what waits; its id. RedfishError 400 when nothing does."""
    if bmc.jobs.going("BIOSConfiguration"):
        raise RedfishError(400, f"{IDRAC}.SYS011")
    if not bmc.state["bios"]["pending"]:
        raise RedfishError(400, f"{BASE}.NoOperation")
    return bmc.jobs.add("BIOSConfiguration", "Configure: BIOS.Setup.1-1", "bios", {}, on_reset=True)


@effect("bios")
def take(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job: attributes that waited come into force, but for those that a fault refuses."""
    state = bmc.state["bios"]
    pending, state["pending"] = state["pending"], {}
    rejected = bmc.faults.option("bios_setting_rejected")
    refused = []
    for name, value in pending.items():
        if rejected is not None and name in rejected.get("attributes", [name]):
            refused.append(name)
        else:
            state["attributes"][name] = value
    state["secure_now"] = state["attributes"]["SecureBoot"]
    if refused:
        raise JobFailed(f"Unable to apply some BIOS attributes: {', '.join(refused)}.")


@post(f"{BIOS}/Settings/Actions/Oem/DellManager.ClearPending")
def clear_pending(bmc: Bmc, request: Request) -> Response:
    """Forget what waits without a job."""
    if bmc.jobs.going("BIOSConfiguration"):
        raise RedfishError(400, f"{IDRAC}.SYS011")
    bmc.state["bios"]["pending"] = {}
    return Response(200, {})


@post(f"{BIOS}/Actions/Bios.ResetBios")
def reset_bios(bmc: Bmc, request: Request) -> Response:
    """Factory defaults at the next start."""
    bmc.jobs.check_free()
    bmc.jobs.add("BIOSConfiguration", "Reset BIOS to defaults", "bios_defaults", {}, on_reset=True)
    return Response(200, {})


@effect("bios_defaults")
def take_defaults(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job: all attributes as they left the factory."""
    bmc.state["bios"].update(attributes=defaults(bmc), pending={})
    bmc.log("lc", "Informational", "BIOS settings were reset to defaults.", "UEFI0157")


@post(f"{BIOS}/Actions/Bios.ChangePassword")
def change_password(bmc: Bmc, request: Request) -> Response:
    """Setup passwords are not kept here."""
    raise RedfishError(400, f"{BASE}.ActionNotSupported", "Bios.ChangePassword")


def registry() -> Json:
    """The attribute registry itself."""
    entries = []
    for order, attribute in enumerate(ATTRIBUTES):
        entry: Json = {
            "AttributeName": attribute.name,
            "DisplayName": attribute.name,
            "DisplayOrder": order,
            "Hidden": False,
            "Immutable": attribute.read_only,
            "MenuPath": f"./{attribute.menu}Ref",
            "ReadOnly": attribute.read_only,
            "ResetRequired": True,
            "Type": attribute.type,
            "WriteOnly": False,
        }
        if attribute.values:
            entry["Value"] = [{"ValueDisplayName": v, "ValueName": v} for v in attribute.values]
        if attribute.bounds:
            entry |= {
                "LowerBound": attribute.bounds[0],
                "UpperBound": attribute.bounds[1],
                "ScalarIncrement": 0,
            }
        if attribute.type == "String":
            entry |= {"MinLength": 0, "MaxLength": 63}
        entries.append(entry)
    dependencies = [
        {
            "Dependency": {
                "MapFrom": [
                    {
                        "MapFromAttribute": "SysProfile",
                        "MapFromCondition": "NEQ",
                        "MapFromProperty": "CurrentValue",
                        "MapFromValue": "Custom",
                    }
                ],
                "MapToAttribute": name,
                "MapToProperty": "ReadOnly",
                "MapToValue": True,
            },
            "DependencyFor": name,
            "Type": "Map",
        }
        for name, attribute in BY_NAME.items()
        if attribute.custom
    ]
    return {
        "@odata.id": f"{BIOS}/BiosRegistry",
        "@odata.type": "#AttributeRegistry.v1_3_8.AttributeRegistry",
        "Id": REGISTRY,
        "Name": "BIOS Attribute Registry",
        "Description": "A choice of the attributes of a 16th generation PowerEdge",
        "Language": "en",
        "OwningEntity": "Dell",
        "RegistryVersion": "1.0.0",
        "RegistryEntries": {"Attributes": entries, "Dependencies": dependencies},
    }


@get(f"{BIOS}/BiosRegistry")
def bios_registry(bmc: Bmc, request: Request) -> Json:
    """The registry where an iDRAC has it."""
    return registry()
