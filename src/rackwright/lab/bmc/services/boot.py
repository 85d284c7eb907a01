"""Boot options and Dell's boot sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc import boot
from rackwright.lab.bmc.http import ROOT, SYSTEM, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.messages import BASE, RedfishError, not_found
from rackwright.lab.bmc.routing import get, patch

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

OPTIONS = f"{SYSTEM}/BootOptions"
SOURCES = f"{SYSTEM}/Oem/Dell/DellBootSources"


@get(OPTIONS)
def boot_options(bmc: Bmc, request: Request) -> Json:
    """All boot options."""
    return collection(OPTIONS, "BootOption", "Boot Options Collection", list(boot.options(bmc)))


@get(f"{OPTIONS}/{{option}}")
def boot_option(bmc: Bmc, request: Request, option: str) -> Json:
    """One of them."""
    known = boot.options(bmc)
    if option not in known:
        raise not_found(request.path)
    return resource(
        f"{OPTIONS}/{option}",
        "BootOption.v1_0_4.BootOption",
        "Uefi Boot Option",
        BootOptionEnabled=option not in bmc.state["boot"]["off"],
        BootOptionReference=option,
        DisplayName=known[option]["name"],
        UefiDevicePath=known[option]["path"],
    )


@patch(f"{OPTIONS}/{{option}}")
def change_option(bmc: Bmc, request: Request, option: str) -> Response:
    """Turn an option on or off at the next reset."""
    request.only("BootOptionEnabled")
    if option not in boot.options(bmc):
        raise not_found(request.path)
    enabled = request.body.get("BootOptionEnabled")
    if not isinstance(enabled, bool):
        raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(enabled), "BootOptionEnabled")
    off = [o for o in bmc.state["boot"]["off"] if o != option] + ([] if enabled else [option])
    job = bmc.jobs.add("BIOSConfiguration", "Configure: BIOS.Setup.1-1", "boot", {"off": off}, on_reset=True)
    return Response(
        202, boot_option(bmc, request, option), {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"}
    )


def _sequence(bmc: Bmc) -> list[Json]:
    known = boot.options(bmc)
    return [
        {
            "Enabled": option not in bmc.state["boot"]["off"],
            "Id": f"BIOS.Setup.1-1#UefiBootSeq#{known[option]['name']}#{option}",
            "Index": index,
            "Name": option,
        }
        for index, option in enumerate(boot.order(bmc))
    ]


@get(SOURCES)
def sources(bmc: Bmc, request: Request) -> Json:
    """The boot order as Dell's resource."""
    return resource(
        SOURCES,
        "DellBootSources.v1_1_0.DellBootSources",
        "Boot Sources Configuration Current Settings",
        Attributes={"UefiBootSeq": _sequence(bmc)},
        **{
            "@Redfish.Settings": {
                "@odata.type": "#Settings.v1_3_5.Settings",
                "SettingsObject": link(f"{SOURCES}/Settings"),
                "SupportedApplyTimes": ["OnReset"],
            }
        },
    )


@get(f"{SOURCES}/Settings")
def pending_sources(bmc: Bmc, request: Request) -> Json:
    """What waits."""
    return resource(
        f"{SOURCES}/Settings", "DellBootSources.v1_1_0.DellBootSources", "Pending Boot Sources", Attributes={}
    )


@patch(f"{SOURCES}/Settings")
def change_sources(bmc: Bmc, request: Request) -> Response:
    """Change order and options at the next reset."""
    sequence = request.body.get("Attributes", {}).get("UefiBootSeq")
    known = boot.options(bmc)
    if not isinstance(sequence, list) or any(s.get("Name") not in known for s in sequence):
        raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(sequence), "UefiBootSeq")
    sequence = sorted(sequence, key=lambda s: s.get("Index", 0))
    payload = {
        "order": [s["Name"] for s in sequence],
        "off": [s["Name"] for s in sequence if not s.get("Enabled", True)],
    }
    job = bmc.jobs.add("BIOSConfiguration", "Configure: BIOS.Setup.1-1", "boot", payload, on_reset=True)
    return Response(202, None, {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"})
