"""Dell's job queue: what is asked for becomes a job, waits for the next start of the host or not, runs and ends.

A job's states are Scheduled (waits for a reset), Running, Completed and Failed. Nothing runs in the background:
``advance`` moves every job as far as the clock allows, and is called before each answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.events import now
from rackwright.lab.bmc.messages import IDRAC, RedfishError

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

#: What a job does when it runs, by its ``does``; raises JobFailed.
EFFECTS: dict[str, Callable[[Bmc, dict[str, Any]], None]] = {}

WAITING = ("New", "Scheduled")
GOING = (*WAITING, "Running")


class JobFailed(Exception):
    """The job ends as Failed, with this text."""


def effect(
    name: str,
) -> Callable[[Callable[[Bmc, dict[str, Any]], None]], Callable[[Bmc, dict[str, Any]], None]]:
    """Decorator: the function is what jobs that do ``name`` come to."""

    def register(function: Callable[[Bmc, dict[str, Any]], None]) -> Callable[[Bmc, dict[str, Any]], None]:
        EFFECTS[name] = function
        return function

    return register


class Jobs:
    """The queue of one BMC, kept in its state under ``jobs``."""

    def __init__(self, bmc: Bmc) -> None:
        self._bmc = bmc

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Jobs by id, oldest first."""
        queue: dict[str, dict[str, Any]] = self._bmc.state.setdefault("jobs", {})
        return queue

    def going(self, kind: str) -> list[dict[str, Any]]:
        """Jobs of a JobType that have not ended."""
        return [job for job in self.all.values() if job["JobType"] == kind and job["JobState"] in GOING]

    def check_free(self) -> None:
        """RedfishError 503 while the Lifecycle Controller is in use (a fault)."""
        if self._bmc.faults.strikes("lifecycle_controller_busy") is not None:
            raise RedfishError(503, f"{IDRAC}.SYS029", headers={"Retry-After": "30"})

    def add(
        self, kind: str, name: str, does: str, payload: dict[str, Any], *, on_reset: bool, **facts: Any
    ) -> str:
        """A new job's id. ``kind`` is Dell's JobType, ``name`` what people see, ``does`` a key of EFFECTS.

        RedfishError 503 while the Lifecycle Controller is in use.
        """
        self.check_free()
        state = self._bmc.state
        number = state["job_number"] = state.get("job_number", 700_000_000_000) + 1
        job = {
            "Id": f"JID_{number}",
            "JobType": kind,
            "Name": name,
            "JobState": "Scheduled",
            "Message": "Task successfully scheduled.",
            "MessageId": "JCP001",
            "PercentComplete": 0,
            "created": now(),
            "does": does,
            "payload": payload,
            **facts,
        }
        self.all[job["Id"]] = job
        for old in [i for i, j in self.all.items() if j["JobState"] not in GOING][:-200]:
            del self.all[old]
        self._bmc.events.write("job", id=job["Id"], type=kind, state="Scheduled")
        if not on_reset:
            self._run(job)
            self.advance()
        return str(job["Id"])

    def host_started(self) -> None:
        """The host starts: what waited for that runs now."""
        for job in self.all.values():
            if job["JobState"] in WAITING:
                self._run(job)

    def _run(self, job: dict[str, Any]) -> None:
        job.update(JobState="Running", Message="Job in progress.", MessageId="JCP002", PercentComplete=10)
        job.update(started=now(), until=time.time() + self._bmc.config.seconds("job", 2))
        self._bmc.events.write("job", id=job["Id"], type=job["JobType"], state="Running")

    def advance(self) -> None:
        """End the jobs whose time has come."""
        stuck = self._bmc.faults.option("job_stuck")
        for job in list(self.all.values()):
            if job["JobState"] != "Running" or time.time() < job["until"]:
                continue
            if stuck is not None and stuck.get("type") in (None, job["JobType"]):
                continue
            try:
                EFFECTS[job["does"]](self._bmc, job)
                job.update(JobState="Completed", Message="Job completed successfully.", MessageId="PR19")
            except JobFailed as failure:
                job.update(JobState="Failed", Message=str(failure), MessageId="PR21")
            job.update(PercentComplete=100, ended=now())
            self._bmc.log(
                "lc", "Informational" if job["JobState"] == "Completed" else "Warning", job["Message"]
            )
            self._bmc.events.write("job", id=job["Id"], type=job["JobType"], state=job["JobState"])

    def remove(self, job_id: str) -> None:
        """Delete a job; RedfishError 404 if there is none, 409 if it runs."""
        job = self.all.get(job_id)
        if job is None:
            raise RedfishError(404, f"{IDRAC}.SYS403", job_id)
        if job["JobState"] == "Running" and self._bmc.faults.option("job_stuck") is None:
            raise RedfishError(409, f"{IDRAC}.SYS029")
        del self.all[job_id]
        self._bmc.events.write("job", id=job_id, type=job["JobType"], state="Deleted")
