"""A small imitation of Ironic's API: its provision states, without hardware. What it refuses, Ironic refuses too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rackwright.metal.ironic import IronicError

# Verb → the states it is taken in → (states on the way, the last one), as in ironic/common/states.py.
VERBS: dict[str, dict[str, tuple[tuple[str, ...], str]]] = {
    "manage": {
        "enroll": (("verifying",), "manageable"),
        "available": ((), "manageable"),
        "inspect failed": ((), "manageable"),
        "clean failed": ((), "manageable"),
        "adopt failed": ((), "manageable"),
    },
    "inspect": {
        "manageable": (("inspecting", "inspect wait"), "manageable"),
        "inspect failed": (("inspecting",), "manageable"),
    },
    "clean": {"manageable": (("cleaning", "clean wait"), "manageable")},
    "provide": {"manageable": (("cleaning",), "available")},
    "active": {
        "available": (("deploying", "wait call-back"), "active"),
        "deploy failed": (("deploying",), "active"),
    },
    "rebuild": {"active": (("deploying",), "active"), "deploy failed": (("deploying",), "active")},
    "deleted": {
        "active": (("deleting", "cleaning"), "available"),
        "deploy failed": (("deleting",), "available"),
        "error": (("deleting",), "available"),
    },
    "service": {"active": (("servicing", "service wait"), "active")},
}


class Double:
    """Has the methods of ``Ironic``. ``asked`` is everything that changes anything, in order.

    ``break_at``: a state on the way in which the next transition fails with ``error``. ``cut_at``: a state at which
    this program is interrupted (once).
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.nics: dict[str, dict[str, Any]] = {}
        self.attributes: dict[str, str] = {}
        self.asked: list[str] = []
        self.break_at = ""
        self.error = ""
        self.cut_at = ""
        self._way: list[str] = []
        self._before: dict[str, str] = {}
        self._stamp = 0

    def node(self, ident: str, fields: Sequence[str] = ()) -> Mapping[str, Any] | None:
        """Each look brings a node one state further."""
        node = self.known.get(ident)
        if node is None:
            return None
        if node["provision_state"] == self.cut_at:
            self.cut_at = ""
            raise KeyboardInterrupt
        if self._way:
            state = self._way.pop(0)
            if node["provision_state"] == self.break_at:
                self._way, self.break_at, self.attributes = [], "", self._before
                kind = node["provision_state"].split()[0]
                ends = {"verifying": "enroll", "inspecting": "inspect failed", "inspect": "inspect failed"}
                ends |= {"cleaning": "clean failed", "clean": "clean failed", "servicing": "service failed"}
                node["last_error"] = self.error
                state = ends.get(kind, "deploy failed")
                if state == "clean failed":
                    node |= {"maintenance": True, "fault": "clean failure", "maintenance_reason": self.error}
            self._move(node, state)
        return dict(node)

    def _move(self, node: dict[str, Any], state: str) -> None:
        self._stamp += 1
        if node["provision_state"] in ("inspecting", "inspect wait") and state == "manageable":
            node["inspection_finished_at"] = str(self._stamp)
        if node["provision_state"] == "deleting":
            node["instance_info"] = {}
        if state == "active":
            node["power_state"] = "power on"
        node |= {"provision_state": state, "provision_updated_at": str(self._stamp)}

    def create_node(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append("create")
        self.known[body["uuid"]] = {
            "provision_state": "enroll", "power_state": None, "maintenance": False, "last_error": None,
            "instance_info": {}, "provision_updated_at": "0", **body,
        }  # fmt: skip
        return self.known[body["uuid"]]

    def patch_node(self, ident: str, patch: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        node = self.known[ident]
        for change in patch:
            self.asked.append(f"patch {change['path']}")
            *above, last = str(change["path"]).lstrip("/").split("/")
            place = node
            for name in above:
                place[name] = dict(place.get(name) or {})
                place = place[name]
            if change["op"] == "remove":
                del place[last]
            else:
                place[last] = change["value"]
        return node

    def delete_node(self, ident: str) -> None:
        self.asked.append("delete")
        if not self.known[ident]["maintenance"] and self.known[ident]["provision_state"] not in (
            "manageable",
            "enroll",
        ):
            raise IronicError(409, "can't be deleted", ident)
        del self.known[ident]
        self.nics.clear()

    def ports(self, node: str) -> list[Mapping[str, Any]]:
        return list(self.nics.values())

    def create_port(self, body: Mapping[str, Any]) -> None:
        self.asked.append(f"port {body['address']}")
        self.nics[body["address"]] = {"uuid": body["address"], **body}

    def delete_port(self, uuid: str) -> None:
        self.asked.append(f"no port {uuid}")
        del self.nics[uuid]

    def patch_port(self, uuid: str, patch: Sequence[Mapping[str, Any]]) -> None:
        self.asked.append(f"patch port {uuid}")

    def provision(self, ident: str, verb: str, **more: Any) -> None:
        node = self.known[ident]
        if node["maintenance"]:
            raise IronicError(400, "in maintenance", verb)
        if node["provision_state"] not in VERBS[verb]:
            raise IronicError(
                400, f'"{verb}" can not be performed in state "{node["provision_state"]}"', verb
            )
        way, end = VERBS[verb][node["provision_state"]]
        self.asked.append(verb)
        self._before = dict(self.attributes)
        for step in (*more.get("clean_steps", ()), *more.get("service_steps", ())):
            self.asked.append(f"step {step['interface']}.{step['step']}")
            for one in (step.get("args") or {}).get("settings", ()):
                self.attributes[one["name"]] = one["value"]
            if step["step"] == "create_configuration":
                node["raid_config"] = node["target_raid_config"]
        node["last_error"] = None
        self._move(node, (*way, end)[0])
        self._way = [*way, end][1:]

    def power(self, ident: str, target: str, timeout: int | None = None) -> None:
        self.asked.append(target)
        self.known[ident] |= {"power_state": "power off" if "off" in target else "power on"}

    def maintenance(self, ident: str, reason: str | None) -> None:
        self.asked.append(f"maintenance {reason}")
        self.known[ident] |= {"maintenance": reason is not None, "maintenance_reason": reason, "fault": None}

    def target_raid(self, ident: str, config: Mapping[str, Any]) -> None:
        self.known[ident]["target_raid_config"] = dict(config)

    def bios(self, ident: str) -> dict[str, Any]:
        return dict(self.attributes)
