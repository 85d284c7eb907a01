"""Dell's own resources: attributes of the iDRAC, services of card, Lifecycle Controller and RAID, configuration profiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.accounts import check_policy, hashed
from rackwright.lab.bmc.http import MANAGER, ROOT, SYSTEM, Json, Request, Response, resource
from rackwright.lab.bmc.jobs import JobFailed, effect
from rackwright.lab.bmc.messages import BASE, RedfishError, missing, not_found
from rackwright.lab.bmc.routing import get, patch, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

DELL = f"{MANAGER}/Oem/Dell"
CARD = f"{DELL}/DelliDRACCardService"
LIFECYCLE = f"{DELL}/DellLCService"
RAID = f"{SYSTEM}/Oem/Dell/DellRaidService"
SETS = ("iDRAC.Embedded.1", "System.Embedded.1", "LifecycleController.Embedded.1")

#: Privilege bits of Users.N.Privilege by role.
BITS = {"Administrator": 511, "Operator": 499, "ReadOnly": 1, "None": 0}
#: Attributes that can be set and do nothing but be remembered.
DEFAULTS: dict[str, dict[str, Any]] = {
    "iDRAC.Embedded.1": {
        "Info.1.HWModel": "iDRAC 9",
        "IPMILan.1.Enable": "Disabled",
        "SNMP.1.AgentEnable": "Disabled",
        "SSH.1.Enable": "Disabled",
        "WebServer.1.TLSProtocol": "TLS 1.2 and Higher",
        "NTPConfigGroup.1.NTPEnable": "Disabled",
        "NTPConfigGroup.1.NTP1": "",
        "NIC.1.DNSRacName": "",
        "VirtualMedia.1.Attached": "AutoAttach",
        "ServerBoot.1.BootOnce": "Disabled",
        "ServerBoot.1.FirstBootDevice": "Normal",
        "SecureDefaultPassword.1.ForceChangePassword": "False",
        "Security.1.ConfigCertStatus": 2,
    },
    "System.Embedded.1": {
        "ServerPwr.1.PSRedPolicy": "A/B Grid Redundant",
        "ServerTopology.1.DataCenterName": "",
        "ServerTopology.1.RackName": "",
        "ServerTopology.1.RackSlot": 1,
        "ServerOS.1.HostName": "",
    },
    "LifecycleController.Embedded.1": {
        "LCAttributes.1.LifecycleControllerState": "Enabled",
        "LCAttributes.1.CollectSystemInventoryOnRestart": "Enabled",
    },
}


def attributes_of(bmc: Bmc, name: str) -> dict[str, Any]:
    """The attributes of one of the three sets; users' stand with the iDRAC's."""
    values = {**DEFAULTS[name], **bmc.state.setdefault("attributes", {}).get(name, {})}
    if name == "iDRAC.Embedded.1":
        for slot, account in bmc.state["accounts"].items():
            values[f"Users.{slot}.UserName"] = account["user"]
            values[f"Users.{slot}.Enable"] = "Enabled" if account["enabled"] else "Disabled"
            values[f"Users.{slot}.Privilege"] = BITS[account["role"]]
            values[f"Users.{slot}.IpmiLanPrivilege"] = account["role"].replace("None", "No Access")
            values[f"Users.{slot}.IpmiSerialPrivilege"] = account["role"].replace("None", "No Access")
            values[f"Users.{slot}.SolEnable"] = "Disabled"
            values[f"Users.{slot}.ProtocolEnable"] = "Disabled"
            values[f"Users.{slot}.AuthenticationProtocol"] = "SHA"
            values[f"Users.{slot}.PrivacyProtocol"] = "AES"
    return dict(sorted(values.items()))


@get(f"{DELL}/DellAttributes/{{name}}")
def attributes(bmc: Bmc, request: Request, name: str) -> Json:
    """One set."""
    if name not in SETS:
        raise not_found(request.path)
    return resource(
        f"{DELL}/DellAttributes/{name}",
        "DellAttributes.v1_0_0.DellAttributes",
        "OEMAttributeRegistry",
        Description="This is a list of the iDRAC attributes that are imitated",
        AttributeRegistry="ManagerAttributeRegistry.v1_0_0",
        Attributes=attributes_of(bmc, name),
    )


@patch(f"{DELL}/DellAttributes/{{name}}")
def change(bmc: Bmc, request: Request, name: str) -> Response:
    """Set attributes at once."""
    if name not in SETS:
        raise not_found(request.path)
    wanted = request.body.get("Attributes")
    if not isinstance(wanted, dict) or not wanted:
        raise RedfishError(400, f"{BASE}.PropertyMissing", "Attributes", related=["#/Attributes"])
    set_attributes(bmc, name, wanted)
    return Response(200, {"@Message.ExtendedInfo": []})


def set_attributes(bmc: Bmc, name: str, wanted: dict[str, Any]) -> None:
    """Take attributes over; RedfishError 400 for one that isn't known."""
    known = attributes_of(bmc, name)
    for key in wanted:
        if key not in known and not re.fullmatch(r"Users\.(1?\d)\.\w+", key):
            raise RedfishError(400, f"{BASE}.PropertyUnknown", key, related=[f"#/Attributes/{key}"])
    for key, value in wanted.items():
        user = re.fullmatch(r"Users\.(\d+)\.(\w+)", key)
        if user and user[1] in bmc.state["accounts"]:
            _set_user(bmc, bmc.state["accounts"][user[1]], user[2], value)
        else:
            bmc.state["attributes"].setdefault(name, {})[key] = value
    first = attributes_of(bmc, "iDRAC.Embedded.1")
    if any(key.startswith("ServerBoot.1.") for key in wanted):
        device = {"VCD-DVD": "Cd", "VFDD": "Floppy", "PXE": "Pxe", "HDD": "Hdd", "BIOS": "BiosSetup"}.get(
            str(first["ServerBoot.1.FirstBootDevice"]), "None"
        )
        once = "Once" if first["ServerBoot.1.BootOnce"] == "Enabled" else "Continuous"
        bmc.state["boot"].update(target=device, enabled="Disabled" if device == "None" else once)
        bmc.events.write("boot override", target=device, enabled=bmc.state["boot"]["enabled"])


