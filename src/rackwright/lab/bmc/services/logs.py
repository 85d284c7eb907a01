"""LogServices: the hardware log (Sel) and the Lifecycle Controller's (Lclog)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.events import now
from rackwright.lab.bmc.http import MANAGER, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.messages import IDRAC, not_found
from rackwright.lab.bmc.routing import get, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICES = f"{MANAGER}/LogServices"
LOGS = {"Sel": "sel", "Lclog": "lc"}


@get(SERVICES)
def services(bmc: Bmc, request: Request) -> Json:
    """Both logs."""
    return collection(SERVICES, "LogService", "Log Service Collection", list(LOGS))


def _known(request: Request, name: str) -> str:
    if name not in LOGS:
        raise not_found(request.path)
    return LOGS[name]


@get(f"{SERVICES}/{{name}}")
def service(bmc: Bmc, request: Request, name: str) -> Json:
    """One log."""
    _known(request, name)
    uri = f"{SERVICES}/{name}"
    return resource(
        uri,
        "LogService.v1_5_0.LogService",
        "Hardware Log" if name == "Sel" else "Lifecycle Controller Log Service",
        ServiceEnabled=True,
        MaxNumberOfRecords=300,
        OverWritePolicy="WrapsWhenFull",
        LogEntryType="SEL" if name == "Sel" else "Event",
        DateTime=now(),
        DateTimeLocalOffset="+00:00",
        Entries=link(f"{uri}/Entries"),
        Actions={"#LogService.ClearLog": {"target": f"{uri}/Actions/LogService.ClearLog"}},
    )


@get(f"{SERVICES}/{{name}}/Entries")
def entries(bmc: Bmc, request: Request, name: str) -> Json:
    """Entries, newest first."""
    kept = bmc.state.get("logs", {}).get(_known(request, name), [])
    uri = f"{SERVICES}/{name}/Entries"
    answer = collection(uri, "LogEntry", "Log Entry Collection", [])
    answer["Members"] = [_entry(uri, name, e) for e in reversed(kept)]
    answer["Members@odata.count"] = len(kept)
    return answer


def _entry(uri: str, name: str, entry: Json) -> Json:
    severity = {"Informational": "OK"}.get(entry["severity"], entry["severity"])
    body = resource(
        f"{uri}/{entry['number']}",
        "LogEntry.v1_16_0.LogEntry",
        f"Log Entry {entry['number']}",
        EntryType="SEL" if name == "Sel" else "Event",
        Created=entry["time"],
        Severity=severity,
        Message=entry["text"],
        MessageId=f"{IDRAC}.{entry['id']}" if name != "Sel" else entry["id"],
        MessageArgs=[],
    )
    if name == "Sel":
        body["EntryCode"] = "Assert"
        body["SensorType"] = "Power Supply / Converter"
    return body


@get(f"{SERVICES}/{{name}}/Entries/{{number}}")
def entry(bmc: Bmc, request: Request, name: str, number: str) -> Json:
    """One entry."""
    for kept in bmc.state.get("logs", {}).get(_known(request, name), []):
        if str(kept["number"]) == number:
            return _entry(f"{SERVICES}/{name}/Entries", name, kept)
    raise not_found(request.path)


@post(f"{SERVICES}/{{name}}/Actions/LogService.ClearLog")
def clear(bmc: Bmc, request: Request, name: str) -> Response:
    """Empty a log."""
    bmc.state.setdefault("logs", {})[_known(request, name)] = []
    return Response(204)
