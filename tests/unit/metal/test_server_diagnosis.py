"""Each fault by the words in which it comes, and by what else was seen."""

from __future__ import annotations

from typing import Any

import pytest

from rackwright.metal.diagnose import FAULTS, Problem, Seen, explain, named
from rackwright.metal.walk import Kind, Stuck
from rackwright.paths import checkout
from rackwright.site import load_site

NODE = load_site(checkout() / "inventories" / "minimal").node("r660-2")
UUID = "fdcc8964-14f2-55ac-8f11-82899d521a04"
POWER = f"Failed to get power state for node {UUID}. Error: "
BROKEN = f"{POWER}Redfish connection failed for node {UUID}: Unable to connect to https://10.40.3.112/redfish/v1/. Error: "
POOL = "HTTPSConnectionPool(host='10.40.3.112', port=443): Max retries exceeded with url: /redfish/v1/ (Caused by "
CALLBACK = f"Timeout reached while waiting for callback for node {UUID}"
ASKED = "Nov 23 22:40:01 r660-1 dnsmasq-dhcp[812]: DHCPDISCOVER(eno1) b0:7b:25:40:0c:01"
GIVEN = "Nov 23 22:40:01 r660-1 dnsmasq-dhcp[812]: DHCPACK(eno1) 10.40.3.12 b0:7b:25:40:0c:01 r660-2"
STRANGE = (
    "Nov 23 22:40:01 r660-1 dnsmasq-dhcp[812]: DHCPDISCOVER(eno1) b8:3f:d2:40:0c:01 no address available"
)
SENT = "Nov 23 22:40:02 r660-1 dnsmasq-tftp[812]: sent /usr/lib/ipxe/snponly.efi to 10.40.3.12"
LOST = "Nov 23 22:40:02 r660-1 dnsmasq-tftp[812]: file /usr/lib/ipxe/snponly.efi not found for 10.40.3.12"
LOADED = '10.40.3.12 - - [23/Nov/2026:22:40:05 +0000] "GET /boot.ipxe HTTP/1.1" 200 512 "-" "iPXE/1.21.1"'
REFUSED = '10.40.3.12 - - [23/Nov/2026:22:40:05 +0000] "GET /boot.ipxe HTTP/1.1" 404 146 "-" "iPXE/1.21.1"'
WAITING = ("limit", "wait call-back", "")