def _set_user(bmc: Bmc, account: dict[str, Any], key: str, value: Any) -> None:
    if key == "UserName":
        account["user"] = str(value)
    elif key == "Enable":
        account["enabled"] = value == "Enabled"
    elif key == "Privilege":
        account["role"] = {v: k for k, v in BITS.items()}.get(int(value), "None")
    elif key == "Password":
        account["hash"], account["change"] = hashed(check_policy(bmc, value)), False
        bmc.events.write("password changed", account=account["user"])


@get(f"{MANAGER}/Attributes")
def old_attributes(bmc: Bmc, request: Request) -> Json:
    """The iDRAC's own attributes where older firmware has them."""
    return attributes(bmc, request, SETS[0]) | {"@odata.id": f"{MANAGER}/Attributes"}


@patch(f"{MANAGER}/Attributes")
def change_old(bmc: Bmc, request: Request) -> Response:
    """Set them there."""
    return change(bmc, request, SETS[0])


def registry(bmc: Bmc) -> Json:
    """The registry of all attributes here: those with Enabled and Disabled as choices, numbers, else text."""
    entries = []
    for name, value in (pair for which in SETS for pair in attributes_of(bmc, which).items()):
        entry: Json = {
            "AttributeName": name,
            "CurrentValue": None,
            "DisplayName": name,
            "ReadOnly": False,
            "Type": "Integer" if isinstance(value, int) else "String",
        }
        if value in ("Enabled", "Disabled"):
            entry["Type"] = "Enumeration"
            entry["Value"] = [{"ValueDisplayName": v, "ValueName": v} for v in ("Enabled", "Disabled")]
        elif name.endswith("Protocol"):
            choices = (
                ("None", "MD5", "SHA") if name.endswith("AuthenticationProtocol") else ("None", "DES", "AES")
            )
            entry["Type"] = "Enumeration"
            entry["Value"] = [{"ValueDisplayName": v, "ValueName": v} for v in choices]
        elif entry["Type"] == "Integer":
            entry |= {"LowerBound": 0, "UpperBound": 511}
        entries.append(entry)
    return {
        "@odata.type": "#AttributeRegistry.v1_3_8.AttributeRegistry",
        "Id": "ManagerAttributeRegistry.v1_0_0",
        "Name": "Manager Attribute Registry",
        "Language": "en",
        "OwningEntity": "Dell",
        "RegistryVersion": "1.0.0",
        "RegistryEntries": {"Attributes": entries},
    }


