"""Each fault of the virtual BMC, as a client sees it, and that it is gone when it is taken away."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bmc_client import MANAGER, SYSTEM, Client, Make

from rackwright.errors import UsageError
from rackwright.lab.bmc.config import config_of
from rackwright.lab.bmc.faults import FAULTS

RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
BIOS = {
    "Attributes": {"SriovGlobalEnable": "Enabled"},
    "@Redfish.SettingsApplyTime": {"ApplyTime": "OnReset"},
}
INSERT = f"{MANAGER}/VirtualMedia/CD/Actions/VirtualMedia.InsertMedia"

#: Fault, options, and the request that meets it with the status that it gets.
REFUSALS: list[tuple[str, dict[str, Any], tuple[str, str, Any], int]] = [
    ("wrong_credentials", {}, ("GET", SYSTEM, None), 401),
    ("busy_503", {}, ("GET", SYSTEM, None), 503),
    ("lifecycle_controller_busy", {}, ("PATCH", f"{SYSTEM}/Bios/Settings", BIOS), 503),
    ("bios_setting_rejected", {"when": "request"}, ("PATCH", f"{SYSTEM}/Bios/Settings", BIOS), 400),
    ("virtual_media_refused", {}, ("POST", INSERT, {"Image": "http://192.0.2.1/a.iso"}), 500),
    ("power_on_refused", {"reason": "no power"}, ("POST", RESET, {"ResetType": "On"}), 500),
    (
        "password_policy_refuses",
        {},
        ("PATCH", "/redfish/v1/AccountService/Accounts/2", {"Password": "Long-enough-1"}),
        400,
    ),
]


@pytest.mark.parametrize(("fault", "options", "request_", "status"), REFUSALS, ids=[r[0] for r in REFUSALS])
def test_refused_and_then_taken(
    bmc_of: Make, fault: str, options: dict[str, Any], request_: tuple[str, str, Any], status: int
) -> None:
    server, client = bmc_of()
    server.bmc.faults.set({fault: options})
    assert client(*request_).status == status
    server.bmc.faults.set({})
    assert client(*request_).status < 300


def test_a_fault_that_passes_by_itself(bmc_of: Make) -> None:
    server, client = bmc_of(faults={"busy_503": {"count": 2}})
    answers = [client("GET", SYSTEM) for _ in range(3)]
    assert [a.status for a in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "5"
    assert server.bmc.faults.option("busy_503") is not None


def test_unreachable(bmc_of: Make) -> None:
    server, client = bmc_of()
    server.bmc.faults.set({"unreachable": {}})
    with pytest.raises(OSError):
        client("GET", SYSTEM)
    server.bmc.faults.path.unlink()
    assert client("GET", SYSTEM).status == 200


def test_slow(bmc_of: Make) -> None:
    server, client = bmc_of()
    server.bmc.faults.set({"slow": {"seconds": 0.5}})
    begin = time.monotonic()
    client("GET", SYSTEM)
    assert time.monotonic() - begin >= 0.5


def test_certificate_mismatch(bmc_of: Make) -> None:
    server, client = bmc_of()
    assert client("GET", SYSTEM).status == 200
    server.bmc.faults.set({"certificate_mismatch": {}})
    with pytest.raises(OSError, match="certificate verify failed"):
        client("GET", SYSTEM)


def test_power_state_lies(bmc_of: Make) -> None:
    server, client = bmc_of()
    server.bmc.faults.set({"power_state_lies": {}})
    assert client("GET", SYSTEM).body["PowerState"] == "On"
    server.bmc.faults.set({"power_state_lies": {"report": "Off"}})
    client("POST", RESET, {"ResetType": "On"})
    assert client("GET", SYSTEM).body["PowerState"] == "Off"


def test_a_stuck_job_goes_on_when_the_fault_is_gone(bmc_of: Make) -> None:
    server, client = bmc_of()
    server.bmc.faults.set({"job_stuck": {}})
    job = client("PATCH", f"{SYSTEM}/Bios/Settings", BIOS).headers["Location"].rsplit("/", 1)[-1]
    client("POST", RESET, {"ResetType": "On"})
    seen = client("GET", f"{MANAGER}/Jobs/{job}").body
    assert (seen["JobState"], seen["PercentComplete"]) == ("Running", 10)
    server.bmc.faults.set({})
    assert client("GET", f"{MANAGER}/Jobs/{job}").body["JobState"] == "Completed"


def test_a_bios_setting_that_the_job_refuses(bmc_of: Make) -> None:
    server, client = bmc_of()
    server.bmc.faults.set({"bios_setting_rejected": {"attributes": ["SriovGlobalEnable"]}})
    wanted = {**BIOS, "Attributes": {"SriovGlobalEnable": "Enabled", "LogicalProc": "Disabled"}}
    job = client("PATCH", f"{SYSTEM}/Bios/Settings", wanted).headers["Location"].rsplit("/", 1)[-1]
    client("POST", RESET, {"ResetType": "On"})
    seen = client("GET", f"{MANAGER}/Jobs/{job}").body
    assert seen["JobState"] == "Failed"
    assert "SriovGlobalEnable" in seen["Message"]
    attributes = client("GET", f"{SYSTEM}/Bios").body["Attributes"]
    assert (attributes["SriovGlobalEnable"], attributes["LogicalProc"]) == ("Disabled", "Disabled")


def test_orders_that_are_taken_and_not_obeyed(bmc_of: Make) -> None:
    server, client = bmc_of()
    client("POST", RESET, {"ResetType": "On"})
    server.bmc.faults.set({"graceful_ignored": {}, "boot_override_ignored": {}})
    assert client("POST", RESET, {"ResetType": "GracefulShutdown"}).status == 204
    assert client("GET", SYSTEM).body["PowerState"] == "On"
    client("PATCH", SYSTEM, {"Boot": {"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once"}})
    client("POST", RESET, {"ResetType": "ForceRestart"})
    start = [e for e in server.bmc.events.read() if e["event"] == "start"][-1]
    assert start["override"] == "Cd"
    assert start["order"][0] == "nic:lom1"


def test_a_fault_that_does_not_exist(bmc_of: Make) -> None:
    server, _ = bmc_of()
    with pytest.raises(ValueError, match="moon_full"):
        server.bmc.faults.set({"moon_full": {}})
    assert len(FAULTS) >= 12


def members(client: Client, uri: str) -> list[dict[str, Any]]:
    return list(client("GET", f"{uri}?$expand=*($levels=1)").body["Members"])


def test_hardware_that_is_not_what_the_profile_says(bmc_of: Make) -> None:
    differences = {
        "missing_dimms": ["A3"],
        "gpus": 3,
        "disk_gb": 100,
        "firmware": {"bios": "1.0.0"},
        "nics": {"ocp1": {"pci_id": "14e4:16d7", "product": "Broadcom 57414", "mac": "00:0a:f7:00:00:01"}},
    }
    _, client = bmc_of(profile="r760xa", model="PowerEdge R760xa", hardware={"differences": differences})
    system = client("GET", SYSTEM).body
    assert system["MemorySummary"]["TotalSystemMemoryGiB"] == 512 - 32
    assert system["BiosVersion"] == "1.0.0"
    processors = members(client, f"{SYSTEM}/Processors")
    assert [p["ProcessorType"] for p in processors].count("GPU") == 3
    macs = [p["MACAddress"] for p in members(client, f"{SYSTEM}/EthernetInterfaces")]
    assert "00:0a:f7:00:00:01" in macs
    drives = client("GET", f"{SYSTEM}/Storage/CPU.1").body["Drives"]
    assert client("GET", drives[0]["@odata.id"]).body["CapacityBytes"] == 100 * 10**9
    functions = []
    for device in members(client, "/redfish/v1/Chassis/System.Embedded.1/PCIeDevices"):
        functions += members(client, device["PCIeFunctions"]["@odata.id"])
    ids = [(f["VendorId"], f["DeviceId"]) for f in functions]
    assert ids.count(("0x10de", "0x2331")) == 3
    assert ("0x14e4", "0x16d7") in ids


def test_a_wrong_configuration(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="no setting moon"):
        config_of({"name": "a", "service_tag": "b", "state_dir": str(tmp_path), "moon": 1})
    with pytest.raises(UsageError, match="lacks service_tag"):
        config_of({"name": "a", "state_dir": str(tmp_path)})
