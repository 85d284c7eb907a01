"""The way of a server through Ironic's states: from each of them, cut off anywhere, and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from ironic_double import Double

from rackwright.derive.model import SiteModel
from rackwright.metal.configdrive import configdrive
from rackwright.metal.declared import Account, Image, Options, declare, deployment
from rackwright.metal.flow import Flow
from rackwright.metal.ironic import Ironic, IronicError
from rackwright.metal.settings import Settings
from rackwright.metal.walk import IN_USE, TRANSIENT, Limits, Stuck, Walker
from rackwright.paths import checkout
from rackwright.site import load_site

SETTINGS = Settings({"LogicalProc": "Enabled"}, None, "uefi", False, {})
RAID = {"logical_disks": [{"raid_level": "5", "size_gb": 2600, "is_root_volume": True}]}
OPTIONS = Options("http://10.40.3.11:8090")
IMAGE = Image("debian-13", "debian-13.raw", "a" * 64, 1 << 30, 4)


class Bench:
    """A server of the smallest site and the imitation of Ironic; ``flow()`` is a new run."""

    def __init__(self, model: SiteModel) -> None:
        self.model, self.node, self.api = model, model.node("r660-2"), Double()
        self.account = Account("root", "p" * 20)
        self.now = 0.0
        self.drive = configdrive(model, self.node, ["ssh-ed25519 AAAA engineer"])
        self.target = deployment(IMAGE, OPTIONS, SETTINGS, self.drive["user_data"])

    def flow(self, check: bool = False, **limits: float) -> Flow:
        def sleep(seconds: float) -> None:
            self.now += seconds

        wanted = declare(self.model, self.node, SETTINGS, self.account, OPTIONS)
        walker = Walker(
            cast(Ironic, self.api), wanted.uuid, Limits(**limits), check, sleep=sleep, clock=lambda: self.now
        )
        return Flow(walker, wanted)

    @property
    def state(self) -> dict[str, Any]:
        (node,) = self.api.known.values()
        return node

    def up(self) -> None:
        """Everything, up to the running operating system."""
        for stage in ("enrolled", "inspected"):
            getattr(self.flow(), stage)()
        self.flow().configured(SETTINGS)
        self.flow().deployed(self.target, self.drive)


@pytest.fixture(scope="module")
def model() -> SiteModel:
    return load_site(checkout() / "inventories" / "minimal")


@pytest.fixture
def bench(model: SiteModel) -> Bench:
    return Bench(model)


def test_from_nothing_to_a_running_server(bench: Bench) -> None:
    bench.up()
    assert bench.state["provision_state"] == "active"
    verbs = [word for word in bench.api.asked if word in ("manage", "inspect", "clean", "provide", "active")]
    assert verbs == ["manage", "inspect", "clean", "provide", "active"]
    assert set(bench.api.nics) == {"b0:7b:25:40:0c:01", "b8:3f:d2:40:0c:01", "b8:3f:d2:40:0c:02"}
    assert [mac for mac, nic in bench.api.nics.items() if nic["pxe_enabled"]] == ["b0:7b:25:40:0c:01"]


def test_a_second_run_asks_for_nothing(bench: Bench) -> None:
    bench.up()
    bench.api.asked.clear()
    outcomes = [
        bench.flow().enrolled(),
        bench.flow().inspected(),
        bench.flow().configured(SETTINGS),
        bench.flow().deployed(bench.target, bench.drive),
    ]
    assert [outcome.changes + outcome.notes for outcome in outcomes] == [[], [], [], []]
    assert bench.api.asked == []


@pytest.mark.parametrize(
    "state",
    ["verifying", "inspecting", "inspect wait", "cleaning", "clean wait", "deploying", "wait call-back"],
)
def test_cut_off_in_any_state_the_next_run_goes_on(bench: Bench, state: str) -> None:
    bench.api.cut_at = state
    with pytest.raises(KeyboardInterrupt):
        bench.up()
    bench.up()
    assert bench.state["provision_state"] == "active"
    assert bench.api.asked.count("active") == 1 and bench.api.asked.count("create") == 1
    bench.api.asked.clear()
    bench.up()
    assert bench.api.asked == []


@pytest.mark.parametrize(
    ("state", "failed", "again"),
    [
        ("verifying", "enroll", "manage"),
        ("inspect wait", "inspect failed", "inspect"),
        ("clean wait", "clean failed", "clean"),
        ("wait call-back", "deploy failed", "active"),
    ],
)
def test_a_failure_is_told_and_the_next_run_tries_again(
    bench: Bench, state: str, failed: str, again: str
) -> None:
    bench.api.break_at, bench.api.error = state, "Timeout reached while waiting for callback"
    with pytest.raises(Stuck) as caught:
        bench.up()
    assert (caught.value.kind, caught.value.state, caught.value.said) == ("failed", failed, bench.api.error)
    bench.up()
    assert bench.state["provision_state"] == "active" and not bench.state["maintenance"]
    assert bench.api.asked.count(again) == 2


def test_too_long_in_one_state_is_told_with_the_state(bench: Bench) -> None:
    bench.flow().enrolled()
    bench.state["provision_state"] = "inspect wait"
    with pytest.raises(Stuck) as caught:
        bench.flow(inspect=60).inspected()
    assert (caught.value.kind, caught.value.state) == ("limit", "inspect wait") and caught.value.seconds > 60


def test_another_image_needs_a_reinstallation_that_is_confirmed(bench: Bench) -> None:
    bench.up()
    bench.api.asked.clear()
    other = deployment(replace(IMAGE, sha256="b" * 64), OPTIONS, SETTINGS, bench.drive["user_data"])
    outcome = bench.flow().deployed(other, bench.drive)
    assert not outcome.changed and "needs a reinstallation" in outcome.notes[0] and bench.api.asked == []
    assert bench.flow().deployed(other, bench.drive, reinstall=True).changed
    assert "rebuild" in bench.api.asked
    assert not bench.flow().deployed(other, bench.drive).notes


def test_cut_off_between_the_mark_and_the_request_counts_as_not_installed(bench: Bench) -> None:
    bench.up()
    other = deployment(replace(IMAGE, sha256="b" * 64), OPTIONS, SETTINGS, bench.drive["user_data"])
    mark = {**other["rackwright"], "after": bench.state["provision_updated_at"]}
    bench.state["instance_info"] = {**other, "rackwright": mark}
    assert "needs a reinstallation" in bench.flow().deployed(other, bench.drive).notes[0]


def test_reinstalled_needs_its_name_and_goes_on_where_it_was_cut_off(bench: Bench) -> None:
    bench.up()
    with pytest.raises(Stuck, match="named"):
        bench.flow().reinstalled(bench.target, bench.drive, "secure", confirmed=False)
    bench.api.cut_at = "deploying"
    bench.api.asked.clear()
    with pytest.raises(KeyboardInterrupt):
        bench.flow().reinstalled(bench.target, bench.drive, "secure", confirmed=True)
    assert bench.flow().reinstalled(bench.target, bench.drive, "secure", confirmed=False).changed
    assert bench.api.asked.count("step deploy.erase_devices") == 1 and bench.api.asked.count("active") == 1
    assert bench.state["provision_state"] == "active" and "pending" not in bench.state["extra"]


def test_data_is_kept_where_nothing_is_to_be_erased(bench: Bench) -> None:
    bench.up()
    bench.api.asked.clear()
    bench.flow().reinstalled(bench.target, bench.drive, "none", confirmed=True)
    assert "rebuild" in bench.api.asked
    assert not {"deleted", "clean"} & set(bench.api.asked)


def test_retired_is_erased_switched_off_and_gone(bench: Bench) -> None:
    bench.up()
    bench.api.asked.clear()
    with pytest.raises(Stuck, match="named"):
        bench.flow().retired("secure", confirmed=False)
    bench.flow().retired("secure", confirmed=True)
    assert [w for w in bench.api.asked if not w.startswith("patch")] == [
        "deleted", "manage", "clean", "step deploy.erase_devices", "power off", "delete",
    ]  # fmt: skip
    assert bench.flow().retired("secure", confirmed=True).changes == []


def test_another_server_in_its_place_is_enrolled_anew(bench: Bench) -> None:
    bench.up()
    bench.node = replace(bench.node, service_tag="NEW1234")
    bench.api.asked.clear()
    outcome = bench.flow().enrolled()
    assert outcome.changes[0].startswith("forget KFSBGL4: the site has NEW1234")
    assert bench.api.asked.index("delete") < bench.api.asked.index("create")
    assert bench.state["provision_state"] == "manageable"


def test_another_nic_in_the_same_server_changes_that_port_alone(bench: Bench) -> None:
    bench.up()
    nics = tuple(
        replace(i, mac="b8:3f:d2:40:0c:99") if i.name == "ocp2" else i for i in bench.node.interfaces
    )
    bench.node = replace(bench.node, interfaces=nics)
    bench.api.asked.clear()
    bench.flow().enrolled()
    assert bench.api.asked == ["no port b8:3f:d2:40:0c:02", "port b8:3f:d2:40:0c:99"]


def test_a_new_password_is_told_to_ironic_and_its_seal_shows_nothing(bench: Bench) -> None:
    bench.up()
    bench.state["driver_info"]["redfish_password"] = "******"
    bench.api.asked.clear()
    assert bench.flow().enrolled().changes == []
    bench.account = Account("root", "q" * 20)
    assert bench.flow().enrolled().changes == ["change driver_info/redfish_password, extra/account"]
    assert "q" * 5 not in str(bench.state["extra"]) and "q" * 5 not in repr(bench.account)


def test_settings_wait_for_a_confirmed_restart_on_a_server_in_use(bench: Bench) -> None:
    bench.up()
    bench.api.attributes["LogicalProc"] = "Disabled"
    bench.api.asked.clear()
    outcome = bench.flow().configured(SETTINGS)
    assert not outcome.changed and "server_reboot_confirm" in outcome.notes[0] and bench.api.asked == []
    assert bench.flow().configured(SETTINGS, reboot=True).changes == ["BIOS LogicalProc: Disabled → Enabled"]
    assert bench.api.asked == ["service", "step bios.apply_configuration"]


def test_volumes_are_made_once_and_not_over_data(bench: Bench) -> None:
    settings = replace(SETTINGS, raid=RAID)
    for stage in ("enrolled", "inspected"):
        getattr(bench.flow(), stage)()
    assert bench.flow().configured(settings).changes[-1] == "volumes RAID-5 2600 GB"
    assert bench.flow().configured(settings).changes == []
    # A controller rounds to its stripes.
    (made,) = bench.state["raid_config"]["logical_disks"]
    bench.state["raid_config"] = {"logical_disks": [{**made, "size_gb": 2599}]}
    assert bench.flow().configured(settings).changes == []
    bench.state["raid_config"] = {"logical_disks": [{**made, "size_gb": 1300}]}
    assert bench.flow(check=True).configured(settings).changed
    bench.state["extra"]["deployed"] = "content"
    bench.state["raid_config"] = {}
    assert "erases" in bench.flow().configured(settings).notes[0]
    assert bench.flow().configured(settings, erase=True).changed


def test_a_person_s_maintenance_is_respected(bench: Bench) -> None:
    bench.flow().enrolled()
    bench.state.update(maintenance=True, maintenance_reason="fan is being changed", fault=None)
    with pytest.raises(Stuck, match="fan is being changed"):
        bench.flow().inspected()


@pytest.mark.parametrize("state", sorted(IN_USE - {"active"}))
def test_what_somebody_else_is_at_is_left_alone(bench: Bench, state: str) -> None:
    bench.up()
    bench.state["provision_state"] = state
    bench.api.asked.clear()
    with pytest.raises(Stuck) as caught:
        bench.flow().deployed(bench.target, bench.drive)
    assert caught.value.kind == "in use" and bench.api.asked == []


def test_check_mode_asks_for_nothing(bench: Bench) -> None:
    assert bench.flow(check=True).enrolled().changes == ["enrol"]
    assert bench.flow(check=True).inspected().changes == ["inspect"]
    assert bench.flow(check=True).deployed(bench.target, bench.drive).changes == ["deploy"]
    assert bench.api.asked == []
    bench.flow().enrolled()
    bench.api.asked.clear()
    for state in ["manageable", *sorted(TRANSIENT)]:
        bench.state["provision_state"] = state
        assert bench.flow(check=True).deployed(bench.target, bench.drive).changed
    assert bench.api.asked == []


def test_power_is_switched_only_where_it_isn_t_so_already(bench: Bench) -> None:
    bench.up()
    bench.api.asked.clear()
    assert bench.flow().power("on").changes == []
    assert bench.flow().power("off").changes == ["switch off"]
    assert bench.flow().power("off").changes == []
    assert bench.flow().deployed(bench.target, bench.drive).changes == ["switch on"]
    bench.flow().power("cycle")
    assert bench.api.asked == ["soft power off", "power on", "power off", "power on"]


def test_a_request_whose_answer_was_lost_counts_when_ironic_is_at_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.flow().enrolled()
    asked = bench.api.provision

    def lost(ident: str, verb: str, **more: Any) -> None:
        asked(ident, verb, **more)
        raise IronicError(409, "Node x is locked by host e", "PUT /v1/nodes/x/states/provision")

    monkeypatch.setattr(bench.api, "provision", lost)
    assert bench.flow().inspected().changed
    monkeypatch.setattr(bench.api, "node", lambda ident, fields=(): {"provision_state": "manageable"})
    with pytest.raises(IronicError, match="locked"):
        bench.flow().walker.go("inspect", ("manageable",), "inspect")


def test_a_reason_that_comes_after_the_state_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.flow().enrolled()
    words = ["", "", "timeout reached while inspecting the node"]

    def look(ident: str, fields: Any = ()) -> dict[str, Any]:
        return {"provision_state": "inspect failed", "last_error": words.pop(0)}

    monkeypatch.setattr(bench.api, "provision", lambda *more, **others: None)
    monkeypatch.setattr(bench.api, "node", look)
    with pytest.raises(Stuck) as caught:
        bench.flow().walker.go("inspect", ("manageable",), "inspect")
    assert caught.value.said == "timeout reached while inspecting the node" and not words


@pytest.mark.parametrize(
    ("state", "known", "off"),
    [
        ("clean failed", {}, True),
        ("manageable", {"agent_last_heartbeat": "2026-11-24T02:46:30.100000"}, True),
        (
            "manageable",
            {"agent_last_heartbeat": "2026-11-24T02:46:30.100000", "agent_url": "https://10.40.3.12:9999"},
            False,
        ),
        (
            "manageable",
            {"agent_last_heartbeat": "2026-11-24T02:40:00.100000"},
            False,
        ),  # before its inspection
        ("manageable", {}, False),
    ],
)
def test_what_a_failure_left_running_is_switched_off(
    bench: Bench, state: str, known: dict[str, str], off: bool
) -> None:
    bench.flow().enrolled()
    node = bench.api.known[declare_uuid(bench)]
    node |= {
        "provision_state": state, "power_state": "power on", "driver_internal_info": known,
        "inspection_finished_at": "2026-11-24T02:45:00+00:00",
    }  # fmt: skip
    bench.api.asked.clear()
    bench.flow().walker.manageable("configure")
    assert ("power off" in bench.api.asked) is off


def declare_uuid(bench: Bench) -> str:
    """The only node that there is."""
    (uuid,) = bench.api.known
    return str(uuid)