@get(CARD)
def card_service(bmc: Bmc, request: Request) -> Json:
    """Certificates and reset of the card, Dell's way."""
    names = ("iDRACReset", "ImportSSLCertificate", "ExportSSLCertificate", "SSLResetCfg")
    actions: Json = {
        f"#DelliDRACCardService.{name}": {"target": f"{CARD}/Actions/DelliDRACCardService.{name}"}
        for name in names
    }
    actions["#DelliDRACCardService.iDRACReset"]["Force@Redfish.AllowableValues"] = ["Graceful", "Force"]
    return resource(
        CARD, "DelliDRACCardService.v1_4_0.DelliDRACCardService", "DelliDRACCardService", Actions=actions
    )


@post(f"{CARD}/Actions/DelliDRACCardService.iDRACReset")
def card_reset(bmc: Bmc, request: Request) -> Response:
    """Restart the iDRAC."""
    bmc.restart_manager()
    return Response(202)


@post(f"{CARD}/Actions/DelliDRACCardService.ImportSSLCertificate")
def import_certificate(bmc: Bmc, request: Request) -> Json:
    """Take a signed certificate for the web server."""
    from rackwright.lab.bmc.services.certificates import install

    if request.body.get("CertificateType") != "Server":
        raise RedfishError(
            400, f"{BASE}.ActionParameterNotSupported", "CertificateType", "ImportSSLCertificate"
        )
    install(bmc, request.text("SSLCertificateFile"))
    return {}


@post(f"{CARD}/Actions/DelliDRACCardService.ExportSSLCertificate")
def export_certificate(bmc: Bmc, request: Request) -> Json:
    """The certificate that is shown."""
    return {"CertificateFile": bmc.certificates.pem}


@post(f"{CARD}/Actions/DelliDRACCardService.SSLResetCfg")
def reset_certificate(bmc: Bmc, request: Request) -> Json:
    """Back to a self-signed one."""
    bmc.certificates.factory()
    return {}


@get(LIFECYCLE)
def lifecycle_service(bmc: Bmc, request: Request) -> Json:
    """The Lifecycle Controller."""
    return resource(
        LIFECYCLE,
        "DellLCService.v1_6_0.DellLCService",
        "DellLCService",
        Actions={
            "#DellLCService.GetRemoteServicesAPIStatus": {
                "target": f"{LIFECYCLE}/Actions/DellLCService.GetRemoteServicesAPIStatus"
            }
        },
    )


@post(f"{LIFECYCLE}/Actions/DellLCService.GetRemoteServicesAPIStatus")
def remote_status(bmc: Bmc, request: Request) -> Json:
    """Whether it can take work."""
    busy = bmc.faults.option("lifecycle_controller_busy") is not None
    on = bmc.machine.power_state() == "On"
    return {
        "LCStatus": "InUse" if busy else "Ready",
        "RTStatus": "Ready",
        "ServerStatus": "OutOfPOST" if on else "PoweredOff",
        "Status": "NotReady" if busy else "Ready",
    }


