"""The iDRAC itself: identity, clock, network, reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.events import now
from rackwright.lab.bmc.http import (
    CHASSIS,
    MANAGER,
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
from rackwright.lab.bmc.messages import BASE, RedfishError
from rackwright.lab.bmc.routing import get, patch, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

DELL = f"{MANAGER}/Oem/Dell"


@get(f"{ROOT}/Managers")
def managers(bmc: Bmc, request: Request) -> Json:
    """One manager."""
    return collection(f"{ROOT}/Managers", "Manager", "Manager", ["iDRAC.Embedded.1"])


@get(MANAGER)
def manager(bmc: Bmc, request: Request) -> Json:
    """The iDRAC."""
    scp = {
        "ExportFormat@Redfish.AllowableValues": ["XML", "JSON"],
        "ExportUse@Redfish.AllowableValues": ["Default", "Clone", "Replace"],
        "IncludeInExport@Redfish.AllowableValues": [
            "Default",
            "IncludeReadOnly",
            "IncludePasswordHashValues",
        ],
        "ShareParameters": {"Target@Redfish.AllowableValues": ["ALL", "IDRAC", "BIOS", "NIC", "RAID"]},
    }
    return resource(
        MANAGER,
        "Manager.v1_19_0.Manager",
        "Manager",
        Id="iDRAC.Embedded.1",
        Description="BMC",
        ManagerType="BMC",
        Model="16G Monolithic",
        FirmwareVersion=bmc.state["firmware"]["idrac"],
        UUID=bmc.uuid,
        DateTime=now(),
        DateTimeLocalOffset="+00:00",
        LastResetTime=bmc.state.get("manager_reset", bmc.state["born"]),
        PowerState="On",
        Status=OK_STATUS,
        GraphicalConsole={
            "ServiceEnabled": False,
            "MaxConcurrentSessions": 0,
            "ConnectTypesSupported": ["KVMIP"],
        },
        SerialConsole={"ServiceEnabled": False, "MaxConcurrentSessions": 0, "ConnectTypesSupported": []},
        CommandShell={"ServiceEnabled": False, "MaxConcurrentSessions": 0, "ConnectTypesSupported": []},
        EthernetInterfaces=link(f"{MANAGER}/EthernetInterfaces"),
        NetworkProtocol=link(f"{MANAGER}/NetworkProtocol"),
        LogServices=link(f"{MANAGER}/LogServices"),
        VirtualMedia=link(f"{MANAGER}/VirtualMedia"),
        Actions={
            "#Manager.Reset": {
                "target": f"{MANAGER}/Actions/Manager.Reset",
                "ResetType@Redfish.AllowableValues": ["GracefulRestart"],
            },
            "#Manager.ResetToDefaults": {
                "target": f"{MANAGER}/Actions/Manager.ResetToDefaults",
                "ResetType@Redfish.AllowableValues": ["ResetAll", "PreserveNetworkAndUsers"],
            },
            "Oem": {
                "#OemManager.ExportSystemConfiguration": {
                    "target": f"{MANAGER}/Actions/Oem/EID_674_Manager.ExportSystemConfiguration",
                    **scp,
                },
                "#OemManager.ImportSystemConfiguration": {
                    "target": f"{MANAGER}/Actions/Oem/EID_674_Manager.ImportSystemConfiguration",
                    "ShutdownType@Redfish.AllowableValues": ["Graceful", "Forced", "NoReboot"],
                    "ShareParameters": scp["ShareParameters"],
                },
            },
        },
        Links={
            "ManagerForServers": [link(SYSTEM)],
            "ManagerForChassis": [link(CHASSIS)],
            "ManagerInChassis": link(CHASSIS),
            "Oem": {
                "Dell": {
                    "@odata.type": "#DellOem.v1_3_0.DellOemLinks",
                    "DellAttributes": [
                        link(f"{DELL}/DellAttributes/{name}.Embedded.1")
                        for name in ("iDRAC", "System", "LifecycleController")
                    ],
                    "DellJobService": link(f"{DELL}/DellJobService"),
                    "DellLCService": link(f"{DELL}/DellLCService"),
                    "DelliDRACCardService": link(f"{DELL}/DelliDRACCardService"),
                    "Jobs": link(f"{DELL}/Jobs"),
                }
            },
        },
        Oem={
            "Dell": {
                "@odata.type": "#DellOem.v1_3_0.DellOemResources",
                "DelliDRACCard": {
                    "@odata.type": "#DelliDRACCard.v1_1_0.DelliDRACCard",
                    "Id": "iDRAC.Embedded.1-1_0x23_IDRACinfo",
                    "Name": "DelliDRACCard",
                    "IPMIVersion": "2.0",
                    "URLString": f"https://{bmc.config.address}:{bmc.config.port}",
                },
            }
        },
    )


@patch(MANAGER)
def change(bmc: Bmc, request: Request) -> Json:
    """The clock is the workstation's own."""
    request.only("DateTime", "DateTimeLocalOffset")
    if not request.body:
        raise RedfishError(400, f"{BASE}.EmptyJSON")
    raise RedfishError(400, f"{BASE}.PropertyNotWritable", next(iter(request.body)))


