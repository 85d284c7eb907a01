"""Dell's job queue and Redfish's task service: two views of the same jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.http import MANAGER, ROOT, SYSTEM, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.jobs import GOING
from rackwright.lab.bmc.messages import BASE, IDRAC, RedfishError, message, missing
from rackwright.lab.bmc.routing import delete, get, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

#: The queue stands at two places, as on an iDRAC9.
QUEUES = (f"{MANAGER}/Jobs", f"{MANAGER}/Oem/Dell/Jobs")
TASKS = f"{ROOT}/TaskService/Tasks"
MONITORS = f"{ROOT}/TaskService/TaskMonitors"
SERVICE = f"{MANAGER}/Oem/Dell/DellJobService"
STATES = {"Scheduled": "Pending", "Running": "Running", "Completed": "Completed", "Failed": "Exception"}


def _find(bmc: Bmc, job: str) -> dict[str, Any]:
    found = bmc.jobs.all.get(job)
    if found is None:
        raise RedfishError(404, f"{IDRAC}.SYS403", job)
    return found


def _queue(bmc: Bmc, request: Request) -> Json:
    return {
        "@odata.id": request.path,
        "@odata.type": "#DellJobCollection.DellJobCollection",
        "Id": "JobQueue",
        "Name": "JobQueue",
        "Description": "Collection of Job Instances",
        "Members": [link(f"{request.path}/{job}") for job in bmc.jobs.all],
        "Members@odata.count": len(bmc.jobs.all),
    }


def _job(bmc: Bmc, request: Request, job: str) -> Json:
    kept = _find(bmc, job)
    return {
        "@odata.id": request.path,
        "@odata.type": "#DellJob.v1_4_0.DellJob",
        "Id": kept["Id"],
        "Name": kept["Name"],
        "Description": "Job Instance",
        "JobState": kept["JobState"],
        "JobType": kept["JobType"],
        "Message": kept["Message"],
        "MessageArgs": [],
        "MessageId": kept["MessageId"],
        "PercentComplete": kept["PercentComplete"],
        "StartTime": kept["created"],
        "ActualRunningStartTime": kept.get("started"),
        "ActualRunningStopTime": kept.get("ended"),
        "EndTime": "TIME_NA",
        "CompletionTime": kept.get("ended"),
        "TargetSettingsURI": f"{SYSTEM}/Bios/Settings" if kept["JobType"] == "BIOSConfiguration" else None,
    }


def _create(bmc: Bmc, request: Request) -> Response:
    from rackwright.lab.bmc.services.bios import schedule

    target = request.body.get("TargetSettingsURI")
    if target is None:
        raise RedfishError(
            400, f"{BASE}.PropertyMissing", "TargetSettingsURI", related=["#/TargetSettingsURI"]
        )
    if str(target).rstrip("/") != f"{SYSTEM}/Bios/Settings":
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", str(target), "TargetSettingsURI")
    job = schedule(bmc)
    return Response(200, {}, {"Location": f"{request.path}/{job}"})


def _delete(bmc: Bmc, request: Request, job: str) -> Response:
    kept = _find(bmc, job)
    if kept["does"] == "bios":
        bmc.state["bios"]["pending"] = {}
    bmc.jobs.remove(job)
    return Response(200, {"@Message.ExtendedInfo": [message(f"{BASE}.Success")]})


for _at in QUEUES:
    get(_at)(_queue)
    post(_at)(_create)
    get(f"{_at}/{{job}}")(_job)
    delete(f"{_at}/{{job}}")(_delete)


@get(SERVICE)
def job_service(bmc: Bmc, request: Request) -> Json:
    """Dell's service for the queue as a whole."""
    return resource(
        SERVICE,
        "DellJobService.v1_2_0.DellJobService",
        "DellJobService",
        Id="Job Service",
        Actions={
            "#DellJobService.DeleteJobQueue": {"target": f"{SERVICE}/Actions/DellJobService.DeleteJobQueue"},
        },
    )


@post(f"{SERVICE}/Actions/DellJobService.DeleteJobQueue")
def clear(bmc: Bmc, request: Request) -> Response:
    """Delete a job or (JID_CLEARALL, JID_CLEARALL_FORCE) all."""
    wanted = request.body.get("JobID")
    if wanted is None:
        raise missing("DellJobService.DeleteJobQueue", "JobID")
    if wanted in ("JID_CLEARALL", "JID_CLEARALL_FORCE"):
        for job in list(bmc.jobs.all.values()):
            if job["JobState"] != "Running" or wanted.endswith("FORCE"):
                del bmc.jobs.all[job["Id"]]
        if not bmc.jobs.going("BIOSConfiguration"):
            bmc.state["bios"]["pending"] = {}
    else:
        bmc.jobs.remove(str(wanted))
    return Response(200, {"@Message.ExtendedInfo": [message(f"{BASE}.Success")]})


@get(f"{ROOT}/TaskService")
def task_service(bmc: Bmc, request: Request) -> Json:
    """Redfish's tasks."""
    return resource(
        f"{ROOT}/TaskService",
        "TaskService.v1_2_1.TaskService",
        "Task Service",
        ServiceEnabled=True,
        CompletedTaskOverWritePolicy="Oldest",
        LifeCycleEventOnTaskStateChange=False,
        Tasks=link(TASKS),
        Status={"State": "Enabled", "Health": "OK"},
    )


@get(TASKS)
def tasks(bmc: Bmc, request: Request) -> Json:
    """The jobs as tasks."""
    return collection(TASKS, "Task", "Task Collection", list(bmc.jobs.all))


def _task(kept: dict[str, Any]) -> Json:
    answer = resource(
        f"{TASKS}/{kept['Id']}",
        "Task.v1_7_3.Task",
        kept["Name"],
        Description="Server Configuration and other Tasks running on iDRAC are listed here",
        TaskState=STATES[kept["JobState"]],
        TaskStatus="Critical" if kept["JobState"] == "Failed" else "OK",
        StartTime=kept["created"],
        PercentComplete=kept["PercentComplete"],
        Messages=[
            {
                "Message": kept["Message"],
                "MessageId": f"{IDRAC}.{kept['MessageId']}",
                "MessageArgs": [],
                "Severity": "Warning" if kept["JobState"] == "Failed" else "OK",
            }
        ],
        TaskMonitor=f"{MONITORS}/{kept['Id']}",
        Oem={
            "Dell": {
                "@odata.type": "#DellJob.v1_4_0.DellJob",
                "Id": kept["Id"],
                "Name": kept["Name"],
                "JobState": kept["JobState"],
                "JobType": kept["JobType"],
                "Message": kept["Message"],
                "MessageId": kept["MessageId"],
                "PercentComplete": kept["PercentComplete"],
                "StartTime": kept["created"],
                "EndTime": kept.get("ended"),
            }
        },
    )
    if kept.get("ended"):
        answer["EndTime"] = kept["ended"]
    return answer


@get(f"{TASKS}/{{job}}")
def task(bmc: Bmc, request: Request, job: str) -> Json:
    """One task."""
    return _task(_find(bmc, job))


@get(f"{MONITORS}/{{job}}")
def monitor(bmc: Bmc, request: Request, job: str) -> Response:
    """202 while the job goes on; then what came of it."""
    kept = _find(bmc, job)
    if kept["JobState"] in GOING:
        return Response(202, _task(kept), {"Location": f"{MONITORS}/{job}"})
    if "result" in kept:
        return Response(200, kept["result"], content_type=kept.get("result_type", "application/json"))
    return Response(200, _task(kept))
