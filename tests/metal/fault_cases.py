"""The faults, one for each server: how each comes and goes, and what a person is told of it.

``DIAGNOSED`` are those that end a stage; ``OVERCOME`` those that the chain goes through without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agent_double import AgentSettings
from chain import Case, Lane

from rackwright.lab.bmc.hardware import hardware_of

Act = Callable[[Lane], None]
NO_DISK = "No suitable device was found for deployment using these hints {'serial': 's== S0'}"


def bmc(**faults: Mapping[str, Any]) -> tuple[Act, Act]:
    """A fault of the BMC."""
    return lambda lane: lane.bmc.faults.set(faults), lambda lane: lane.bmc.faults.set({})


def host(**settings: Any) -> tuple[Act, Act]:
    """Something wrong with the host itself."""

    def put(lane: Lane) -> None:
        lane.host.behaviour = replace(lane.host.behaviour, **settings)

    def mend(lane: Lane) -> None:
        lane.host.behaviour = type(lane.host.behaviour)()

    return put, mend


def agent(**settings: Any) -> tuple[Act, Act]:
    """Something wrong with what the agent does."""
    return host(agent=AgentSettings(**settings))


def refused(path: str) -> tuple[Act, Act]:
    """The head's web server refuses these paths to the host."""
    return (
        lambda lane: lane.head.front.refuse.update({lane.host.address: path}),
        lambda lane: lane.head.front.refuse.clear(),
    )


def _spoil(lane: Lane) -> None:
    lane.head.front.spoil.add(lane.host.address)


def _whole(lane: Lane) -> None:
    lane.head.front.spoil.discard(lane.host.address)


def _swap(lane: Lane) -> None:
    """Another server of the site stands where this one should."""
    other = lane.head.model.node("beside-1")
    lane.bmc.config = replace(lane.bmc.config, service_tag=other.service_tag)


def _swap_back(lane: Lane) -> None:
    lane.bmc.config = replace(lane.bmc.config, service_tag=lane.node.service_tag)


def _three_gpus(lane: Lane) -> None:
    config = lane.bmc.config
    lane.bmc.hardware = hardware_of(
        {**config.hardware, "differences": {"gpus": 3}}, config.profile, config.service_tag
    )


def _four_gpus(lane: Lane) -> None:
    config = lane.bmc.config
    lane.bmc.hardware = hardware_of(config.hardware, config.profile, config.service_tag)


def _held(lane: Lane) -> None:
    api = lane.head.api()
    api.maintenance(lane.node.name, "a fan is being exchanged")
    api.close()


def _released(lane: Lane) -> None:
    api = lane.head.api()
    api.maintenance(lane.node.name, None)
    api.close()


def _started_by_hand(lane: Lane) -> None:
    """Its disk starts now, and somebody presses its button."""
    host()[1](lane)
    with lane.bmc.lock:
        lane.bmc.machine.reset(False)


def _wrong_cable(lane: Lane) -> None:
    """The cable of the boot port is in the server's first fast port."""
    lane.host.behaviour.cable = next(one.mac for one in lane.node.interfaces if one.name == "ocp1")


def _stuck_raid(lane: Lane) -> None:
    """The job of its volume never ends, and nobody waits hours for it."""
    lane.limits(clean=30)
    lane.bmc.faults.set({"job_stuck": {"type": "RAIDConfiguration"}})


def _old_disk(lane: Lane) -> None:
    """An operating system of before is on its disk, which stands first in the boot order, and one-time boot is ignored."""
    with lane.bmc.lock:
        lane.bmc.state["boot"]["order"] = [
            name for name, one in lane.bmc_options().items() if one["device"].startswith("disk:")
        ]
    lane.host.disk = {"image": "of before"}
    lane.bmc.faults.set({"boot_override_ignored": {}})


