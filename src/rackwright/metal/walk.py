"""One server in Ironic, led from state to state: ask for a transition, wait for its end, within a limit of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rackwright.metal.ironic import Ironic, IronicError

TRANSIENT = frozenset(
    {
        "verifying", "inspecting", "inspect wait", "cleaning", "clean wait", "clean hold", "deploying",
        "wait call-back", "deploy hold", "deleting", "adopting", "rescuing", "rescue wait", "unrescuing",
        "servicing", "service wait", "service hold",
    }
)  # fmt: skip
"""States that Ironic leaves by itself: there is nothing to do but wait."""

IN_USE = frozenset({"active", "service failed", "rescue", "rescue failed", "unrescue failed"})
"""States with an operating system that is somebody's: left on confirmation only."""

FAILED = frozenset(
    {
        "inspect failed", "clean failed", "deploy failed", "error", "adopt failed", "rescue failed",
        "unrescue failed", "service failed",
    }
)  # fmt: skip

REASON_LOOKS = 5

LIMIT_OF = {
    "verifying": "enrol",
    "inspecting": "inspect",
    "inspect wait": "inspect",
    "cleaning": "clean",
    "clean wait": "clean",
    "clean hold": "clean",
    "servicing": "clean",
    "service wait": "clean",
}
"""State → the limit that it counts against; every other one: ``deploy``."""

FIELDS = (
    "uuid", "name", "driver", "provision_state", "target_provision_state", "provision_updated_at", "power_state",
    "target_power_state", "last_error", "maintenance", "maintenance_reason", "fault", "inspection_finished_at",
    "instance_info", "extra", "raid_config", "target_raid_config", "reservation",
)  # fmt: skip
"""What the walk looks at: much less than all of a node."""

Kind = Literal["failed", "limit", "maintenance", "in use", "power", "differs", "boot"]


@dataclass(frozen=True)
class Limits:
    """Seconds that a stage may take before it counts as stuck, and between two looks (it begins with less)."""

    enrol: float = 300.0
    inspect: float = 1800.0
    clean: float = 7200.0
    deploy: float = 3600.0
    power: float = 300.0
    boot: float = 900.0
    look: float = 5.0


@dataclass
class Outcome:
    """What a stage did (or would do): changes in words; ``notes`` are what a person has to decide."""

    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.changes)


class Stuck(Exception):
    """A server doesn't come further: at which stage, in which state, with Ironic's own words."""

    def __init__(self, kind: Kind, stage: str, state: str, said: str, seconds: float = 0.0) -> None:
        super().__init__(f"{stage}: {state}: {said}")
        self.kind, self.stage, self.state, self.said, self.seconds = kind, stage, state, said, seconds


Say = Callable[[str], None]


def silent(_: str) -> None:
    """Nobody listens."""