# The words of Ironic's redfish driver are from its own runs against a BMC with the fault; the agent's and the rest from
# the sources of ironic 29.0 and ironic-python-agent 11.2.
CASES: list[tuple[str, tuple[Kind, str, str], dict[str, Any]]] = [
    (
        "wrong credentials",
        (
            "failed",
            "enroll",
            f"{POWER}Redfish exception occurred. Error: HTTP POST https://10.40.3.112/redfish/v1/SessionService/Sessions "
            "returned code 401. Base.1.18.GeneralError: There is no valid session established with the implementation.",
        ),
        {},
    ),
    ("wrong credentials", ("failed", "credentials", "none of 2 passwords of root works: GET …: 401: no"), {}),
    (
        "password refused",
        (
            "failed",
            "refused",
            "PATCH /redfish/v1/AccountService/Accounts/2: 400: Unable to complete the operation because the password does "
            "not meet the policy: too simple",
        ),
        {},
    ),
    (
        "another server",
        ("failed", "identity", "the server at 10.40.3.112 is YGC97T4, which the site calls r660-3"),
        {},
    ),
    (
        "BMC unreachable",
        (
            "failed",
            "enroll",
            f"{BROKEN}{POOL}SSLError(SSLEOFError(8, '[SSL: UNEXPECTED_EOF_WHILE_READING] EOF')))",
        ),
        {},
    ),
    ("BMC unreachable", ("failed", "unreachable", "no answer at 10.40.3.112: timed out"), {}),
    (
        "BMC slow",
        (
            "failed",
            "enroll",
            f"{POWER}HTTP GET https://10.40.3.112/redfish/v1/ returned code 503. Base.1.18.GeneralError: The service is "
            "temporarily unavailable.  Retry in 5 seconds.",
        ),
        {},
    ),
    (
        "certificate mismatch",
        (
            "failed",
            "enroll",
            f"{BROKEN}{POOL}SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify "
            "failed: self-signed certificate (_ssl.c:1006)')))",
        ),
        {},
    ),
    (
        "power refused",
        (
            "power",
            "power off",
            "Failed to change power state to 'power on' by 'power on': HTTP POST … returned code 500. "
            "Base.1.18.GeneralError: The server cannot be powered on: the power budget does not allow it",
        ),
        {},
    ),
    ("power state lies", ("failed", "deploy failed", "Failed to set node power state to power on."), {}),
    ("power state lies", ("power", "power off", "it says power off"), {}),
    (
        "lifecycle controller busy",
        (
            "failed",
            "clean failed",
            f"Redfish BIOS apply configuration failed for node {UUID}. Error: HTTP PATCH … returned code 503. "
            "IDRAC.2.8.RAC0679: Unable to run the method because the Lifecycle Controller is in use",
        ),
        {},
    ),
    (
        "job stuck",
        ("limit", "clean wait", ""),
        {"bmc": {"jobs": ["JID_470 BIOSConfiguration: Running 10 %: Task successfully scheduled."]}},
    ),
    (
        "BIOS setting rejected",
        (
            "failed",
            "clean failed",
            f"Redfish BIOS apply configuration failed for node {UUID}. Error: HTTP PATCH … returned code 400. "
            "Base.1.18.PropertyValueNotInList: The value Off for the property LogicalProc is not in the list",
        ),
        {},
    ),
    (
        "BIOS setting rejected",
        (
            "failed",
            "clean failed",
            "Redfish BIOS apply_configuration step failed. Attributes {'LogicalProc': 'Enabled'} are not updated.",
        ),
        {"bmc": {"jobs": ["JID_470 BIOSConfiguration: Failed 100 %: refused"]}},
    ),
    (
        "job stuck",
        (
            "failed",
            "clean failed",
            "Redfish BIOS apply_configuration step failed. Attributes {'LogicalProc': 'Enabled'} are not updated.",
        ),
        {"bmc": {"jobs": ["JID_470 BIOSConfiguration: Running 10 %: Job in progress."]}},
    ),
    ("BIOS setting rejected", ("differs", "configure", "the BIOS did not take: LogicalProc is Disabled"), {}),
    (  # Ironic follows a failed step of the BIOS by "cleaning complete", now and then before the flow has looked
        "job stuck",
        ("differs", "manageable", "the BIOS did not take: LogicalProc is Disabled, not Enabled"),
        {"bmc": {"jobs": ["JID_470 BIOSConfiguration: Running 10 %: Job in progress."]}},
    ),
    (
        "BIOS setting rejected",
        ("differs", "manageable", "the BIOS did not take: LogicalProc is Disabled, not Enabled"),
        {
            "bmc": {
                "jobs": [
                    "JID_471 RAIDConfiguration: Running 10 %: x",
                    "JID_470 BIOSConfiguration: Failed 100 %: no",
                ]
            }
        },
    ),
    (
        "BIOS setting rejected",
        ("differs", "manageable", "LogicalProc takes Enabled, Disabled, not Yes"),
        {"bmc": {"jobs": ["JID_470 BIOSConfiguration: Running 10 %: Job in progress."]}},
    ),
    (
        "image checksum wrong",
        (
            "failed",
            "deploy failed",
            "Agent returned error for deploy step: Error verifying image checksum: Image failed to verify against "
            "checksum. location: /dev/sda; image ID: debian-13.raw; image checksum: aa; verification checksum: bb",
        ),
        {},
    ),
    (
        "disk too small",
        (
            "failed",
            "deploy failed",
            "Agent returned error for deploy step: Error finding the disk or partition device to deploy the image onto: "
            "No suitable device was found for deployment using these hints {'size': '>= 400'}",
        ),
        {},
    ),
    (
        "disk too small",
        (
            "failed",
            "deploy failed",
            "Error writing image to device: Writing image failed: No space left on device",
        ),
        {},
    ),
    (
        "image not served",
        (
            "failed",
            "deploy failed",
            "Download of image debian-13.raw failed: Received status code 403 from http://h/",
        ),
        {},
    ),
    (
        "image not served",
        (
            "failed",
            "deploy failed",
            "Validation of image href http://10.40.3.11:8090/images/debian-13.raw failed, reason: Got HTTP code 404 "
            "instead of 200 in response to HEAD request.",
        ),
        {},
    ),
    ("no DHCP answer", WAITING, {"looked": True}),  # type: ignore[list-item]
    ("no DHCP answer", ("failed", "deploy failed", CALLBACK), {"looked": True}),
    (
        "no DHCP answer",
        ("failed", "inspect failed", "timeout reached while inspecting the node"),
        {"looked": True},
    ),
    ("wrong NIC cabled", ("failed", "deploy failed", CALLBACK), {"looked": True, "strangers": [STRANGE]}),
    ("DHCP refused", ("failed", "deploy failed", CALLBACK), {"looked": True, "dhcp": [ASKED]}),
    ("TFTP refused", ("failed", "deploy failed", CALLBACK), {"looked": True, "dhcp": [ASKED, GIVEN]}),
    (
        "TFTP refused",
        ("failed", "deploy failed", CALLBACK),
        {"looked": True, "dhcp": [GIVEN], "tftp": [LOST]},
    ),
    ("no script", ("failed", "deploy failed", CALLBACK), {"looked": True, "dhcp": [GIVEN], "tftp": [SENT]}),
    (
        "HTTP refused",
        ("failed", "deploy failed", CALLBACK),
        {"looked": True, "dhcp": [GIVEN], "tftp": [SENT], "http": [REFUSED]},
    ),
    (
        "agent never calls back",
        ("failed", "deploy failed", CALLBACK),
        {"looked": True, "dhcp": [GIVEN], "tftp": [SENT], "http": [LOADED]},
    ),
    (
        "erasing failed",
        ("failed", "clean failed", "Agent returned error for clean step: Error erasing block device: frozen"),
        {},
    ),
    (
        "step not supported",
        (
            "failed",
            "clean failed",
            f"Cannot clean node {UUID}: node does not support this clean step: {{'interface': 'raid', "
            "'step': 'delete_configuration'}",
        ),
        {},
    ),
    ("cleaning failed", ("failed", "clean failed", "something else"), {}),
    (
        "NIC known elsewhere",
        ("failed", "unknown", "409: A port with MAC address b0:7b:25:40:0c:01 already exists."),
        {},
    ),
    ("in maintenance", ("maintenance", "manageable", "fan is being changed"), {}),
    ("in rescue", ("in use", "rescue", ""), {}),
    ("not named", ("in use", "active", "it wasn't named for it"), {}),
    ("no operating system answers", ("boot", "active", "no ssh at 10.40.0.12"), {}),
]


