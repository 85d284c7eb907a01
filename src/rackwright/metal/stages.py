"""The stages of one server as a task runs them: everything gathered, the flow led, failures explained."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.errors import RunFailure, UsageError
from rackwright.metal import conformance, hostkeys
from rackwright.metal import settings as declared_settings
from rackwright.metal.collected import Collected, folder_of, keep
from rackwright.metal.configdrive import configdrive
from rackwright.metal.conformance import Severity
from rackwright.metal.credentials import Credentials, Entry, Vault
from rackwright.metal.declared import Account, Image, Options, declare, deployment, node_uuid
from rackwright.metal.diagnose import Problem, Seen, explain
from rackwright.metal.flow import Flow
from rackwright.metal.ironic import Ironic, IronicError
from rackwright.metal.storage import cloud_config
from rackwright.metal.walk import Limits, Outcome, Say, Stuck, Walker, silent

Ask = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""Runs a module on the head: its name, its arguments; the result."""

STAGES = ("claimed", "enrolled", "inspected", "configured", "deployed", "reinstalled", "retired", "power")


@dataclass(frozen=True)
class Given:
    """What the role's variables say, as they are for this server. Names are those of ``roles/server``, without
    ``server_``; ``factory``: user and password that BMCs were delivered with; ``head``: what was read there
    (``password``, ``ca``, ``images``: empty where it isn't there yet).
    """

    url: str
    files: str
    credentials_file: str
    known_hosts_file: str
    head: Mapping[str, str]
    user: str = "rackwright"
    factory: Mapping[str, str] = field(default_factory=dict)
    driver: str = "redfish"
    boot_interface: str = "ipxe"
    conductor_groups: bool = False
    authorized_keys: Sequence[str] = ()
    bios: Mapping[str, str] = field(default_factory=dict)
    raid_level: str = ""
    conformance: str = "block"
    accepted: Mapping[str, str] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    firmware: Mapping[str, str] = field(default_factory=dict)
    rotate: Sequence[str] = ()
    reboot_confirm: Sequence[str] = ()
    reinstall_confirm: Sequence[str] = ()
    retire_confirm: Sequence[str] = ()
    reinstall_wipe: str = "none"
    retire_erase: str = "secure"
    power_action: str = "on"
    limits: Limits = field(default_factory=Limits)


