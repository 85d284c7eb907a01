"""AccountService: sixteen slots, changed by PATCH; roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.accounts import ACCOUNTS, ROLES, check_policy, hashed
from rackwright.lab.bmc.http import ROOT, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.messages import BASE, RedfishError, not_found
from rackwright.lab.bmc.routing import delete, get, patch, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICE = f"{ROOT}/AccountService"
PRIVILEGES = {
    "Administrator": ["Login", "ConfigureManager", "ConfigureUsers", "ConfigureSelf", "ConfigureComponents"],
    "Operator": ["Login", "ConfigureSelf", "ConfigureComponents"],
    "ReadOnly": ["Login", "ConfigureSelf"],
    "None": [],
}


@get(SERVICE)
def service(bmc: Bmc, request: Request) -> Json:
    """Rules for accounts."""
    return resource(
        SERVICE,
        "AccountService.v1_15_0.AccountService",
        "Account Service",
        Description="BMC User Accounts",
        ServiceEnabled=True,
        MinPasswordLength=1,
        MaxPasswordLength=40,
        AccountLockoutThreshold=0,
        LocalAccountAuth="Enabled",
        Accounts=link(ACCOUNTS),
        Roles=link(f"{SERVICE}/Roles"),
        Status={"State": "Enabled", "Health": "OK"},
        SupportedAccountTypes=["Redfish"],
    )


@get(ACCOUNTS)
def all_accounts(bmc: Bmc, request: Request) -> Json:
    """All slots, used or not, as an iDRAC lists them."""
    return collection(ACCOUNTS, "ManagerAccount", "Accounts Collection", list(bmc.state["accounts"]))


@get(f"{ACCOUNTS}/{{slot}}")
def account(bmc: Bmc, request: Request, slot: str) -> Json:
    """One slot."""
    kept = bmc.state["accounts"].get(slot)
    if kept is None:
        raise not_found(request.path)
    return resource(
        f"{ACCOUNTS}/{slot}",
        "ManagerAccount.v1_12_0.ManagerAccount",
        "User Account",
        Description="User Account",
        UserName=kept["user"],
        Password=None,
        RoleId=kept["role"],
        Enabled=kept["enabled"],
        Locked=False,
        PasswordChangeRequired=kept["change"],
        AccountTypes=["Redfish"],
        Links={"Role": link(f"{SERVICE}/Roles/{kept['role']}")},
    )


@patch(f"{ACCOUNTS}/{{slot}}")
def change(bmc: Bmc, request: Request, slot: str) -> Response:
    """Name, password, role, enabled; an empty name frees the slot."""
    request.only(
        "UserName", "Password", "RoleId", "Enabled", "AccountTypes", "Locked", "PasswordChangeRequired"
    )
    if slot not in bmc.state["accounts"] or slot == "1":
        raise not_found(request.path)
    if not request.body:
        raise RedfishError(400, f"{BASE}.EmptyJSON")
    kept = bmc.state["accounts"][slot]
    new = dict(kept)
    if "UserName" in request.body:
        new["user"] = _free_name(bmc, request.text("UserName"), slot)
    if "RoleId" in request.body:
        new["role"] = _role(request.text("RoleId"))
    if "Enabled" in request.body:
        if not isinstance(request.body["Enabled"], bool):
            raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(request.body["Enabled"]), "Enabled")
        new["enabled"] = request.body["Enabled"]
    if "Password" in request.body:
        new["hash"], new["change"] = hashed(check_policy(bmc, request.body["Password"])), False
        bmc.events.write("password changed", account=slot)
        _end_sessions(bmc, slot, request.session)
    if "PasswordChangeRequired" in request.body:
        new["change"] = bool(request.body["PasswordChangeRequired"])
    if not new["user"]:
        new = {"user": "", "role": "None", "enabled": False, "hash": "", "change": False}
        _end_sessions(bmc, slot, "")
    bmc.state["accounts"][slot] = new
    return Response(200, account(bmc, request, slot))


def _end_sessions(bmc: Bmc, slot: str, but: str) -> None:
    sessions = bmc.state.get("sessions", {})
    bmc.state["sessions"] = {k: s for k, s in sessions.items() if s["account"] != slot or k == but}


def _free_name(bmc: Bmc, name: str, slot: str) -> str:
    if name and any(a["user"] == name for i, a in bmc.state["accounts"].items() if i != slot):
        raise RedfishError(400, f"{BASE}.ResourceAlreadyExists", "ManagerAccount", "UserName", name)
    if len(name) > 16 or not name.isprintable():
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", name, "UserName", related=["#/UserName"])
    return name


def _role(role: str) -> str:
    if role not in ROLES:
        raise RedfishError(400, f"{BASE}.PropertyValueNotInList", role, "RoleId", related=["#/RoleId"])
    return role


@post(ACCOUNTS)
def create(bmc: Bmc, request: Request) -> Response:
    """A new account in the first free slot."""
    request.only("UserName", "Password", "RoleId", "Enabled", "AccountTypes", "PasswordChangeRequired")
    name, role = request.text("UserName"), _role(request.text("RoleId"))
    if not name:
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", name, "UserName", related=["#/UserName"])
    if "Password" not in request.body:
        raise RedfishError(400, f"{BASE}.PropertyMissing", "Password", related=["#/Password"])
    password = check_policy(bmc, request.body["Password"])
    _free_name(bmc, name, "")
    free = [slot for slot, kept in bmc.state["accounts"].items() if not kept["user"] and slot != "1"]
    if not free:
        raise RedfishError(400, f"{BASE}.CreateLimitReachedForResource")
    bmc.state["accounts"][free[0]] = {
        "user": name,
        "role": role,
        "enabled": bool(request.body.get("Enabled", True)),
        "hash": hashed(password),
        "change": bool(request.body.get("PasswordChangeRequired", False)),
    }
    return Response(201, account(bmc, request, free[0]), {"Location": f"{ACCOUNTS}/{free[0]}"})


@delete(f"{ACCOUNTS}/{{slot}}")
def remove(bmc: Bmc, request: Request, slot: str) -> Response:
    """Free a slot; the last administrator stays."""
    kept = bmc.state["accounts"].get(slot)
    if kept is None or not kept["user"]:
        raise not_found(request.path)
    administrators = [
        i for i, a in bmc.state["accounts"].items() if a["role"] == "Administrator" and a["enabled"]
    ]
    if administrators == [slot]:
        raise RedfishError(400, f"{BASE}.ResourceCannotBeDeleted")
    bmc.state["accounts"][slot] = {"user": "", "role": "None", "enabled": False, "hash": "", "change": False}
    _end_sessions(bmc, slot, "")
    return Response(204)


@get(f"{SERVICE}/Roles")
def roles(bmc: Bmc, request: Request) -> Json:
    """All roles."""
    return collection(f"{SERVICE}/Roles", "Role", "Roles Collection", list(ROLES))


@get(f"{SERVICE}/Roles/{{role}}")
def role(bmc: Bmc, request: Request, role: str) -> Json:
    """One role."""
    if role not in ROLES:
        raise not_found(request.path)
    return resource(
        f"{SERVICE}/Roles/{role}",
        "Role.v1_3_1.Role",
        f"{role} Role",
        RoleId=role,
        IsPredefined=True,
        AssignedPrivileges=PRIVILEGES[role],
    )
