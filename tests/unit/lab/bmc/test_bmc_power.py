"""Power, boot override and BIOS jobs of the virtual BMC."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bmc_client import MANAGER, SYSTEM, Answer, Client, Make

from rackwright.lab.bmc.boot import plan

RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"


def reset(client: Client, kind: str) -> Answer:
    return client("POST", RESET, {"ResetType": kind})


def test_power_on_off_and_what_does_not_fit(bmc_of: Make) -> None:
    _, client = bmc_of()
    assert client("GET", SYSTEM).body["PowerState"] == "Off"
    assert reset(client, "ForceOff").status == 409
    assert reset(client, "On").status == 204
    assert client("GET", SYSTEM).body["PowerState"] == "On"
    refused = reset(client, "On")
    assert (refused.status, refused.message_id) == (409, "PSU501")
    assert reset(client, "GracefulShutdown").status == 204
    assert client("GET", SYSTEM).body["PowerState"] == "Off"
    assert reset(client, "Explode").message_id == "ActionParameterValueNotInList"
    assert client("POST", RESET, {}).message_id == "ActionParameterMissing"


def test_power_takes_its_time(bmc_of: Make) -> None:
    _, client = bmc_of(machine={"kind": "fake", "power_on_s": 0.4})
    reset(client, "On")
    assert client("GET", SYSTEM).body["PowerState"] == "PoweringOn"
    time.sleep(0.5)
    assert client("GET", SYSTEM).body["PowerState"] == "On"


def test_a_boot_device_for_once_is_used_up_by_the_next_start(bmc_of: Make) -> None:
    server, client = bmc_of()
    wanted = {"Boot": {"BootSourceOverrideTarget": "Hdd", "BootSourceOverrideEnabled": "Once"}}
    assert client("PATCH", SYSTEM, wanted).status == 200
    assert client("GET", SYSTEM).body["Boot"]["BootSourceOverrideTarget"] == "Hdd"
    client("POST", f"{SYSTEM}/Storage/RAID.SL.3-1/Volumes", volume(4))
    reset(client, "On")
    boot = client("GET", SYSTEM).body["Boot"]
    assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Disabled", "None")
    reset(client, "ForceRestart")
    starts = [e for e in server.bmc.events.read() if e["event"] == "start"]
    assert [s["order"][0] for s in starts] == ["disk:0", "nic:lom1"]


def volume(drives: int, level: str = "RAID5") -> dict[str, Any]:
    uri = f"{SYSTEM}/Storage/RAID.SL.3-1/Drives/Disk.Bay.%d:Enclosure.Internal.0-1:RAID.SL.3-1"
    return {"RAIDType": level, "Links": {"Drives": [{"@odata.id": uri % n} for n in range(drives)]}}


def test_a_continuous_boot_device_stays(bmc_of: Make) -> None:
    _, client = bmc_of()
    client(
        "PATCH",
        SYSTEM,
        {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}},
    )
    reset(client, "On")
    assert client("GET", SYSTEM).body["Boot"]["BootSourceOverrideTarget"] == "Pxe"


@pytest.mark.parametrize(
    "boot", [{"BootSourceOverrideTarget": "Moon"}, {"Nix": 1}, {"BootOrder": ["Boot0001", "x"]}]
)
def test_boot_settings_that_do_not_exist(bmc_of: Make, boot: dict[str, Any]) -> None:
    _, client = bmc_of()
    assert client("PATCH", SYSTEM, {"Boot": boot}).status == 400


def stage(client: Client, attributes: dict[str, Any], at: str | None = "OnReset") -> Answer:
    body: dict[str, Any] = {"Attributes": attributes}
    if at:
        body["@Redfish.SettingsApplyTime"] = {"ApplyTime": at}
    return client("PATCH", f"{SYSTEM}/Bios/Settings", body)


def bios(client: Client, name: str) -> Any:
    return client("GET", f"{SYSTEM}/Bios").body["Attributes"][name]


def test_a_bios_setting_waits_for_the_next_start(bmc_of: Make) -> None:
    _, client = bmc_of()
    staged = stage(client, {"SriovGlobalEnable": "Enabled"})
    job = staged.headers["Location"].rsplit("/", 1)[-1]
    assert staged.status == 202
    assert client("GET", f"{MANAGER}/Jobs/{job}").body["JobState"] == "Scheduled"
    assert client("GET", staged.headers["Location"]).status == 202
    assert bios(client, "SriovGlobalEnable") == "Disabled"
    assert stage(client, {"LogicalProc": "Disabled"}).message_id == "SYS011"
    reset(client, "On")
    assert client("GET", f"{MANAGER}/Oem/Dell/Jobs/{job}").body["JobState"] == "Completed"
    assert client("GET", staged.headers["Location"]).status == 200
    assert bios(client, "SriovGlobalEnable") == "Enabled"
    assert client("GET", f"{SYSTEM}/Bios/Settings").body["Attributes"] == {}


def test_secure_boot_is_on_at_the_start_that_takes_it(bmc_of: Make) -> None:
    server, client = bmc_of()
    assert client("PATCH", f"{SYSTEM}/SecureBoot", {"SecureBootEnable": True}).status == 202
    assert plan(server.bmc).secure is True
    reset(client, "On")
    assert client("GET", f"{SYSTEM}/SecureBoot").body["SecureBootCurrentBoot"] == "Enabled"


def test_a_job_made_by_hand_and_deleted(bmc_of: Make) -> None:
    _, client = bmc_of()
    assert stage(client, {"SriovGlobalEnable": "Enabled"}, at=None).status == 200
    made = client("POST", f"{MANAGER}/Jobs", {"TargetSettingsURI": f"{SYSTEM}/Bios/Settings"})
    job = made.headers["Location"].rsplit("/", 1)[-1]
    assert client("DELETE", f"{MANAGER}/Jobs/{job}").status == 200
    reset(client, "On")
    assert bios(client, "SriovGlobalEnable") == "Disabled"
    assert client("GET", f"{MANAGER}/Jobs/{job}").status == 404


@pytest.mark.parametrize(
    ("attributes", "message_id"),
    [
        ({"Moon": "Full"}, "PropertyUnknown"),
        ({"SystemServiceTag": "X"}, "PropertyNotWritable"),
        ({"SriovGlobalEnable": "Yes"}, "PropertyValueNotInList"),
        ({"AcPwrRcvryUserDelay": 5}, "PropertyValueOutOfRange"),
        ({"ProcCStates": "Disabled"}, "SYS410"),
    ],
)
def test_bios_settings_that_are_refused(bmc_of: Make, attributes: dict[str, Any], message_id: str) -> None:
    _, client = bmc_of()
    refused = stage(client, attributes)
    assert (refused.status, refused.message_id) == (400, message_id)
    assert client("GET", f"{SYSTEM}/Bios/Settings").body["Attributes"] == {}


def test_a_setting_that_depends_on_another_goes_with_it(bmc_of: Make) -> None:
    _, client = bmc_of()
    assert stage(client, {"SysProfile": "Custom", "ProcCStates": "Disabled"}).status == 202


def test_a_volume_takes_drives_and_gives_them_back(bmc_of: Make) -> None:
    _, client = bmc_of()
    volumes = f"{SYSTEM}/Storage/RAID.SL.3-1/Volumes"
    assert client("POST", volumes, volume(2)).status == 400
    assert client("POST", volumes, volume(4)).status == 202
    made = client("GET", volumes).body["Members"]
    whole = client("GET", made[0]["@odata.id"]).body
    assert (whole["RAIDType"], whole["CapacityBytes"]) == ("RAID5", 3 * 960 * 10**9)
    assert client("POST", volumes, volume(2, "RAID1")).status == 400
    assert client("DELETE", made[0]["@odata.id"]).status == 202
    assert client("GET", volumes).body["Members"] == []


def test_state_outlives_the_server(bmc_of: Make) -> None:
    server, client = bmc_of()
    stage(client, {"SriovGlobalEnable": "Enabled"})
    reset(client, "On")
    client("GET", SYSTEM)
    server.stop()
    _, again = bmc_of()
    assert again("GET", SYSTEM).body["PowerState"] == "On"
    assert bios(again, "SriovGlobalEnable") == "Enabled"
