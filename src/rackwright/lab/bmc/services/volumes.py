"""RAID volumes: made and removed by jobs, at once or at the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc import boot
from rackwright.lab.bmc.http import OK_STATUS, ROOT, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.jobs import JobFailed, effect
from rackwright.lab.bmc.messages import BASE, IDRAC, RedfishError, not_found
from rackwright.lab.bmc.routing import delete, get, patch, post
from rackwright.lab.bmc.services.storage import RAID_TYPES, STORAGE, drives_of, is_raid, volumes_of

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

#: RAID level: fewest drives, and how many drives' worth of space is left of n.
LEVELS: dict[str, tuple[int, Callable[[int], int]]] = {
    "RAID0": (1, lambda n: n),
    "RAID1": (2, lambda n: 1),
    "RAID5": (3, lambda n: n - 1),
    "RAID6": (4, lambda n: n - 2),
    "RAID10": (4, lambda n: n // 2),
}
OLD_TYPES = {
    "NonRedundant": "RAID0",
    "Mirrored": "RAID1",
    "StripedWithParity": "RAID5",
    "SpannedMirrors": "RAID10",
}
APPLY_TIMES = ["Immediate", "OnReset"]


def accepted(job: str) -> Response:
    """202 with where to watch the job."""
    return Response(202, None, {"Location": f"{ROOT}/TaskService/TaskMonitors/{job}"})


@get(f"{STORAGE}/{{controller}}/Volumes")
def volumes(bmc: Bmc, request: Request, controller: str) -> Json:
    """A controller's volumes."""
    drives_of(bmc, controller)
    answer = collection(
        f"{STORAGE}/{controller}/Volumes", "Volume", "Volume Collection", list(volumes_of(bmc, controller))
    )
    if is_raid(controller):
        answer["@Redfish.OperationApplyTimeSupport"] = {
            "@odata.type": "#Settings.v1_3_5.OperationApplyTimeSupport",
            "SupportedValues": APPLY_TIMES,
        }
    return answer


def _one(bmc: Bmc, request: Request, controller: str, volume: str) -> Json:
    drives_of(bmc, controller)
    kept = volumes_of(bmc, controller).get(volume)
    if kept is None:
        raise not_found(request.path)
    return kept


def _controller_of(volume: str) -> str:
    return volume.rpartition(":")[2]


@get(f"{STORAGE}/Volumes/{{volume}}")
def volume_by_id(bmc: Bmc, request: Request, volume: str) -> Json:
    """The same where older firmware has it."""
    return one_volume(bmc, request, _controller_of(volume), volume)


@delete(f"{STORAGE}/Volumes/{{volume}}")
def remove_by_id(bmc: Bmc, request: Request, volume: str) -> Response:
    """The same where older firmware has it."""
    return remove(bmc, request, _controller_of(volume), volume)


@post(f"{STORAGE}/Volumes/{{volume}}/Actions/Volume.Initialize")
def initialize_by_id(bmc: Bmc, request: Request, volume: str) -> Response:
    """The same where older firmware has it."""
    return initialize(bmc, request, _controller_of(volume), volume)


@get(f"{STORAGE}/{{controller}}/Volumes/{{volume}}")
def one_volume(bmc: Bmc, request: Request, controller: str, volume: str) -> Json:
    """One volume."""
    kept, uri = _one(bmc, request, controller, volume), f"{STORAGE}/{controller}"
    return resource(
        f"{uri}/Volumes/{volume}",
        "Volume.v1_10_0.Volume",
        kept["name"],
        CapacityBytes=kept["size_gb"] * 10**9,
        BlockSizeBytes=512,
        RAIDType=kept["raid"],
        VolumeType={v: k for k, v in OLD_TYPES.items()}.get(kept["raid"], "StripedWithParity"),
        Encrypted=False,
        EncryptionTypes=[],
        OptimumIOSizeBytes=65536,
        ReadCachePolicy="ReadAhead",
        WriteCachePolicy="ProtectedWriteBack",
        Identifiers=[],
        Operations=[],
        Status=OK_STATUS,
        Links={"Drives": [link(f"{uri}/Drives/{d}") for d in kept["drives"]]},
        Actions={
            "#Volume.Initialize": {
                "target": f"{uri}/Volumes/{volume}/Actions/Volume.Initialize",
                "InitializeType@Redfish.AllowableValues": ["Fast", "Slow"],
            }
        },
        **{
            "@Redfish.OperationApplyTimeSupport": {
                "@odata.type": "#Settings.v1_3_5.OperationApplyTimeSupport",
                "SupportedValues": APPLY_TIMES,
            }
        },
    )