@post(f"{MANAGER}/Actions/Manager.Reset")
def reset(bmc: Bmc, request: Request) -> Response:
    """Restart the iDRAC; the host goes on."""
    kind = request.body.get("ResetType", "GracefulRestart")
    if kind not in ("GracefulRestart", "ForceRestart"):
        raise RedfishError(
            400, f"{BASE}.ActionParameterValueNotInList", str(kind), "ResetType", "Manager.Reset"
        )
    bmc.state["manager_reset"] = now()
    bmc.restart_manager()
    return Response(204)


@post(f"{MANAGER}/Actions/Manager.ResetToDefaults")
def reset_to_defaults(bmc: Bmc, request: Request) -> Response:
    """Factory settings: accounts and certificate too, unless users are to stay."""
    from rackwright.lab.bmc import accounts

    kind = request.body.get("ResetType")
    if kind not in ("ResetAll", "PreserveNetworkAndUsers"):
        raise RedfishError(
            400, f"{BASE}.ActionParameterValueNotInList", str(kind), "ResetType", "Manager.ResetToDefaults"
        )
    if kind == "ResetAll":
        accounts.factory(bmc)
        bmc.certificates.factory()
    bmc.state["attributes"] = {}
    bmc.restart_manager()
    return Response(204)


@get(f"{MANAGER}/EthernetInterfaces")
def interfaces(bmc: Bmc, request: Request) -> Json:
    """One port of its own."""
    return collection(
        f"{MANAGER}/EthernetInterfaces", "EthernetInterface", "Ethernet Network Interfaces", ["NIC.1"]
    )


@get(f"{MANAGER}/EthernetInterfaces/NIC.1")
def interface(bmc: Bmc, request: Request) -> Json:
    """The port."""
    return resource(
        f"{MANAGER}/EthernetInterfaces/NIC.1",
        "EthernetInterface.v1_11_0.EthernetInterface",
        "Manager Ethernet Interface",
        MACAddress=bmc.config.mac,
        PermanentMACAddress=bmc.config.mac,
        HostName=f"idrac-{bmc.config.service_tag}",
        FQDN=f"idrac-{bmc.config.service_tag}",
        InterfaceEnabled=True,
        LinkStatus="LinkUp",
        SpeedMbps=1000,
        FullDuplex=True,
        IPv4Addresses=[{"Address": bmc.config.address, "AddressOrigin": "DHCP"}],
        DHCPv4={"DHCPEnabled": True},
        NameServers=[],
        Status=OK_STATUS,
    )


@get(f"{MANAGER}/NetworkProtocol")
def network_protocol(bmc: Bmc, request: Request) -> Json:
    """What it speaks: HTTPS and nothing else."""
    uri = f"{MANAGER}/NetworkProtocol"
    return resource(
        uri,
        "ManagerNetworkProtocol.v1_10_0.ManagerNetworkProtocol",
        "Manager Network Protocol",
        Id="NetworkProtocol",
        HostName=f"idrac-{bmc.config.service_tag}",
        FQDN=f"idrac-{bmc.config.service_tag}",
        HTTPS={
            "ProtocolEnabled": True,
            "Port": bmc.config.port,
            "Certificates": link(f"{uri}/HTTPS/Certificates"),
        },
        HTTP={"ProtocolEnabled": False, "Port": 80},
        IPMI={"ProtocolEnabled": False, "Port": 623},
        SSH={"ProtocolEnabled": False, "Port": 22},
        NTP={
            "ProtocolEnabled": bool(bmc.state.get("ntp_enabled", False)),
            "NTPServers": bmc.state.get("ntp_servers", []),
        },
        Status=OK_STATUS,
    )


@patch(f"{MANAGER}/NetworkProtocol")
def change_protocol(bmc: Bmc, request: Request) -> Json:
    """Time servers: a list by Redfish's rules (null takes an element away, {} leaves it, a shorter list truncates)."""
    request.only("NTP")
    wanted = request.body.get("NTP")
    if not isinstance(wanted, dict):
        raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(wanted), "NTP", related=["#/NTP"])
    if "ProtocolEnabled" in wanted:
        bmc.state["ntp_enabled"] = bool(wanted["ProtocolEnabled"])
    servers = wanted.get("NTPServers")
    if servers is not None:
        if not isinstance(servers, list) or not all(
            s is None or s == {} or isinstance(s, str) for s in servers
        ):
            raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(servers), "NTPServers")
        have = [*bmc.state.get("ntp_servers", []), *[None] * len(servers)]
        merged = [old if new == {} else new for old, new in zip(have, servers, strict=False)]
        bmc.state["ntp_servers"] = [s for s in merged if s is not None]
    return network_protocol(bmc, request)
