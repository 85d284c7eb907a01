"""From power-off to an operating system, and its later life: what a server needs next, from whatever state it is in.

Every stage looks first, does what is missing, and may be cut off anywhere: the next run goes on from the state that
Ironic has. What a deployment consists of stands as a digest in ``instance_info``; as long as it is the declared one,
nothing is done, and nothing ever restarts a server in use that wasn't named for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rackwright.metal.declared import Declared, node_patch
from rackwright.metal.settings import Settings, compare_bios
from rackwright.metal.walk import FAILED, IN_USE, NOT_TAKEN, TRANSIENT, Outcome, Stuck, Walker

ERASE = {
    "metadata": ({"interface": "deploy", "step": "erase_devices_metadata"},),
    "secure": ({"interface": "deploy", "step": "erase_devices"},),
    "none": (),
}
"""How disks are erased: their tables only (seconds), or everything by the disk's own means (minutes to hours)."""

VOLUME_TOLERANCE = 0.005
"""How much of its size a volume may differ by, and be the one that was declared."""

Steps = Sequence[Mapping[str, Any]]


class Flow:
    """The stages of one server. Each gives what was done by it alone."""

    def __init__(self, walker: Walker, wanted: Declared) -> None:
        self.walker, self.wanted, self.api = walker, wanted, walker.api

    def _begin(self) -> Outcome:
        self.walker.outcome = Outcome()
        return self.walker.outcome

    # --- known to Ironic

    def enrolled(self) -> Outcome:
        """Known to Ironic as the site declares it, and its BMC answers with these credentials."""
        outcome, walker, wanted = self._begin(), self.walker, self.wanted
        node = self.api.node(wanted.uuid)
        if node is not None:
            old = (node.get("extra") or {}).get("service_tag")
            if old != wanted.node["extra"]["service_tag"]:
                if walker.act(
                    f"forget {old}: the site has {wanted.node['extra']['service_tag']} in its place"
                ):
                    walker.forget()
                node = None
        fresh = node is None
        if node is None:
            if not walker.act("enrol"):
                return outcome
            node = self.api.create_node(wanted.node)
        else:
            in_use = node["provision_state"] in IN_USE | TRANSIENT
            patch = node_patch(wanted, node, in_use)
            names = ", ".join(sorted({str(change["path"]).lstrip("/") for change in patch}))
            if patch and walker.act(f"change {names}"):
                if node["provision_state"] in TRANSIENT:
                    walker.settle("enrol")
                self.api.patch_node(wanted.uuid, patch)
        self._ports(walker.act, fresh)
        node = walker.awake("enrol", node)
        if node["provision_state"] == "enroll" and walker.act("verify its BMC"):
            walker.go("manage", ("manageable",), "enrol")
        return outcome

    def _ports(self, act: Any, fresh: bool) -> None:
        """Have the declared NICs, and no others. ``fresh``: the node was just made."""
        there_are = () if fresh else self.api.ports(self.wanted.uuid)
        have = {str(port["address"]).lower(): port for port in there_are}
        wanted = {port.address: port for port in self.wanted.ports}
        for address in sorted(have.keys() - wanted.keys()):
            if act(f"forget the NIC {address}"):
                self.api.delete_port(str(have[address]["uuid"]))
        for address, port in wanted.items():
            body = port.body(self.wanted.uuid)
            if address not in have:
                # A server's own NICs go with its enrolment: no change of their own.
                if not self.walker.check:
                    self.api.create_port(body)
                continue
            there = have[address]
            patch = [
                {"op": "add", "path": f"/{key}", "value": body[key]}
                for key in ("pxe_enabled", "extra")
                if there.get(key) != body[key]
            ]
            if patch and act(f"change the NIC {address}"):
                self.api.patch_port(str(there["uuid"]), patch)

    # --- its hardware

    def inspected(self, again: bool = False) -> Outcome:
        """Its hardware is known to Ironic; a server in use is taken as it was seen before."""
        outcome, walker = self._begin(), self.walker
        node = self._known("inspect", outcome)
        if node is None:
            return outcome
        node = walker.settle("inspect", node)
        seen = node.get("inspection_finished_at") and not again
        if node["provision_state"] in IN_USE or (seen and node["provision_state"] not in FAILED):
            return outcome
        if seen and node["provision_state"] != "inspect failed":
            return outcome
        if not walker.act("inspect"):
            return outcome
        walker.manageable("inspect", node=node)
        walker.go("inspect", ("manageable",), "inspect")
        return outcome

    def configured(
        self, settings: Settings, reboot: bool = False, erase: bool = False, registry: Steps = ()
    ) -> Outcome:
        """BIOS and volumes are as declared.

        ``reboot``: a server in use may be restarted for it; ``erase``: one that had an operating system may lose
        its volumes.
        """
        outcome, walker = self._begin(), self.walker
        node = self._known("configure", outcome)
        if node is None:
            return outcome
        node = walker.settle("configure", node)
        comparison = compare_bios(settings.bios, self.api.bios(self.wanted.uuid), registry)
        if comparison.faults:
            raise Stuck("differs", "configure", str(node["provision_state"]), "; ".join(comparison.faults))
        steps: list[dict[str, Any]] = []
        words: list[str] = []
        if comparison.changes:
            wanted = [{"name": one.attribute, "value": one.declared} for one in comparison.changes]
            steps.append({"interface": "bios", "step": "apply_configuration", "args": {"settings": wanted}})
            words += [f"BIOS {one.attribute}: {one.current} → {one.declared}" for one in comparison.changes]
        in_use = node["provision_state"] in IN_USE
        volumes = settings.raid is not None and not same_volumes(settings.raid, node.get("raid_config") or {})
        if volumes and not in_use:
            if (node.get("extra") or {}).get("deployed") and not erase:
                outcome.notes.append("its volumes differ: making them anew erases it (server_reinstall_wipe)")
            else:
                steps += [
                    {"interface": "raid", "step": "delete_configuration"},
                    {"interface": "raid", "step": "create_configuration"},
                ]
                words.append("volumes " + volumes_text(settings.raid or {}))
        if not steps:
            return outcome
        if in_use and not reboot:
            outcome.notes.append(
                f"{len(words)} settings wait for a restart ({'; '.join(words)}): "
                "name the server in server_reboot_confirm"
            )
            return outcome
        for word in words:
            walker.act(word)
        if walker.check:
            return outcome
        if in_use:
            walker.go("service", ("active",), "configure", service_steps=steps)
        else:
            walker.manageable("configure")
            if volumes and settings.raid is not None:
                self.api.target_raid(self.wanted.uuid, settings.raid)
            walker.go("clean", ("manageable",), "configure", clean_steps=steps)
        left = compare_bios(settings.bios, self.api.bios(self.wanted.uuid), registry)
        if left.changes:
            words = [f"{one.attribute} is {one.current}, not {one.declared}" for one in left.changes]
            raise Stuck("differs", "configure", "manageable", f"{NOT_TAKEN}: " + "; ".join(words))
        return outcome

    # --- its operating system

    def deployed(
        self, target: Mapping[str, Any], drive: Mapping[str, Any], reinstall: bool = False
    ) -> Outcome:
        """The declared operating system is on its disk and it is on.

        ``target``: ``declared.deployment``; ``drive``: ``configdrive.configdrive``; ``reinstall``: one that has
        another may be written anew.
        """
        outcome, walker = self._begin(), self.walker
        node = self._known("deploy", outcome)
        if node is None:
            return outcome
        node = walker.awake("deploy", node)
        mark = self._mark(node)
        if node["provision_state"] in ("rescue", "rescue failed", "unrescue failed", "service failed"):
            raise Stuck("in use", "deploy", str(node["provision_state"]), str(node.get("last_error") or ""))
        if node["provision_state"] == "active":
            if mark.get("content") == target["rackwright"]["content"]:
                self._switch_on(node)
                return outcome
            if not reinstall:
                was = f"it has {mark.get('image', 'an image that is not ours')}"
                outcome.notes.append(
                    "needs a reinstallation to take effect: image, disk or first boot's settings are declared anew since "
                    f"({was}); name the server in server_reinstall_confirm and run playbooks/reinstall.yml"
                )
                return outcome
        if node["provision_state"] in TRANSIENT:  # check mode
            outcome.changes.append(f"wait: {node['provision_state']}")
            return outcome
        if walker.act("install " + str(target["rackwright"]["image"])):
            self._install(node, target, drive)
        return outcome

    def _install(self, node: Mapping[str, Any], target: Mapping[str, Any], drive: Mapping[str, Any]) -> None:
        """Write the disk and start from it, from any state but those in use by others."""
        walker = self.walker
        if node["provision_state"] not in ("active", "available", "deploy failed"):
            node = walker.manageable("deploy")
        walker.abandon("deploy", node)
        if node["provision_state"] == "manageable":
            node = walker.go("provide", ("available",), "deploy")
        # ``after`` tells a run that was cut off whether the request below was still made: see ``_mark``.
        mark = {**target["rackwright"], "after": node.get("provision_updated_at")}
        walker.add("/instance_info", {**target, "rackwright": mark})
        verb = "rebuild" if node["provision_state"] == "active" else "active"
        walker.go(verb, ("active",), "deploy", configdrive=dict(drive))
        self._mark(walker.must("deploy"))
        walker.add("/extra/deployed", target["rackwright"]["content"])

    def _mark(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """What is on the disk, as far as it is known; empty where it isn't.

        A mark with ``after`` was written before the request. If the node has changed its state since, the request
        was made and has ended well (it is active): the mark holds from now on.
        """
        mark = dict((node.get("instance_info") or {}).get("rackwright") or {})
        if node["provision_state"] != "active" or "after" not in mark:
            return mark
        if mark.pop("after") == node.get("provision_updated_at"):
            return {}
        if not self.walker.check:
            self.walker.add("/instance_info/rackwright", mark)
        return mark

    def _switch_on(self, node: Mapping[str, Any]) -> None:
        if node.get("power_state") == "power off" and self.walker.act("switch on"):
            self.walker.power("power on", "deploy")

    # --- its later life

    def reinstalled(
        self, target: Mapping[str, Any], drive: Mapping[str, Any], erase: str, confirmed: bool
    ) -> Outcome:
        """Its system disk is written anew, whatever is on it; ``erase`` (``ERASE``) says what of the disks goes first.

        A run that was cut off is finished by the next, and isn't begun anew by it: ``extra/pending`` says where it was.
        """
        outcome, walker = self._begin(), self.walker
        node = self._known("reinstall", outcome)
        if node is None:
            return outcome
        pending = dict((node.get("extra") or {}).get("pending") or {})
        if not pending:
            if not confirmed:
                raise Stuck("in use", "reinstall", str(node["provision_state"]), "it wasn't named for it")
            node = walker.awake("reinstall")
            pending = {"erase": erase, "after": node.get("provision_updated_at")}
            if walker.check:
                walker.act(f"install {target['rackwright']['image']} anew" + erase_text(erase))
                return outcome
            walker.add("/extra/pending", pending)
        node = walker.awake("reinstall")
        if pending["erase"] != "none" and not pending.get("erased"):
            walker.act("erase" + erase_text(pending["erase"]))
            self._erase(pending["erase"], "reinstall")
            pending["erased"] = True
            walker.add("/extra/pending", pending)
            node = walker.must("reinstall")
        done = node["provision_state"] == "active" and node.get("provision_updated_at") != pending["after"]
        walker.act(f"install {target['rackwright']['image']} anew")
        if not done:
            self._install(node, target, drive)
        walker.remove("/extra/pending")
        return outcome

    def _erase(self, erase: str, stage: str) -> None:
        """Erase the disks by the agent; the operating system that was there is lost."""
        self.walker.manageable(stage, confirmed=True)
        steps = [dict(step) for step in ERASE[erase]]
        if steps:
            self.walker.go("clean", ("manageable",), stage, clean_steps=steps)

    def retired(self, erase: str, confirmed: bool) -> Outcome:
        """Its disks are erased, it is off, and Ironic doesn't know it any more. ``none`` for one that is dead."""
        outcome, walker = self._begin(), self.walker
        node = walker.look()
        if node is None:
            return outcome
        if not confirmed:
            raise Stuck("in use", "retire", str(node["provision_state"]), "it wasn't named for it")
        if erase != "none":
            done = (node.get("extra") or {}).get("erased")
            if not done and walker.act("erase" + erase_text(erase)):
                self._erase(erase, "retire")
                walker.add("/extra/erased", erase)
            if walker.act("switch off"):
                walker.power("power off", "retire")
        if walker.act("take it out of Ironic"):
            walker.forget()
        return outcome

    def power(self, action: str) -> Outcome:
        """``on``, ``off`` (asks the operating system first), ``cycle`` (switches off and on again)."""
        outcome, walker = self._begin(), self.walker
        node = walker.must("power")
        if node["provision_state"] in TRANSIENT:
            raise Stuck(
                "power", "power", str(node["provision_state"]), "Ironic is working on it: wait for its end"
            )
        now = node.get("power_state")
        if action == "on" and now != "power on" and walker.act("switch on"):
            walker.power("power on", "power")
        if action == "off" and now != "power off" and walker.act("switch off"):
            try:
                walker.power("soft power off", "power")
            except Stuck:  # its operating system doesn't listen
                walker.power("power off", "power")
        if action == "cycle" and walker.act("switch off and on"):
            if now == "power on":
                walker.power("power off", "power")
            walker.power("power on", "power")
        return outcome

    def _known(self, stage: str, outcome: Outcome) -> Mapping[str, Any] | None:
        """The node; in check mode None for one that isn't enrolled yet, with a note of what would be done."""
        node = self.walker.look()
        if node is None and self.walker.check:
            outcome.changes.append(stage)
            return None
        return node or self.walker.must(stage)


def erase_text(erase: str) -> str:
    """What an erasure covers."""
    return {"metadata": ", the disks' tables erased", "secure": ", all disks erased"}.get(erase, "")


def volumes_text(raid: Mapping[str, Any]) -> str:
    """``RAID-1 447 GB``, … ."""
    disks = raid.get("logical_disks") or ()
    return ", ".join(f"RAID-{disk.get('raid_level')} {disk.get('size_gb')} GB" for disk in disks) or "none"


def same_volumes(wanted: Mapping[str, Any], have: Mapping[str, Any]) -> bool:
    """Whether the volumes that are there are those declared: level by level; a size only where one is declared, and
    nearly: a controller rounds to its stripes, and what it made would otherwise be made anew in every run.
    """
    mine = sorted(wanted.get("logical_disks") or (), key=_order)
    there = sorted(have.get("logical_disks") or (), key=_order)
    if len(mine) != len(there):
        return False
    return all(
        str(a.get("raid_level")) == str(b.get("raid_level"))
        and (a.get("size_gb") in (None, "MAX") or _nearly(a["size_gb"], b.get("size_gb") or 0))
        for a, b in zip(mine, there, strict=True)
    )


def _nearly(wanted: float, have: float) -> bool:
    return abs(wanted - have) <= max(1.0, VOLUME_TOLERANCE * wanted)


def _order(disk: Mapping[str, Any]) -> tuple[str, str]:
    return str(disk.get("raid_level")), str(disk.get("volume_name") or "")