@post(f"{STORAGE}/{{controller}}/Volumes")
def create(bmc: Bmc, request: Request, controller: str) -> Response:
    """A new volume, as a job. RedfishError 400 for drives or a level that don't do."""
    have = {d.id: d for d in drives_of(bmc, controller)}
    if not is_raid(controller):
        raise RedfishError(400, f"{IDRAC}.STOR", f"{controller} makes no volumes")
    body = request.body
    raid = body.get("RAIDType") or OLD_TYPES.get(str(body.get("VolumeType")))
    if raid not in RAID_TYPES:
        raise RedfishError(
            400, f"{BASE}.PropertyValueNotInList", str(raid), "RAIDType", related=["#/RAIDType"]
        )
    links = body.get("Links", {}).get("Drives") or body.get("Drives") or []
    drives = [str(d.get("@odata.id", "")).rsplit("/", 1)[-1] for d in links]
    used = {d for v in volumes_of(bmc, controller).values() for d in v["drives"]}
    least, space = LEVELS[raid]
    wrong = [d for d in drives if d not in have or d in used]
    if wrong or len(drives) < least or len(set(drives)) != len(drives):
        reason = (
            f"{raid} wants {least} or more free drives of {controller}, not {', '.join(drives) or 'none'}"
        )
        raise RedfishError(400, f"{IDRAC}.STOR", reason, related=["#/Links/Drives"])
    whole = space(len(drives)) * min(have[d].size_gb for d in drives)
    size = int(body.get("CapacityBytes") or whole * 10**9) // 10**9
    if not 1 <= size <= whole:
        raise RedfishError(
            400, f"{BASE}.PropertyValueOutOfRange", str(size), "CapacityBytes", related=["#/CapacityBytes"]
        )
    when = body.get("@Redfish.OperationApplyTime", "Immediate")
    if when not in APPLY_TIMES:
        raise RedfishError(400, f"{BASE}.PropertyValueNotInList", str(when), "@Redfish.OperationApplyTime")
    number = bmc.state["volume_number"] = bmc.state.get("volume_number", -1) + 1
    name = str(body.get("Name") or body.get("DisplayName") or f"Virtual Disk {number}")
    new = {
        "id": f"Disk.Virtual.{number}:{controller}",
        "name": name,
        "raid": raid,
        "size_gb": size,
        "drives": drives,
        "controller": controller,
    }
    return accepted(
        bmc.jobs.add(
            "RAIDConfiguration", f"Configure: {controller}", "volume", new, on_reset=when == "OnReset"
        )
    )


@effect("volume")
def make(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job that makes a volume."""
    new = job["payload"]
    kept = volumes_of(bmc, new["controller"])
    if any(set(v["drives"]) & set(new["drives"]) for v in kept.values()):
        raise JobFailed("A drive has become part of another volume.")
    kept[new["id"]] = new
    _tell_machine(bmc)


@delete(f"{STORAGE}/{{controller}}/Volumes/{{volume}}")
def remove(bmc: Bmc, request: Request, controller: str, volume: str) -> Response:
    """Remove a volume, as a job."""
    _one(bmc, request, controller, volume)
    when = request.body.get("@Redfish.OperationApplyTime", "Immediate")
    payload = {"controller": controller, "id": volume}
    return accepted(
        bmc.jobs.add(
            "RAIDConfiguration", f"Configure: {controller}", "no_volume", payload, on_reset=when == "OnReset"
        )
    )


@effect("no_volume")
def unmake(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job that removes a volume."""
    gone = volumes_of(bmc, job["payload"]["controller"]).pop(job["payload"]["id"], None)
    if gone is None:
        raise JobFailed("The volume is not there any more.")
    _tell_machine(bmc)


@post(f"{STORAGE}/{{controller}}/Volumes/{{volume}}/Actions/Volume.Initialize")
def initialize(bmc: Bmc, request: Request, controller: str, volume: str) -> Response:
    """Empty a volume."""
    _one(bmc, request, controller, volume)
    return accepted(bmc.jobs.add("RAIDConfiguration", f"Initialize: {volume}", "nothing", {}, on_reset=False))


@effect("nothing")
def nothing(bmc: Bmc, job: dict[str, Any]) -> None:
    """A job that changes nothing that is kept here."""


@effect("erase")
def erase(bmc: Bmc, job: dict[str, Any]) -> None:
    """A drive was erased: the event log says so; the imitated disk keeps its bytes."""
    bmc.log("lc", "Informational", f"Drive in bay {job['payload']['bay']} was erased.")


@patch(f"{STORAGE}/{{controller}}/Volumes/{{volume}}")
def rename(bmc: Bmc, request: Request, controller: str, volume: str) -> Response:
    """Give a volume another name."""
    request.only("Name", "DisplayName")
    kept = _one(bmc, request, controller, volume)
    kept["name"] = request.text("Name", request.body.get("DisplayName"))
    return Response(body=one_volume(bmc, request, controller, volume))


@post(f"{STORAGE}/{{controller}}/Actions/Storage.ResetToDefaults")
def reset_storage(bmc: Bmc, request: Request, controller: str) -> Response:
    """Forget all volumes of a controller."""
    drives_of(bmc, controller)
    return accepted(
        bmc.jobs.add(
            "RAIDConfiguration",
            f"Reset: {controller}",
            "no_volumes",
            {"controller": controller},
            on_reset=False,
        )
    )


@effect("no_volumes")
def forget(bmc: Bmc, job: dict[str, Any]) -> None:
    """The job that removes all volumes."""
    volumes_of(bmc, job["payload"]["controller"]).clear()
    _tell_machine(bmc)


def _tell_machine(bmc: Bmc) -> None:
    """A running system sees the disks of its volumes at once."""
    try:
        bmc.machine.change_volumes(len(boot.volumes(bmc)))
    except OSError as error:
        bmc.events.write("machine failed", error=str(error))
        raise JobFailed(str(error)) from error
