"""Each fault through the whole chain: what a person is told, and that the same run goes on once it is mended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent_double import AgentSettings
from chain import WAY
from conftest import Rehearsed
from fault_cases import BESIDE, CASES, DIAGNOSED, OVERCOME, RAID
from host_double import Behaviour

pytestmark = pytest.mark.metal


@pytest.mark.parametrize("name", [case.name for case in (*DIAGNOSED, *RAID)])
def test_fault_is_named_and_the_same_run_goes_on_when_it_is_mended(rehearsed: Rehearsed, name: str) -> None:
    case, lane = CASES[name], rehearsed.lane(name)
    first, second = lane.runs[:2]
    assert first.failure is not None, f"nothing was told; it is {first.state}"
    told = first.failure
    print(told)
    assert first.stage == case.stage
    assert told.what.endswith(f"({case.named})" if case.named else "compare its hardware with the order")
    assert told.where.startswith(f"{name} (rack {lane.node.rack}, unit {lane.node.unit}")
    assert all(word in told.evidence for word in case.said)
    assert told.cause and name in told.next_command
    assert second.failure is None, f"after it was mended: {second.failure}"
    assert second.state == "active"
    assert list(second.done) == list(WAY)


@pytest.mark.parametrize("name", [case.name for case in OVERCOME])
def test_what_passes_by_itself_is_waited_for(rehearsed: Rehearsed, name: str) -> None:
    first, second = rehearsed.lane(name).runs[:2]
    assert first.failure is None
    assert (first.state, second.changed) == ("active", False)


@pytest.mark.parametrize("name", BESIDE)
def test_servers_beside_were_not_held_up_and_are_left_alone_by_the_next_run(
    rehearsed: Rehearsed, name: str
) -> None:
    """They came to their end while every fault was on: none is mended before all first runs are over."""
    first, second = rehearsed.lane(name).runs[:2]
    assert first.failure is None
    assert first.state == second.state == "active"
    assert first.changed and not second.changed
    assert first.resets == second.resets > 0


def test_what_changed_of_the_first_boot_waits_for_a_reinstallation(rehearsed: Rehearsed) -> None:
    lane = rehearsed.lane("beside-2")
    before = dict(lane.host.disk)
    lane.given = replace(
        lane.given, authorized_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNvbWVib2R5IG5ldw new",)
    )
    run = lane.run({})
    (note,) = run.done["deployed"]["notes"]
    assert "needs a reinstallation to take effect" in note and "playbooks/reinstall.yml" in note
    assert not run.changed and lane.host.disk == before
    unnamed = lane.run({}, ("reinstalled",))
    assert unnamed.failure is not None and "(not named)" in unnamed.failure.what
    assert '{"server_reinstall_confirm": ["beside-2"]}' in unnamed.failure.next_command
    lane.given = replace(lane.given, reinstall_confirm=("beside-2",), reinstall_wipe="metadata")
    words = "Error erasing block device: Failed to erase the metadata on the device(s): /dev/nvme0n1: Input/output error"
    fails = {"erase_devices_metadata": ("BlockDeviceEraseError", words)}
    lane.host.behaviour = Behaviour(agent=AgentSettings(fails=fails))
    failed = lane.run({}, ("reinstalled",))
    assert failed.failure is not None
    print(failed.failure)
    assert "(erasing failed)" in failed.failure.what and "Input/output error" in failed.failure.evidence
    lane.host.behaviour = Behaviour()
    again = lane.run({}, ("reinstalled",))
    assert again.failure is None and again.state == "active"
    assert lane.host.disk["configdrive"] != before["configdrive"]
    assert not lane.run({}).done["deployed"]["notes"]


def test_a_system_that_does_not_listen_is_switched_off_hard(rehearsed: Rehearsed) -> None:
    lane = rehearsed.lane("beside-1")
    lane.bmc.faults.set({"graceful_ignored": {}})
    lane.given = replace(lane.given, power_action="off")
    run = lane.run({}, ("power",))
    assert run.failure is None
    assert [one["type"] for one in lane.events("reset")][-2:] == ["GracefulShutdown", "ForceOff"]
    lane.bmc.faults.set({})
    lane.given = replace(lane.given, power_action="on")
    assert lane.run({}, ("power",)).failure is None