def problem(stuck: tuple[Kind, str, str], seen: dict[str, Any]) -> Problem:
    kind, state, said = stuck
    return Problem(NODE, Stuck(kind, "deploy", state, said, 3600.0), Seen(**seen))


@pytest.mark.parametrize(("fault", "stuck", "seen"), CASES)
def test_a_fault_is_known_by_its_signs(
    fault: str, stuck: tuple[Kind, str, str], seen: dict[str, Any]
) -> None:
    found = named(problem(stuck, seen))
    assert found is not None and found.name == fault


@pytest.mark.parametrize(("fault", "stuck", "seen"), CASES)
def test_what_is_told_names_server_evidence_cause_and_command(
    fault: str, stuck: tuple[Kind, str, str], seen: dict[str, Any]
) -> None:
    told = explain(problem(stuck, seen), "inventories/minimal/site.yml")
    assert f"({fault})" in told.what and "r660-2 (rack a, unit 38, KFSBGL4, BMC 10.40.3.112)" in told.where
    assert told.cause and told.next_command and "{" not in told.next_command.replace("'{\"", "")
    for lines in seen.values():
        if isinstance(lines, list):
            assert " ".join(lines[-1].split()) in told.evidence


def test_the_list_is_tested_whole() -> None:
    untested = {fault.name for fault in FAULTS} - {fault for fault, _, _ in CASES}
    assert untested == {"Ironic restarted"}
    words = "While executing step, the conductor was restarted: node is locked by host e"
    assert named(problem(("failed", "deploy failed", words), {})).name == "Ironic restarted"  # type: ignore[union-attr]


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    told = explain(problem(("failed", "deploy failed", "the moon is full"), {}), "site.yml")
    assert "the moon is full" in told.evidence and "none of those known" in told.cause