class Walker:
    """Leads one server. In check mode it asks for nothing: ``act`` only notes what would be done."""

    def __init__(
        self,
        api: Ironic,
        uuid: str,
        limits: Limits | None = None,
        check: bool = False,
        say: Say = silent,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api, self.uuid, self.limits, self.check = api, uuid, limits or Limits(), check
        self.outcome = Outcome()
        self._say, self._sleep, self._clock = say, sleep, clock

    def look(self) -> Mapping[str, Any] | None:
        """The node as it is now; None where Ironic doesn't know it."""
        return self.api.node(self.uuid, FIELDS)

    def must(self, stage: str) -> Mapping[str, Any]:
        """The node; Stuck where there is none."""
        node = self.look()
        if node is None:
            raise Stuck("failed", stage, "unknown", "Ironic doesn't know the server any more")
        return node

    def act(self, what: str) -> bool:
        """Note a change; whether it may be made (not in check mode)."""
        self.outcome.changes.append(what)
        return not self.check

    def state(self, node: Mapping[str, Any]) -> str:
        return str(node["provision_state"])

    def settle(self, stage: str, node: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Wait until the node is in a state that lasts; that is not always a good one. ``node``: as just seen.

        In check mode it doesn't wait: what is under way is taken for what it is.
        """
        node = node or self.must(stage)
        begin, told = self._clock(), ""
        pause = min(0.2, self.limits.look)
        while self.state(node) in TRANSIENT and not self.check:
            state = self.state(node)
            gone = self._clock() - begin
            limit = float(getattr(self.limits, LIMIT_OF.get(state, "deploy")))
            if gone > limit:
                raise Stuck("limit", stage, state, str(node.get("last_error") or ""), gone)
            if state != told:
                told = state
                self._say(f"{stage}: {state}")
            self._sleep(pause)
            pause = min(pause * 1.5, self.limits.look)
            node = self.must(stage)
        return node

    def go(self, verb: str, goals: Sequence[str], stage: str, **more: Any) -> Mapping[str, Any]:
        """Ask for a transition and wait for its end. Stuck where it ends elsewhere than in ``goals``."""
        try:
            self.api.provision(self.uuid, verb, **more)
        except IronicError as error:
            # An answer that was lost has the client ask again, and Ironic is at it already.
            if error.status not in (400, 409) or self.state(self.must(stage)) not in TRANSIENT:
                raise
        self._sleep(min(0.2, self.limits.look))  # nothing ends at once: a look less
        node = self.settle(stage)
        if self.state(node) in goals:
            return node
        for _ in range(REASON_LOOKS):  # Ironic writes the state first, and why a moment later
            if node.get("last_error") or self.state(node) not in FAILED:
                break
            self._sleep(min(1.0, self.limits.look))
            node = self.settle(stage)
        raise Stuck("failed", stage, self.state(node), str(node.get("last_error") or ""))

    def awake(self, stage: str, node: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The settled node, out of the maintenance that Ironic itself put it into.

        Stuck where a person did: they know why.
        """
        node = self.settle(stage, node)
        if not node.get("maintenance"):
            return node
        reason = str(node.get("maintenance_reason") or "no reason given")
        if not node.get("fault") and not reason.startswith(OURS):
            raise Stuck("maintenance", stage, self.state(node), reason)
        if self.act(f"take it out of maintenance ({node.get('fault') or reason})"):
            self.api.maintenance(self.uuid, None)
        return self.must(stage)

    def manageable(
        self, stage: str, confirmed: bool = False, node: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Lead the node to ``manageable``, where its hardware may be worked on, from whatever state it is in.

        ``confirmed``: an operating system that is there may be lost. In check mode the node as it is.
        """
        node = self.awake(stage, node)
        for _ in range(6):  # the longest way has four steps
            state = self.state(node)
            if state == "manageable" or self.check:
                self.abandon(stage, node)
                return node
            if state in IN_USE and not confirmed:
                raise Stuck("in use", stage, state, "an operating system is on it")
            self.abandon(stage, node)
            if state in ("enroll", "available", "inspect failed", "clean failed", "adopt failed"):
                node = self.awake(stage, self.go("manage", ("manageable",), stage))
            else:  # active, error, deploy failed, rescue, service failed: give up what is on it
                node = self.go("deleted", ("available",), stage)
        raise Stuck("failed", stage, self.state(node), str(node.get("last_error") or ""))

    def abandon(self, stage: str, node: Mapping[str, Any]) -> None:
        """Switch off what a failure left running, so that the next step starts an agent of its own.

        Ironic forgets an agent's address and token with a failure, and yet takes it for alive for five minutes more
        (``[deploy] fast_track_timeout``): what it then waits for never comes.
        """
        state = self.state(node)
        if self.check or node.get("power_state") in (None, "power off"):
            return
        failed = state in ("inspect failed", "clean failed", "deploy failed")
        # A step of the BIOS that fails is followed by "cleaning complete" (seen with release 29).
        if failed or (state in ("manageable", "available") and self._orphaned()):
            self.power("power off", stage)

    def _orphaned(self) -> bool:
        """Whether an agent was heard of since the last inspection, and Ironic doesn't know any more where it is."""
        node = self.api.node(self.uuid, ("driver_internal_info", "inspection_finished_at")) or {}
        known = node.get("driver_internal_info") or {}
        heard = str(known.get("agent_last_heartbeat") or "")[:19]
        return not known.get("agent_url") and heard > str(node.get("inspection_finished_at") or "")[:19]

    def forget(self) -> None:
        """Take the node out of Ironic, whatever state it is in; the server itself isn't touched."""
        node = self.look()
        if node is None:
            return
        if node["provision_state"] not in ("enroll", "manageable", "adopt failed"):
            self.api.maintenance(self.uuid, f"{OURS}: is taken out")
        self.api.delete_node(self.uuid)

    def power(self, target: str, stage: str) -> None:
        """Have it ``power on`` or ``power off`` and wait for it."""
        self.api.power(self.uuid, target)
        begin = self._clock()
        wanted = "power off" if "off" in target else "power on"
        while True:
            node = self.must(stage)
            if node.get("power_state") == wanted and not node.get("target_power_state"):
                return
            gone = self._clock() - begin
            if gone > self.limits.power:
                said = str(node.get("last_error") or f"it says {node.get('power_state')}")
                raise Stuck("power", stage, str(node.get("power_state")), said, gone)
            if not node.get("target_power_state") and node.get("last_error") and gone > 1:
                raise Stuck("power", stage, str(node.get("power_state")), str(node["last_error"]), gone)
            self._sleep(min(1.0, self.limits.look))

    def add(self, path: str, value: Any) -> None:
        """Set one place of the node."""
        self.api.patch_node(self.uuid, [{"op": "add", "path": path, "value": value}])

    def remove(self, path: str) -> None:
        """Remove one place of the node."""
        self.api.patch_node(self.uuid, [{"op": "remove", "path": path}])


OURS = "rackwright"
NOT_TAKEN = "the BIOS did not take"
"""How a comparison begins that found a setting as it was before, though nothing failed."""