@get(RAID)
def raid_service(bmc: Bmc, request: Request) -> Json:
    """RAID, Dell's way: nothing to convert here."""
    names = ("ConvertToRAID", "ConvertToNonRAID", "ClearForeignConfig")
    return resource(
        RAID,
        "DellRaidService.v1_5_0.DellRaidService",
        "DellRaidService",
        Actions={f"#DellRaidService.{n}": {"target": f"{RAID}/Actions/DellRaidService.{n}"} for n in names},
    )


@post(f"{RAID}/Actions/DellRaidService.ClearForeignConfig")
def clear_foreign(bmc: Bmc, request: Request) -> Response:
    """There is no foreign configuration."""
    return Response(202, None, {"Location": f"{ROOT}/TaskService/Tasks/{_empty_job(bmc)}"})


def _empty_job(bmc: Bmc) -> str:
    return bmc.jobs.add("RAIDConfiguration", "Clear foreign configuration", "nothing", {}, on_reset=False)


IMPORT = f"{MANAGER}/Actions/Oem/EID_674_Manager.ImportSystemConfiguration"
EXPORT = f"{MANAGER}/Actions/Oem/EID_674_Manager.ExportSystemConfiguration"


@post(IMPORT)
def import_profile(bmc: Bmc, request: Request) -> Response:
    """Attributes of a server configuration profile (XML), as a job: the iDRAC's at once, the BIOS' at the next start."""
    text = request.body.get("ImportBuffer")
    if not isinstance(text, str):
        raise missing("ImportSystemConfiguration", "ImportBuffer")
    found = re.findall(r'<Component FQDD="([^"]+)">(.*?)</Component>', text, re.DOTALL)
    if not found:
        raise RedfishError(
            400, f"{BASE}.PropertyValueFormatError", "…", "ImportBuffer", related=["#/ImportBuffer"]
        )
    parts = {
        fqdd: {
            k.replace("#", "."): v.strip()
            for k, v in re.findall(r'<Attribute Name="([^"]+)">([^<]*)<', inner)
        }
        for fqdd, inner in found
    }
    job = bmc.jobs.add("ImportConfiguration", "Import Configuration", "profile", parts, on_reset=False)
    return Response(202, None, {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"})


@effect("profile")
def take_profile(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job that takes a profile over."""
    from rackwright.lab.bmc.services.bios import stage

    try:
        for fqdd, values in job["payload"].items():
            if fqdd in SETS:
                set_attributes(bmc, fqdd, values)
            elif fqdd == "BIOS.Setup.1-1":
                stage(bmc, values, scheduled=True)
            else:
                raise JobFailed(f"No such component: {fqdd}.")
    except RedfishError as error:
        raise JobFailed(str(error.entry["Message"])) from error


@post(EXPORT)
def export_profile(bmc: Bmc, request: Request) -> Response:
    """BIOS and iDRAC attributes as a profile (JSON), the result of a job."""
    job = bmc.jobs.add("ExportConfiguration", "Export Configuration", "nothing", {}, on_reset=False)
    components = [
        {"FQDD": "BIOS.Setup.1-1", "Attributes": _named(bmc.state["bios"]["attributes"])},
        *({"FQDD": name, "Attributes": _named(attributes_of(bmc, name))} for name in SETS),
    ]
    bmc.jobs.all[job]["result"] = {
        "SystemConfiguration": {
            "Model": bmc.config.model,
            "ServiceTag": bmc.config.service_tag,
            "Components": components,
        }
    }
    return Response(202, None, {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"})


def _named(values: dict[str, Any]) -> list[Json]:
    # a profile writes NIC.1#DNSRacName where the attribute itself is called NIC.1.DNSRacName
    values = {re.sub(r"(?<=\d)\.(?=\w+$)", "#", name): value for name, value in values.items()}
    return [{"Name": name, "Value": str(value), "Set On Import": "True"} for name, value in values.items()]
