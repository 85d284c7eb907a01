"""One virtual BMC: its state, its machine, and the way from a request to an answer."""

from __future__ import annotations

import hashlib
import time
from threading import RLock
from typing import Any

from rackwright.lab.bmc import accounts, boot
from rackwright.lab.bmc.bios_attributes import defaults
from rackwright.lab.bmc.certificates import Certificates
from rackwright.lab.bmc.config import BmcConfig
from rackwright.lab.bmc.events import EventLog, now
from rackwright.lab.bmc.faults import Faults
from rackwright.lab.bmc.hardware import hardware_of, system_uuid
from rackwright.lab.bmc.http import MANAGER, ROOT, Request, Response
from rackwright.lab.bmc.jobs import Jobs
from rackwright.lab.bmc.machine import Boot, Context, machine_of
from rackwright.lab.bmc.messages import BASE, IDRAC, RedfishError
from rackwright.lab.bmc.routing import ROUTER
from rackwright.lab.bmc.services import load
from rackwright.lab.bmc.store import Store

load()

#: What is answered without credentials, as Redfish wants it (and a login).
OPEN = {ROOT, "/redfish", f"{ROOT}/odata", f"{ROOT}/$metadata"}
LOGIN = {f"{ROOT}/SessionService/Sessions", f"{ROOT}/SessionService/Sessions/Members", f"{ROOT}/Sessions"}

RESETS = (
    "On",
    "ForceOff",
    "ForceRestart",
    "GracefulRestart",
    "GracefulShutdown",
    "PushPowerButton",
    "Nmi",
    "PowerCycle",
)


