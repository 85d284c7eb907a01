"""SessionService: log in, look at sessions, log out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.accounts import ACCOUNTS, SESSION_SECONDS, SESSIONS, login, open_session
from rackwright.lab.bmc.http import ROOT, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.messages import BASE, RedfishError, message, not_found
from rackwright.lab.bmc.routing import delete, get, patch, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICE = f"{ROOT}/SessionService"


@get(SERVICE)
def service(bmc: Bmc, request: Request) -> Json:
    """How long a session lasts without use."""
    return resource(
        SERVICE,
        "SessionService.v1_1_9.SessionService",
        "Session Service",
        Description="Session Service",
        ServiceEnabled=True,
        SessionTimeout=int(bmc.state.get("session_timeout", SESSION_SECONDS)),
        Sessions=link(SESSIONS),
        Status={"State": "Enabled", "Health": "OK"},
    )


@patch(SERVICE)
def change(bmc: Bmc, request: Request) -> Json:
    """Set the timeout, 30 seconds to a day."""
    request.only("SessionTimeout")
    seconds = request.body.get("SessionTimeout")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(seconds), "SessionTimeout")
    if not 30 <= seconds <= 86400:
        raise RedfishError(400, f"{BASE}.PropertyValueOutOfRange", str(seconds), "SessionTimeout")
    bmc.state["session_timeout"] = seconds
    return service(bmc, request)


@get(SESSIONS)
def sessions(bmc: Bmc, request: Request) -> Json:
    """All that live."""
    return collection(SESSIONS, "Session", "Session Collection", list(bmc.state.get("sessions", {})))


@get(f"{SESSIONS}/{{session}}")
def session(bmc: Bmc, request: Request, session: str) -> Json:
    """One of them."""
    kept = bmc.state.get("sessions", {}).get(session)
    if kept is None:
        raise not_found(request.path)
    return resource(
        f"{SESSIONS}/{session}",
        "Session.v1_7_0.Session",
        "User Session",
        Description="User Session",
        UserName=bmc.state["accounts"][kept["account"]]["user"],
        Password=None,
        SessionType="Redfish",
        CreatedTime=kept["created"],
        ClientOriginIPAddress=kept["address"],
    )


def _login(bmc: Bmc, request: Request) -> Response:
    request.only("UserName", "Password", "Token", "SessionType")
    slot = login(bmc, request.text("UserName"), request.text("Password"))
    number, token = open_session(bmc, slot, request.headers.get("_peer", ""))
    body = session(bmc, request, number)
    if bmc.state["accounts"][slot]["change"]:
        body["@Message.ExtendedInfo"] = [message(f"{BASE}.PasswordChangeRequired", f"{ACCOUNTS}/{slot}")]
    return Response(201, body, {"Location": f"{SESSIONS}/{number}", "X-Auth-Token": token})


for _path in (SESSIONS, f"{SESSIONS}/Members", f"{ROOT}/Sessions"):
    post(_path)(_login)


@delete(f"{SESSIONS}/{{session}}")
def logout(bmc: Bmc, request: Request, session: str) -> Response:
    """End a session."""
    if bmc.state.get("sessions", {}).pop(session, None) is None:
        raise not_found(request.path)
    return Response(204)