@dataclass
class Server:
    """One server and one run. ``ask`` runs modules on the head; ``vault`` opens the file of passwords."""

    model: SiteModel
    node: Node
    given: Given
    vault: Vault | None
    ask: Ask
    say: Say = silent
    check: bool = False
    sleep: Callable[[float], None] | None = None

    def perform(self, stage: str) -> dict[str, Any]:
        """One stage: ``changed``, ``changes``, ``notes``. Raises RunFailure with all that a person needs."""
        if stage != "claimed" and not self.given.head.get("password"):
            if self.check:
                return {"changed": True, "changes": [stage], "notes": ["Ironic isn't on the head yet"]}
            raise RunFailure(
                what=f"reach Ironic ({stage})",
                where=self.model.head.name,
                evidence="/etc/rackwright/ironic/password isn't there",
                cause="the role ironic has not run on the head",
                next_command=f"ansible-playbook -i {self.model.path} playbooks/provision.yml",
            )
        try:
            outcome = self._perform(stage)
        except Stuck as stuck:
            raise explain(Problem(self.node, stuck, self._seen(stuck)), self.model.path) from None
        except IronicError as error:
            if error.status in (0, 502, 503, 504):
                raise RunFailure(
                    what=f"reach Ironic ({stage} of {self.node.name})",
                    where=f"{self.model.head.name}, {self.given.url}",
                    evidence=str(error),
                    cause="Ironic, or the server in front of it, does not run or has no time",
                    next_command=f"on {self.model.head.name}: systemctl status rackwright-ironic nginx; then the same again",
                ) from None
            refused = Stuck("failed", stage, "unknown", str(error))
            raise explain(Problem(self.node, refused, Seen()), self.model.path) from None
        except ValueError as error:
            raise UsageError(f"{self.node.name}: {error}") from None
        return {"changed": outcome.changed, "changes": outcome.changes, "notes": outcome.notes}

    def _perform(self, stage: str) -> Outcome:
        given = self.given
        name = self.node.name
        if stage == "claimed":
            return self._claim()
        with_images = stage in ("deployed", "reinstalled")
        api = Ironic(given.url, given.user, given.head["password"], given.head["ca"])
        try:
            inventory = api.inventory(node_uuid(self.node)) if stage in ("configured", *LATER) else None
            settings = declared_settings.declared(
                self.model, self.node, given.bios, given.raid_level or None, inventory
            )
            options = Options(
                given.files, _driver(given.driver), given.boot_interface, given.conductor_groups
            )
            wanted = declare(self.model, self.node, settings, self._account(), options)
            walker = Walker(api, wanted.uuid, given.limits, self.check, self.say)
            if self.sleep is not None:
                walker = Walker(api, wanted.uuid, given.limits, self.check, self.say, sleep=self.sleep)
            flow = Flow(walker, wanted)
            if with_images:
                image = Image.pick(json.loads(given.head["images"] or "[]"), self.model.distribution)
                more = cloud_config(declared_settings.profile_of(self.model, self.node))
                drive = configdrive(self.model, self.node, given.authorized_keys, given.head["ca"], more)
                target = deployment(image, options, settings, drive["user_data"])
            match stage:
                case "enrolled":
                    return flow.enrolled()
                case "inspected":
                    outcome = flow.inspected()
                    return self._conform(api, wanted.uuid, outcome)
                case "configured":
                    erase = name in given.reinstall_confirm and given.reinstall_wipe != "none"
                    registry = api.bios_registry(wanted.uuid)
                    return flow.configured(settings, name in given.reboot_confirm, erase, registry)
                case "deployed":
                    return self._booted(flow.deployed(target, drive, name in given.reinstall_confirm))
                case "reinstalled":
                    confirmed = name in given.reinstall_confirm
                    return self._booted(flow.reinstalled(target, drive, given.reinstall_wipe, confirmed))
                case "retired":
                    return flow.retired(given.retire_erase, name in given.retire_confirm)
                case "power":
                    return flow.power(given.power_action)
            raise UsageError(f"no stage is called {stage!r}", f"the stages are: {', '.join(STAGES)}")
        finally:
            api.close()

    # --- its BMC

    def _credentials(self) -> Credentials:
        return Credentials(Path(self.given.credentials_file).expanduser(), self.vault)

    def _account(self) -> Account:
        """What Ironic logs in with; a stand-in where nothing was claimed, as in check mode."""
        entry = self._credentials().get(self.node.name) or Entry("root")
        return Account(entry.user, entry.current or entry.pending)

    def _claim(self) -> Outcome:
        """Its BMC has a certificate of the site and a password of its own."""
        given, node, store = self.given, self.node, self._credentials()
        user = str(given.factory.get("user") or "root")
        if self.check:
            entry = store.get(node.name) or Entry(user)
        else:
            entry = store.pend(node.name, user, node.service_tag, node.name in given.rotate)
        password = entry.pending or entry.current
        result = self.ask(
            "rackwright_bmc",
            {
                "operation": "claim",
                "address": str(node.bmc.address),
                "names": [f"{node.name}-bmc.{self.model.domain}"],
                "service_tag": node.service_tag,
                "user": entry.user,
                "password": password,
                "others": [word for word in (entry.current,) if word and word != password],
                "factory_password": str(given.factory.get("password") or ""),
            },
        )
        if result.get("failed") or result.get("unreachable"):
            said = str(result.get("msg") or "the module gave no reason")
            if result.get("fault") == "identity":
                said += self._whose(said)
            raise Stuck("failed", "claim", str(result.get("fault") or "unknown"), said)
        if not self.check:
            store.settle(node.name, password)
        return Outcome(list(result.get("changes") or ()))

    def _whose(self, said: str) -> str:
        """Whose service tag it is, if it is one of the site's."""
        for other in self.model.nodes:
            if other.name != self.node.name and other.service_tag in said:
                return f", which the site calls {other.name} (rack {other.rack}, unit {other.unit})"
        return f"; the site file says {self.node.service_tag}"

    # --- its hardware

    def _conform(self, api: Ironic, uuid: str, outcome: Outcome) -> Outcome:
        """Compare what was found with what was ordered; what blocks ends the stage."""
        if self.given.conformance == "off":
            return outcome
        inventory = api.inventory(uuid)
        if inventory is None:
            return outcome
        entry = self._credentials().get(self.node.name) or Entry("root")
        answer = self.ask(
            "rackwright_bmc",
            {
                "operation": "hardware",
                "address": str(self.node.bmc.address),
                "user": entry.user,
                "password": entry.current,
                "patience": 10,
            },
        )
        seen = Collected(inventory, tuple(api.firmware(uuid)), answer.get("stated") or {})
        if not self.check:
            keep(folder_of(self.model), self.node.name, seen)
        differences = conformance.compare(
            self.model,
            self.node,
            seen.inventory,
            seen.components,
            seen.stated,
            dict(self.given.accepted),
            dict(self.given.severity),
            dict(self.given.firmware),
        )
        text = conformance.table(differences)
        if self.given.conformance == "block" and any(one.blocks for one in differences):
            raise RunFailure(
                what="compare its hardware with the order",
                where=f"{self.node.name} (rack {self.node.rack}, unit {self.node.unit})",
                evidence=text.strip().replace("\n", "\n            "),
                cause="the server isn't as its profile says: something is missing, unplugged or broken, or was "
                "delivered differently",
                next_command="the hint below each line; to take it as it is: server_accepted with the check's name\n"
                f"            then: ansible-playbook -i {self.model.path} playbooks/provision.yml "
                f"-e provision_servers={self.node.name}",
            )
        if text:
            outcome.notes.append("hardware differs:\n" + text)
        return outcome

    # --- its operating system

    def _booted(self, outcome: Outcome) -> Outcome:
        """Wait for the ssh of a server that was installed, and write its key down."""
        file = Path(self.given.known_hosts_file).expanduser()
        if self.check or outcome.notes or (not outcome.changed and hostkeys.known(self.node, file)):
            return outcome
        if outcome.changed and all(change == "switch on" for change in outcome.changes):
            return outcome
        hostkeys.record(self.node, file, self.given.limits.boot, self.say)
        return outcome

    # --- evidence

    def _seen(self, stuck: Stuck) -> Seen:
        """What the head's services and the BMC saw; nothing of it is needed, so what fails is left out."""
        if stuck.kind in ("in use", "maintenance"):
            return Seen()
        seen = Seen()
        # What its other ports ask is a stranger's question: none of them is cabled to where servers boot from.
        macs = [port.mac for port in self.node.interfaces if port.network == "oob"]
        addresses = [str(i.address.ip) for i in self.node.interfaces if i.network == "oob" and i.address]
        if stuck.stage != "claim":
            entry = self._credentials().get(self.node.name) or Entry("root")
            since = int(stuck.seconds) + 1800
            found = self._try(
                "rackwright_boot_evidence", {"macs": macs, "addresses": addresses, "seconds": since}
            )
            seen = replace(
                seen,
                dhcp=found.get("dhcp") or (),
                tftp=found.get("tftp") or (),
                http=found.get("http") or (),
                strangers=self._strangers(found.get("strangers") or {}, entry),
                looked=bool(found.get("looked")),
            )
            looked = self._try("rackwright_bmc", self._bmc("look", entry))
            failed = bool(looked.get("failed"))
            fault = str(looked.get("msg") or "") if failed else ""
            seen = replace(seen, bmc={} if failed else looked, bmc_fault=fault, history=self._history())
        return seen

    def _strangers(self, lines: Mapping[str, str], entry: Entry) -> tuple[str, ...]:
        """Lines about MACs that may be this server's: its other ports', those that its BMC tells of; where the BMC tells
        nothing, those that the site doesn't have. What another server asks is that one's.
        """
        mine = {port.mac.lower() for port in self.node.interfaces if port.network != "oob"}
        known = {port.mac.lower() for node in self.model.nodes for port in node.interfaces}
        known |= {node.bmc.mac.lower() for node in self.model.nodes}
        foreign = {mac.lower() for mac in lines} - known
        if foreign:
            told = self._try("rackwright_bmc", self._bmc("hardware", entry)).get("stated")
            macs = (
                set(re.findall(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b", json.dumps(told).lower()))
                if told
                else foreign
            )
            mine |= foreign & macs
        return tuple(line for mac, line in lines.items() if mac.lower() in mine)

    def _bmc(self, operation: str, entry: Entry) -> dict[str, Any]:
        """What the module is told to ask its BMC, in a few seconds."""
        return {
            "operation": operation,
            "address": str(self.node.bmc.address),
            "user": entry.user,
            "password": entry.current,
            "patience": 5,
        }

    def _history(self) -> tuple[str, ...]:
        try:
            given = self.given
            api = Ironic(given.url, given.user, given.head["password"], given.head["ca"], busy=5)
            try:
                events = api.history(node_uuid(self.node))
            finally:
                api.close()
        except IronicError:
            return ()
        return tuple(str(one.get("event")) for one in events if one.get("severity") == "ERROR")

    def _try(self, module: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        try:
            result = self.ask(module, arguments)
            # A head that can't be reached says nothing of the server.
            return {} if result.get("unreachable") else result
        except Exception as error:  # evidence of a failure must not become another one
            return {"failed": True, "msg": str(error).splitlines()[0] if str(error) else ""}


LATER = ("deployed", "reinstalled")


def _driver(name: str) -> Any:
    if name not in ("redfish", "idrac", "fake-hardware"):
        raise UsageError(f"no driver is called {name!r}", "server_driver: redfish or idrac")
    return name


def as_facts(failure: RunFailure) -> dict[str, str]:
    """The parts of a failure, for whoever puts several together."""
    keys = ("what", "where", "evidence", "cause", "next_command")
    return {key: str(getattr(failure, key)) for key in keys}


def limits_of(variables: Mapping[str, Any]) -> Limits:
    """Limits from the role's variables: ``server_inspect_limit`` and so on, seconds."""
    known = asdict(Limits())
    said = {key: variables.get(f"server_{key}_limit") for key in known}
    return Limits(**{key: float(value) for key, value in said.items() if value is not None})
