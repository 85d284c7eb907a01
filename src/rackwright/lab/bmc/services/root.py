"""The service root, OData's documents, and the index of message registries and schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import ROOT, Json, Request, Response, link, resource
from rackwright.lab.bmc.routing import get

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICES = (
    "Systems",
    "Chassis",
    "Managers",
    "AccountService",
    "SessionService",
    "CertificateService",
    "TaskService",
    "UpdateService",
    "EventService",
    "Registries",
    "JsonSchemas",
)


@get("/redfish")
def versions(bmc: Bmc, request: Request) -> Json:
    """Protocol versions."""
    return {"v1": f"{ROOT}/"}


@get(ROOT)
def service_root(bmc: Bmc, request: Request) -> Json:
    """The root; it needs no login."""
    return resource(
        ROOT,
        "ServiceRoot.v1_15_0.ServiceRoot",
        "Root Service",
        Id="RootService",
        RedfishVersion="1.17.0",
        UUID=bmc.uuid,
        Product="Integrated Dell Remote Access Controller",
        Vendor="Dell",
        Links={
            "Sessions": link(f"{ROOT}/SessionService/Sessions"),
            "ManagerProvidingService": link(f"{ROOT}/Managers/iDRAC.Embedded.1"),
        },
        Tasks=link(f"{ROOT}/TaskService"),
        ProtocolFeaturesSupported={
            "ExpandQuery": {
                "ExpandAll": True,
                "Levels": True,
                "MaxLevels": 1,
                "Links": True,
                "NoLinks": True,
            },
            "FilterQuery": True,
            "SelectQuery": True,
            "OnlyMemberQuery": True,
            "ExcerptQuery": False,
        },
        Oem={
            "Dell": {
                "@odata.type": "#DellServiceRoot.v1_0_0.DellServiceRoot",
                "IsBranded": 0,
                "ManagerMACAddress": bmc.config.mac,
                "ServiceTag": bmc.config.service_tag,
            }
        },
        **{name: link(f"{ROOT}/{name}") for name in SERVICES if name != "TaskService"},
    )


@get(f"{ROOT}/odata")
def odata(bmc: Bmc, request: Request) -> Json:
    """OData's service document."""
    return {
        "@odata.context": f"{ROOT}/$metadata",
        "value": [{"name": "Service", "kind": "Singleton", "url": ROOT}]
        + [{"name": name, "kind": "Singleton", "url": f"{ROOT}/{name}"} for name in SERVICES],
    }


#: Schemas that the resources here use: name and version.
SCHEMAS = {
    "ServiceRoot": "v1_15_0",
    "AccountService": "v1_15_0",
    "Attributes": "",
    "AttributeRegistry": "v1_3_8",
    "Bios": "v1_2_1",
    "BootOption": "v1_0_4",
    "Certificate": "v1_8_2",
    "CertificateLocations": "v1_0_3",
    "CertificateService": "v1_0_4",
    "Chassis": "v1_25_0",
    "ComputerSystem": "v1_22_0",
    "Drive": "v1_18_0",
    "EthernetInterface": "v1_11_0",
    "EventDestination": "v1_14_0",
    "EventService": "v1_10_1",
    "LogEntry": "v1_16_0",
    "LogService": "v1_5_0",
    "Manager": "v1_19_0",
    "ManagerAccount": "v1_12_0",
    "ManagerNetworkProtocol": "v1_10_0",
    "Memory": "v1_19_0",
    "MessageRegistryFile": "v1_1_3",
    "NetworkAdapter": "v1_12_0",
    "NetworkDeviceFunction": "v1_9_2",
    "PCIeDevice": "v1_14_0",
    "PCIeFunction": "v1_5_0",
    "Processor": "v1_20_0",
    "Role": "v1_3_1",
    "SecureBoot": "v1_1_0",
    "Session": "v1_7_0",
    "SessionService": "v1_1_9",
    "SoftwareInventory": "v1_10_0",
    "Storage": "v1_16_0",
    "StorageController": "v1_8_0",
    "Task": "v1_7_3",
    "TaskService": "v1_2_1",
    "UpdateService": "v1_14_0",
    "VirtualMedia": "v1_6_3",
    "Volume": "v1_10_0",
}
COLLECTIONS = (
    "BootOption",
    "Certificate",
    "Chassis",
    "ComputerSystem",
    "EthernetInterface",
    "EventDestination",
    "LogEntry",
    "LogService",
    "ManagerAccount",
    "Manager",
    "Memory",
    "MessageRegistryFile",
    "NetworkAdapter",
    "NetworkDeviceFunction",
    "PCIeDevice",
    "PCIeFunction",
    "Processor",
    "Role",
    "Session",
    "SoftwareInventory",
    "Storage",
    "StorageController",
    "Task",
    "VirtualMedia",
    "Volume",
)


@get(f"{ROOT}/$metadata")
def metadata(bmc: Bmc, request: Request) -> Response:
    """The schemas in use, by reference to DMTF's own files."""
    at = "http://redfish.dmtf.org/schemas/v1"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">',
    ]
    for name, version in SCHEMAS.items():
        lines.append(f'  <edmx:Reference Uri="{at}/{name}_v1.xml">')
        lines.append(f'    <edmx:Include Namespace="{name}"/>')
        if version:
            lines.append(f'    <edmx:Include Namespace="{name}.{version}"/>')
        lines.append("  </edmx:Reference>")
    for name in COLLECTIONS:
        lines.append(f'  <edmx:Reference Uri="{at}/{name}Collection_v1.xml">')
        lines.append(f'    <edmx:Include Namespace="{name}Collection"/>')
        lines.append("  </edmx:Reference>")
    lines += [
        f'  <edmx:Reference Uri="{at}/RedfishExtensions_v1.xml">',
        '    <edmx:Include Namespace="RedfishExtensions.v1_0_0" Alias="Redfish"/>',
        "  </edmx:Reference>",
        f'  <edmx:Reference Uri="{at}/Message_v1.xml"><edmx:Include Namespace="Message"/>'
        '<edmx:Include Namespace="Message.v1_2_1"/></edmx:Reference>',
        f'  <edmx:Reference Uri="{at}/Settings_v1.xml"><edmx:Include Namespace="Settings"/>'
        '<edmx:Include Namespace="Settings.v1_3_5"/></edmx:Reference>',
        "  <edmx:DataServices>",
        '    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">',
        '      <EntityContainer Name="Service" Extends="ServiceRoot.v1_15_0.ServiceContainer"/>',
        "    </Schema>",
        "  </edmx:DataServices>",
        "</edmx:Edmx>",
    ]
    return Response(body="\n".join(lines), content_type="application/xml;charset=utf-8")
