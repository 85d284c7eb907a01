"""One rack for the session: a server for each fault that is asked for, and some beside them that have none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import own_machine
import pytest
from certs import agents_certificate
from chain import Case, Lane, Rack
from fault_cases import BESIDE, CASES, PLAYED
from head_double import Head, programs
from metal_site import site_of

PAIR = ("raid-stuck", "raid-beside")


class Rehearsed:
    """The rack after its two runs: with the faults, and again without them."""

    def __init__(self, rack: Rack) -> None:
        self.rack = rack

    def lane(self, name: str) -> Lane:
        return self.rack.lanes[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where there is no root, nothing of this can run; say so once instead of failing oddly."""
    if os.geteuid() != 0 and any("rehearsed" in getattr(item, "fixturenames", ()) for item in items):
        pytest.exit("these tests need root: they make a network and mounts of their own", 2)


@pytest.fixture(scope="session")
def rehearsed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsed]:
    """Both runs of all servers that the selected tests ask for."""
    programs()  # over the machine's own network
    folder = tmp_path_factory.mktemp("metal")
    asked = {
        item.callspec.params["name"] if hasattr(item, "callspec") else ""
        for item in request.session.items
        if "rehearsed" in getattr(item, "fixturenames", ())
    }
    wanted = asked | set((*BESIDE, *PLAYED) if "" in asked else ())
    workers = [
        name
        for name in (*CASES, "beside-1", "beside-2", *PLAYED)
        if name not in PAIR and name in wanted | {"beside-1"}
    ]
    own_machine.enter("10.40.0.0/16")
    model = site_of(folder / "site", workers, PAIR)
    head, rack = Head(model), None
    try:
        head.start()
        boot = [
            str(one.address.ip)
            for node in model.nodes
            for one in node.interfaces
            if one.network == "oob" and one.address
        ]
        rack = Rack(head, folder, agents_certificate(folder / "agents.pem", boot))
        lanes = [rack.lanes[name] for name in (*workers, *PAIR) if name in wanted - set(PLAYED)]
        rack.all(lambda lane: first_run(lane, CASES.get(lane.node.name)), lanes)
        rack.all(lambda lane: second_run(lane, CASES.get(lane.node.name)), lanes)
        yield Rehearsed(rack)
    finally:
        if rack:
            rack.close()
        head.stop()
        keep_logs(folder / "logs")


def first_run(lane: Lane, case: Case | None) -> None:
    """The run that meets the fault, which comes right before the stage where it shows."""
    lane.run({case.stage: case.begin} if case else {})


def second_run(lane: Lane, case: Case | None) -> None:
    """The same again, after the fault was mended."""
    if case:
        case.heal(lane)
    lane.run({})


def keep_logs(folder: Path) -> None:
    """What a failing test is looked into with."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in ("/var/log/ironic/ironic.log", "/var/log/nginx/access.log", "/var/log/dnsmasq.journal"):
        if Path(path).exists():
            (folder / Path(path).name).write_bytes(Path(path).read_bytes())
