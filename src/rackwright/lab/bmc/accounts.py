"""Who may do what: local accounts with hashed passwords, sessions, and the factory password that must go first."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any

from rackwright.lab.bmc.events import now
from rackwright.lab.bmc.http import ROOT, Request
from rackwright.lab.bmc.messages import BASE, IDRAC, RedfishError

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

ACCOUNTS = f"{ROOT}/AccountService/Accounts"
SESSIONS = f"{ROOT}/SessionService/Sessions"
ROLES = ("Administrator", "Operator", "ReadOnly", "None")
#: An iDRAC has slots for 16 users; the first is reserved.
SLOTS = range(1, 17)
SESSION_SECONDS = 1800
MAX_SESSIONS = 64

#: What an Operator may not touch.
ADMINISTRATION = ("AccountService", "CertificateService", "Managers", "SessionService", "EventService")


def factory(bmc: Bmc) -> None:
    """Accounts as they leave the factory."""
    bmc.state["accounts"] = {
        str(slot): {"user": "", "role": "None", "enabled": False, "hash": "", "change": False}
        for slot in SLOTS
    }
    bmc.state["accounts"]["2"] = {
        "user": bmc.config.factory_user,
        "role": "Administrator",
        "enabled": True,
        "hash": hashed(bmc.config.factory_password),
        "change": bool(bmc.config.factory.get("password_change_required", False)),
    }
    bmc.state["sessions"] = {}


def hashed(password: str, salt: str = "") -> str:
    """Salted hash of a password."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}${_derived(password, salt)}"


@functools.lru_cache(maxsize=4096)
def _derived(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 2_000).hex()


def matches(password: str, stored: str) -> bool:
    """Whether a password is the one that was stored."""
    return bool(stored) and hmac.compare_digest(hashed(password, stored.split("$")[0]), stored)


def check_policy(bmc: Bmc, password: object) -> str:
    """The password if the BMC takes it: iDRAC9 wants 1 to 40 printable characters. RedfishError 400 if not."""
    refused = bmc.faults.option("password_policy_refuses")
    if refused is not None:
        reason = str(refused.get("reason", "it must have at least 12 characters of four kinds"))
        raise RedfishError(400, f"{IDRAC}.RAC0724", reason, related=["#/Password"])
    if not isinstance(password, str):
        raise RedfishError(
            400, f"{BASE}.PropertyValueTypeError", "******", "Password", related=["#/Password"]
        )
    if not 1 <= len(password) <= 40 or not password.isprintable():
        raise RedfishError(
            400, f"{BASE}.PropertyValueFormatError", "******", "Password", related=["#/Password"]
        )
    return password


def login(bmc: Bmc, user: str, password: str) -> str:
    """The account's id; RedfishError 401 for a wrong user or password."""
    if bmc.faults.option("wrong_credentials") is None:
        for slot, account in bmc.state["accounts"].items():
            if account["user"] == user and account["user"] and account["enabled"]:
                if matches(password, account["hash"]):
                    return str(slot)
                break
    bmc.log("lc", "Warning", "Login attempt failed.", "USR0031")
    raise unauthorised()


def unauthorised() -> RedfishError:
    """401, with the ways to log in."""
    return RedfishError(
        401, f"{BASE}.NoValidSession", headers={"WWW-Authenticate": 'Basic realm="RedfishService"'}
    )


def open_session(bmc: Bmc, slot: str, address: str) -> tuple[str, str]:
    """A new session's id and token; RedfishError 503 when there are too many."""
    sessions = _live(bmc)
    if len(sessions) >= MAX_SESSIONS:
        raise RedfishError(503, f"{BASE}.CreateLimitReachedForResource")
    number = bmc.state["session_number"] = bmc.state.get("session_number", 0) + 1
    token = secrets.token_hex(16)
    sessions[str(number)] = {
        "token": _digest(token),
        "account": slot,
        "created": now(),
        "used": time.time(),
        "address": address,
    }
    return str(number), token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _live(bmc: Bmc) -> dict[str, Any]:
    limit = time.time() - float(bmc.state.get("session_timeout", SESSION_SECONDS))
    sessions: dict[str, Any] = {k: s for k, s in bmc.state.get("sessions", {}).items() if s["used"] > limit}
    bmc.state["sessions"] = sessions
    return sessions


def authenticate(bmc: Bmc, token: str | None, authorization: str | None) -> tuple[str, str]:
    """Ids of the account and (if any) the session; RedfishError 401."""
    if token:
        if bmc.faults.option("wrong_credentials") is not None:
            raise unauthorised()
        wanted = _digest(token)
        for number, session in _live(bmc).items():
            if hmac.compare_digest(session["token"], wanted):
                session["used"] = round(time.time(), -1)  # coarse: not every read is a write of the state
                return session["account"], number
        raise unauthorised()
    if authorization and authorization.lower().startswith("basic "):
        try:
            user, _, password = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise unauthorised() from None
        return login(bmc, user, password), ""
    raise unauthorised()


def authorise(bmc: Bmc, request: Request) -> None:
    """RedfishError 403 if the account may not do this, or must change its password before anything else."""
    account = bmc.state["accounts"][request.account]
    own = f"{ACCOUNTS}/{request.account}"
    if account["change"]:
        free = request.path == own or (
            request.method == "DELETE" and request.path == f"{SESSIONS}/{request.session}"
        )
        if not free:
            raise RedfishError(403, f"{BASE}.PasswordChangeRequired", own)
    if request.method in ("GET", "HEAD", "OPTIONS") or account["role"] == "Administrator":
        return
    if request.path == own and set(request.body) == {"Password"}:
        return
    if request.method == "DELETE" and request.path == f"{SESSIONS}/{request.session}":
        return
    part = request.path.removeprefix(f"{ROOT}/").split("/")[0]
    if account["role"] == "Operator" and part not in ADMINISTRATION:
        return
    raise RedfishError(403, f"{BASE}.InsufficientPrivilege")
