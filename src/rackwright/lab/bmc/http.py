"""What a handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rackwright.lab.bmc.messages import BASE, RedfishError

#: Where every Redfish service begins.
ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/System.Embedded.1"
CHASSIS = f"{ROOT}/Chassis/System.Embedded.1"
MANAGER = f"{ROOT}/Managers/iDRAC.Embedded.1"

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One request. ``path`` has no query and no slash at its end; ``headers`` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    #: Id of the account that asks, empty where no credentials are needed.
    account: str = ""
    session: str = ""

    def only(self, *names: str) -> None:
        """RedfishError for a property of the body that isn't among these."""
        for name in self.body:
            if name not in names and "@" not in name:
                raise RedfishError(400, f"{BASE}.PropertyUnknown", name, related=[f"#/{name}"])

    def text(self, name: str, default: str | None = None) -> str:
        """A property of the body that must be text; RedfishError if it is missing or something else."""
        value = self.body.get(name, default)
        if value is None:
            raise RedfishError(400, f"{BASE}.PropertyMissing", name, related=[f"#/{name}"])
        if not isinstance(value, str):
            raise RedfishError(400, f"{BASE}.PropertyValueTypeError", str(value), name, related=[f"#/{name}"])
        return value


@dataclass(frozen=True)
class Response:
    """One answer: ``body`` is JSON-able, or text of its own ``content_type``."""

    status: int = 200
    body: Json | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json;odata.metadata=minimal;charset=utf-8"


def link(uri: str) -> dict[str, str]:
    """A reference to another resource."""
    return {"@odata.id": uri}


def resource(uri: str, kind: str, name: str, **properties: Any) -> Json:
    """A resource's JSON; ``kind`` is its type with version (``Bios.v1_2_3.Bios``)."""
    properties.setdefault("Id", uri.rsplit("/", 1)[-1])
    return {"@odata.id": uri, "@odata.type": f"#{kind}", "Name": name, **properties}


def collection(uri: str, kind: str, name: str, members: list[str]) -> Json:
    """A collection's JSON; ``kind`` without the word Collection (``Drive``), ``members`` are ids or whole URIs."""
    return {
        "@odata.id": uri,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": name,
        "Members": [link(m if m.startswith("/") else f"{uri}/{m}") for m in members],
        "Members@odata.count": len(members),
    }


OK_STATUS = {"State": "Enabled", "Health": "OK"}


def status(health: str = "OK", state: str = "Enabled", rollup: bool = False) -> dict[str, str]:
    """The property Status."""
    return {"State": state, "Health": health} | ({"HealthRollup": health} if rollup else {})