DIAGNOSED: tuple[Case, ...] = (
    Case("wrong-credentials", "wrong credentials", "claimed", ("none of 2 passwords of root works", "401"),
         *bmc(wrong_credentials={})),
    Case("password-policy", "password refused", "claimed", ("too simple",),
         *bmc(password_policy_refuses={"reason": "too simple"})),
    Case("unreachable", "BMC unreachable", "claimed", ("no answer at",), *bmc(unreachable={})),
    Case("unreachable-later", "BMC unreachable", "enrolled", ("Unable to connect",), *bmc(unreachable={})),
    Case("another-server", "another server", "claimed", ("which the site calls beside-1 (rack",), _swap, _swap_back),
    Case("certificate", "certificate mismatch", "enrolled", ("certificate verify failed",), *bmc(certificate_mismatch={})),
    Case("credentials-later", "wrong credentials", "enrolled", ("401",), *bmc(wrong_credentials={})),
    Case("busy", "BMC slow", "enrolled", ("503",), *bmc(busy_503={"retry_after": 1})),
    Case("power-refused", "power refused", "inspected", ("cannot be powered on",), *bmc(power_on_refused={})),
    Case("power-lies-on", "power state lies", "inspected", (), *bmc(power_state_lies={"report": "On"})),
    Case("power-lies-off", "power state lies", "inspected", (), *bmc(power_state_lies={"report": "Off"})),
    Case("boot-ignored", "no DHCP answer", "inspected", (), _old_disk, bmc()[1]),
    Case("no-cable", "no DHCP answer", "inspected", ("timeout reached while inspecting",), *host(cable="none")),
    Case("wrong-nic", "wrong NIC cabled", "inspected", ("b8:3f:d2:40",), _wrong_cable, host()[1]),
    Case("http-refused", "HTTP refused", "inspected", ('" 403 ',), *refused("/pxelinux.cfg")),
    Case("agent-hangs", "agent never calls back", "inspected", ("timeout reached while inspecting",), *host(no_agent=True)),
    Case("three-gpus", "", "inspected", ("4 x NVIDIA H100", "3 x NVIDIA H100", "blocking"), _three_gpus, _four_gpus),
    Case("held", "in maintenance", "inspected", ("a fan is being exchanged",), _held, _released),
    Case("controller-busy", "lifecycle controller busy", "configured", ("503", "Lifecycle Controller is in use"),
         *bmc(lifecycle_controller_busy={})),
    Case("bios-refused", "BIOS setting rejected", "configured", ("400", "SysProfile"),
         *bmc(bios_setting_rejected={"when": "request"})),
    Case("bios-job-fails", "BIOS setting rejected", "configured", ("not updated",), *bmc(bios_setting_rejected={})),
    Case("job-stuck", "job stuck", "configured", ("Running 10 %",), *bmc(job_stuck={})),
    Case("agent-gone", "agent never calls back", "configured", ("while cleaning",), *host(no_agent=True)),
    Case("clean-fails", "cleaning failed", "configured", ("for cleaning",),
         *agent(fails={"get_clean_steps": ("CommandExecutionError", "the hardware manager has no steps")})),
    Case("checksum", "image checksum wrong", "deployed", ("failed to verify against checksum",), _spoil, _whole),
    Case("image-refused", "image not served", "deployed", ("403",), *refused("/images/")),
    Case("disk-small", "disk too small", "deployed", ("No space left on device",), *agent(disk_bytes=100_000)),
    Case("disk-missing", "disk too small", "deployed", ("No suitable device was found",),
         *agent(fails={"write_image": ("DeviceNotFound", NO_DISK)})),
    Case("agent-silent", "agent never calls back", "deployed", ("callback",), *agent(dies_in="write_image")),
    Case("no-system", "no operating system answers", "deployed", ("no ssh at",), host(boots=False)[0], _started_by_hand),
)  # fmt: skip

OVERCOME: tuple[Case, ...] = (
    Case("slow", "", "claimed", (), *bmc(slow={"seconds": 0.2}, busy_503={"count": 2, "retry_after": 1})),
    Case("busy-later", "", "enrolled", (), *bmc(busy_503={"count": 2, "retry_after": 1})),
)

RAID: tuple[Case, ...] = (
    Case(
        "raid-stuck",
        "job stuck",
        "configured",
        ("Running 10 %",),
        *bmc(job_stuck={"type": "RAIDConfiguration"}),
    ),
)

CASES = {case.name: case for case in (*DIAGNOSED, *OVERCOME, *RAID)}
BESIDE = ("beside-1", "beside-2", "raid-beside")
PLAYED = ("played-badly", "played-well")
"""Left for ansible-playbook."""
