"""Servers on their way through the stages of ``playbooks/provision.yml``, and what a person was told of each."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib, VaultSecret
from head_double import IMAGE, JOURNAL, Head, module
from host_double import Host

from rackwright.catalog import builtin
from rackwright.derive.model import Node
from rackwright.errors import RunFailure
from rackwright.lab.bmc import BmcConfig, BmcServer, boot
from rackwright.metal.credentials import Credentials
from rackwright.metal.declared import node_uuid
from rackwright.metal.stages import Given, Server
from rackwright.metal.walk import Limits

WAY = ("claimed", "enrolled", "inspected", "configured", "deployed")
FACTORY = {"user": "root", "password": "of-the-factory-1"}
VAULT_PASSWORD = b"the-vault-s-own-word"
LIMITS = Limits(enrol=120, inspect=240, clean=240, deploy=240, power=60, boot=60, look=1)
IMAGES = [
    {
        "name": "debian-13", "file": "images/debian-13.raw", "sha256": hashlib.sha256(IMAGE).hexdigest(),
        "size": len(IMAGE), "min_disk_gb": 4,
    }
]  # fmt: skip


@dataclass
class Run:
    """What came of one run: stage → what was done; where it failed; how long it took; its BMC's resets so far."""

    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: RunFailure | None = None
    stage: str = ""
    seconds: float = 0.0
    resets: int = 0
    state: str = ""

    @property
    def changed(self) -> bool:
        return any(one["changed"] for one in self.done.values())


class Lane:
    """One server: its BMC, its host, and what the role's variables say of it."""

    def __init__(self, head: Head, node: Node, folder: Path, bmc: BmcServer, host: Host) -> None:
        self.head, self.node, self.folder, self.server, self.host = head, node, folder, bmc, host
        self.bmc = bmc.bmcs[node.name]
        self.runs: list[Run] = []
        self.said: list[str] = []
        self.given = Given(
            head.url, head.files, str(folder / "bmc.vault.yml"), str(folder / "known_hosts"),
            {"password": head.secret("password"), "ca": head.authority.read_text(), "images": json.dumps(IMAGES)},
            factory=FACTORY, limits=LIMITS,
        )  # fmt: skip
        self.vault = VaultLib([("default", VaultSecret(VAULT_PASSWORD))])

    @property
    def store(self) -> Credentials:
        return Credentials(Path(self.given.credentials_file), self.vault)

    @property
    def uuid(self) -> str:
        """Its name in Ironic's log."""
        return node_uuid(self.node)

    def limits(self, **seconds: float) -> None:
        """Other limits than usual."""
        self.given = replace(self.given, limits=replace(LIMITS, **seconds))

    def ask(self, name: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        """A module on the head; a BMC that doesn't answer is asked again for a shorter time than on site."""
        if name == "rackwright_bmc":
            arguments = {**arguments, "patience": min(int(arguments.get("patience", 60)), 30)}
        return module(name, arguments)

    def perform(self, stage: str) -> dict[str, Any]:
        """One stage, as the action plugin runs it."""
        return Server(self.head.model, self.node, self.given, self.vault, self.ask, self.said.append).perform(
            stage
        )

    def run(self, before: Mapping[str, Callable[[Lane], None]], stages: tuple[str, ...] = WAY) -> Run:
        """One run of the playbook for this server; ``before``: what happens right before a stage."""
        run, begin = Run(), time.monotonic()
        try:
            for stage in stages:
                run.stage = stage
                before.get(stage, lambda lane: None)(self)
                run.done[stage] = self.perform(stage)
        except RunFailure as failure:
            run.failure = failure
        run.seconds = time.monotonic() - begin
        run.resets = len(self.events("reset"))
        run.state = self.state()
        self.runs.append(run)
        what = run.failure.what if run.failure else run.state
        with (self.folder.parent / "runs.log").open("a", encoding="utf-8") as log:
            log.write(
                f"{time.strftime('%T')} {self.node.name}, run {len(self.runs)}: {run.stage}, {run.seconds:.0f} s: {what}\n"
            )
        return run

    def state(self) -> str:
        """What Ironic has it in."""
        api = self.head.api()
        try:
            node = api.node(self.node.name, ("provision_state",))
        finally:
            api.close()
        return str(node["provision_state"]) if node else "unknown"

    def bmc_options(self) -> dict[str, dict[str, str]]:
        """The BMC's boot options."""
        return boot.options(self.bmc)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of the BMC's own log."""
        return [one for one in self.bmc.events.read() if one["event"] == name]


@dataclass(frozen=True)
class Case:
    """A fault: how it comes (right before ``stage``), how it goes, and what is told of it.

    ``name`` is also its server's; ``named`` the diagnosis; ``said`` are words of the evidence.
    """

    name: str
    named: str
    stage: str
    said: tuple[str, ...]
    begin: Callable[[Lane], None]
    heal: Callable[[Lane], None]


class Rack:
    """All lanes of a session, each in a thread of its own."""

    def __init__(self, head: Head, folder: Path, certificate: Path) -> None:
        self.head, self.lanes = head, {}  # type: Head, dict[str, Lane]
        nodes = [node for node in head.model.nodes if not node.is_head]
        configs = [_config(node, folder) for node in nodes]
        self.server = BmcServer(*configs)
        self.server.start()
        for node in nodes:
            own = folder / node.name
            own.mkdir(exist_ok=True)
            host = Host(node, self.server.bmcs[node.name], JOURNAL, certificate, head.authority)
            self.lanes[node.name] = Lane(head, node, own, self.server, host)

    def close(self) -> None:
        for lane in self.lanes.values():
            lane.host.close()
        self.server.stop()

    def all(self, work: Callable[[Lane], object], lanes: list[Lane]) -> None:
        """Do it for all of them at a time; an error of the test itself comes out here."""
        wrong: list[BaseException] = []

        def one(lane: Lane) -> None:
            try:
                work(lane)
            except BaseException as error:
                wrong.append(error)

        threads = [
            threading.Thread(target=one, args=(lane,), name=f"lane-{lane.node.name}") for lane in lanes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]


def _config(node: Node, folder: Path) -> BmcConfig:
    ports = {port.interface: name for name, port in builtin().servers[node.profile].ports.items()}
    macs = {ports.get(one.name, one.name): one.mac for one in node.interfaces if one.kind == "physical"}
    return BmcConfig(
        name=node.name,
        service_tag=node.service_tag,
        state_dir=folder / node.name / "bmc",
        address=str(node.bmc.address),
        mac=node.bmc.mac,
        model=node.product,
        profile=node.profile,
        factory=FACTORY,
        hardware={"macs": macs},
        timing={"job": 1, "manager_reset": 1},
    )
