"""Registries: of BIOS attributes in full; of messages by reference to DMTF's own. Schemas by reference too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import ROOT, Json, Request, collection, resource
from rackwright.lab.bmc.messages import not_found
from rackwright.lab.bmc.routing import get
from rackwright.lab.bmc.services import dell
from rackwright.lab.bmc.services.bios import REGISTRY, registry
from rackwright.lab.bmc.services.root import SCHEMAS

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

REGISTRIES = f"{ROOT}/Registries"
#: Registry's id here, its name with version, and where it is.
FILES = {
    "BaseMessages": ("Base.1.18", {"PublicationUri": "https://redfish.dmtf.org/registries/Base.1.18.1.json"}),
    "ManagerAttributeRegistry": (
        "ManagerAttributeRegistry.v1_0_0",
        {"Uri": f"{REGISTRIES}/ManagerAttributeRegistry/ManagerAttributeRegistry.v1_0_0.json"},
    ),
    "BiosAttributeRegistry": (REGISTRY, {"Uri": f"{REGISTRIES}/BiosAttributeRegistry/{REGISTRY}.json"}),
}


@get(REGISTRIES)
def registries(bmc: Bmc, request: Request) -> Json:
    """All of them."""
    return collection(REGISTRIES, "MessageRegistryFile", "Registry File Collection", list(FILES))


@get(f"{REGISTRIES}/{{name}}")
def registry_file(bmc: Bmc, request: Request, name: str) -> Json:
    """Where a registry is."""
    if name not in FILES:
        raise not_found(request.path)
    registered, place = FILES[name]
    return resource(
        f"{REGISTRIES}/{name}",
        "MessageRegistryFile.v1_1_3.MessageRegistryFile",
        f"{name} Registry File",
        Languages=["en"],
        Registry=registered,
        Location=[{"Language": "en", **place}],
    )


@get(f"{REGISTRIES}/BiosAttributeRegistry/{REGISTRY}.json")
def bios_registry(bmc: Bmc, request: Request) -> Json:
    """The registry of BIOS attributes."""
    return {k: v for k, v in registry().items() if k != "@odata.id"}


@get(f"{REGISTRIES}/ManagerAttributeRegistry/ManagerAttributeRegistry.v1_0_0.json")
def manager_registry(bmc: Bmc, request: Request) -> Json:
    """The registry of the iDRAC's attributes."""
    return dell.registry(bmc)


@get(f"{ROOT}/JsonSchemas")
def schemas(bmc: Bmc, request: Request) -> Json:
    """Schemas in use."""
    names = [name for name, version in SCHEMAS.items() if version]
    return collection(f"{ROOT}/JsonSchemas", "JsonSchemaFile", "JsonSchemaFile Collection", names)


@get(f"{ROOT}/JsonSchemas/{{name}}")
def schema(bmc: Bmc, request: Request, name: str) -> Json:
    """Where a schema is published."""
    version = SCHEMAS.get(name)
    if not version:
        raise not_found(request.path)
    return resource(
        f"{ROOT}/JsonSchemas/{name}",
        "JsonSchemaFile.v1_1_5.JsonSchemaFile",
        f"{name} Schema File",
        Languages=["en"],
        Schema=f"#{name}.{version}.{name}",
        Location=[
            {
                "Language": "en",
                "PublicationUri": f"https://redfish.dmtf.org/schemas/v1/{name}.{version}.json",
            }
        ],
    )