class Bmc:
    """A BMC. ``lock`` is held for each request: an iDRAC does one thing at a time too."""

    def __init__(self, config: BmcConfig) -> None:
        self.config = config
        self.lock = RLock()
        self.store = Store(config.state_dir)
        self.faults = Faults(config.state_dir, config.faults)
        self.events = EventLog(config.state_dir)
        self.hardware = hardware_of(config.hardware, config.profile, config.service_tag)
        self.uuid = system_uuid(config.service_tag)
        self.jobs = Jobs(self)
        if "born" not in self.state:
            self._leave_factory()
        self.certificates = Certificates(self)
        self.machine = machine_of(
            dict(config.machine),
            Context(
                name=config.name,
                service_tag=config.service_tag,
                model=config.model,
                uuid=self.uuid,
                lock=self.lock,
                state=config.state_dir,
                memory=self.state.setdefault("machine", {}),
                starting=self._starting,
                event=self.events.write,
                bios_version=self.hardware.firmware["bios"],
            ),
        )
        self.store.save()

    @property
    def state(self) -> dict[str, Any]:
        """What is kept: plain data, saved after each request."""
        return self.store.data

    def _leave_factory(self) -> None:
        self.state["born"] = now()
        self.state["bios"] = {"attributes": defaults(self), "pending": {}}
        self.state["boot"] = boot.factory(self)
        self.state["firmware"] = dict(self.hardware.firmware)
        accounts.factory(self)

    def close(self) -> None:
        """The process ends; the machine goes on if it can."""
        with self.lock:
            self.machine.close()
            self.store.save()

    # ---- what happens to the host

    def power_state(self) -> str:
        """What the BMC says of the machine's power: a fault may make it lie."""
        true = self.machine.power_state()
        lie = self.faults.option("power_state_lies")
        if lie is None:
            return true
        return str(lie.get("report", "Off" if true == "On" else "On"))

    def reset(self, kind: str) -> None:
        """Do what a ResetType says; RedfishError 409 for a state that it doesn't fit, 500 if the machine won't."""
        machine, state = self.machine, self.machine.power_state()
        off = state in ("Off", "PoweringOff")
        self.events.write("reset", type=kind, power=state)
        self.log("sel", "Informational", f"The server was asked to {kind}.")
        if kind == "On" and not off:
            raise RedfishError(409, f"{IDRAC}.PSU501")
        if kind not in ("On", "PushPowerButton") and state == "Off":
            raise RedfishError(409, f"{IDRAC}.PSU502")
        refused = self.faults.option("power_on_refused")
        if (
            refused is not None
            and kind not in ("ForceOff", "GracefulShutdown", "Nmi")
            and (off or "Restart" not in kind)
        ):
            raise RedfishError(
                500, f"{IDRAC}.PSU503", str(refused.get("reason", "the power budget does not allow it"))
            )
        graceful = kind in ("GracefulShutdown", "GracefulRestart", "PushPowerButton")
        if graceful and not off and self.faults.option("graceful_ignored") is not None:
            return
        try:
            if kind == "On" or (kind == "PushPowerButton" and off):
                machine.power_on()
            elif kind in ("ForceOff", "GracefulShutdown", "PushPowerButton"):
                machine.power_off(graceful)
            elif kind != "Nmi":
                machine.reset(graceful)
        except OSError as error:
            self.events.write("machine failed", error=str(error))
            raise RedfishError(500, f"{IDRAC}.PSU503", str(error)) from error

    def _starting(self, why: str) -> Boot:
        """The machine starts now: jobs that waited run, a one-time boot device is used up."""
        plan = boot.plan(self)
        used = dict(self.state["boot"])
        if self.faults.option("boot_override_ignored") is not None:
            plan = boot.plan(self, obey=False)
        boot.used_up(self)
        self.jobs.host_started()
        self.state["starts"] = self.state.get("starts", 0) + 1
        self.state["last_start"] = now()
        self.events.write(
            "start", why=why, order=list(plan.order), override=used["target"], enabled=used["enabled"]
        )
        self.log("lc", "Informational", "The server started.", "SYS1003")
        self.store.save()
        return plan

    def log(self, which: str, severity: str, text: str, message_id: str = "") -> None:
        """Add an entry to a log (``sel`` or ``lc``); the last 300 are kept."""
        entries = self.state.setdefault("logs", {}).setdefault(which, [])
        number = entries[-1]["number"] + 1 if entries else 1
        entries.append(
            {
                "number": number,
                "time": now(),
                "severity": severity,
                "text": text,
                "id": message_id or "SYS1000",
            }
        )
        del entries[:-300]

    def busy(self) -> bool:
        """Whether the manager itself restarts at this moment."""
        return time.time() < float(self.state.get("manager_back", 0))

    def restart_manager(self) -> None:
        """Reset the BMC: sessions end, a waiting certificate is shown, connections are refused for a while."""
        self.state["sessions"] = {}
        self.state["manager_back"] = time.time() + self.config.seconds("manager_reset", 0)
        self.certificates.activate()
        self.events.write("manager reset")

    # ---- requests

    def handle(self, request: Request, authorization: str | None) -> Response:
        """Answer a request; ``authorization`` is the header of that name. Never raises RedfishError."""
        with self.lock:
            try:
                self.machine.power_state()  # lets a machine without threads move on
                self.jobs.advance()
                response = self._answer(request, authorization)
            except RedfishError as error:
                response = Response(error.status, error.body(), error.headers)
            except Exception as error:  # one bad request must not end a client's connection without a word
                self.events.write("failed", error=repr(error), method=request.method, path=request.path)
                broken = RedfishError(500, f"{IDRAC}.RAC0508")
                response = Response(500, broken.body())
            finally:
                self.store.save()
        facts = {"account": request.account} if request.account else {}
        self.events.write(
            "request", method=request.method, path=request.path, status=response.status, **facts
        )
        return response

    def _answer(self, request: Request, authorization: str | None) -> Response:
        hit = self.faults.strikes("busy_503")
        if hit is not None:
            seconds = str(hit.get("retry_after", 5))
            raise RedfishError(
                503, f"{BASE}.ServiceTemporarilyUnavailable", seconds, headers={"Retry-After": seconds}
            )
        if request.path in OPEN or (request.path in LOGIN and request.method == "POST"):
            return ROUTER.call(self, request)
        account, session = accounts.authenticate(self, request.headers.get("x-auth-token"), authorization)
        known = Request(
            request.method, request.path, request.query, request.headers, request.body, account, session
        )
        ROUTER.find(request.path)
        accounts.authorise(self, known)
        return ROUTER.call(self, known)


def digest(text: str) -> str:
    """A short name for something that must not be kept itself."""
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["MANAGER", "RESETS", "Bmc", "digest"]
