"""From a server that is stuck to what a person needs: a table of what is known to go wrong, by its signs.

The signs are Ironic's, sushy's and the agent's own words (releases 29 and 11), and what the head's services saw of
the server: asked for an address, fetched its loader, its script, its kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rackwright.derive.model import Node
from rackwright.errors import RunFailure
from rackwright.metal.walk import NOT_TAKEN, Stuck

LONGEST = 600


@dataclass(frozen=True)
class Seen:
    """What was seen of a server from elsewhere. ``dhcp``, ``tftp``, ``http``: lines about it, oldest first.

    ``strangers``: lines of DHCP about MACs that the site doesn't know or has at another server. ``bmc``: what the
    module rackwright_bmc found (``power``, ``boot``, ``jobs``, ``log``), ``bmc_fault`` why it found nothing.
    ``looked``: whether the services' logs could be read at all.
    """

    dhcp: Sequence[str] = ()
    tftp: Sequence[str] = ()
    http: Sequence[str] = ()
    strangers: Sequence[str] = ()
    bmc: Mapping[str, object] = field(default_factory=dict)
    bmc_fault: str = ""
    history: Sequence[str] = ()
    looked: bool = False

    def lines(self) -> list[str]:
        """The evidence beside Ironic's words, the last of each kind."""
        found = [
            str(line) for kind in (self.dhcp, self.tftp, self.http, self.strangers) for line in kind[-2:]
        ]
        jobs = self.bmc.get("jobs")
        found += [f"job {job}" for job in (jobs if isinstance(jobs, list) else [])[-2:]]
        for name in ("power", "boot"):
            if self.bmc.get(name):
                found.append(f"the BMC says {name}: {self.bmc[name]}")
        return found + ([f"the BMC itself: {self.bmc_fault}"] if self.bmc_fault else [])


@dataclass(frozen=True)
class Problem:
    """A server that is stuck, and what was seen."""

    node: Node
    stuck: Stuck
    seen: Seen

    @property
    def waits(self) -> bool:
        """Whether it is about an agent that was not heard of."""
        text = f"{self.stuck.state} {self.stuck.said}"
        return bool(
            re.search(r"callback|call-back|while inspecting|clean wait|inspect wait|while cleaning", text)
        )

    @property
    def not_taken(self) -> bool:
        """Whether its settings were applied as far as Ironic knows, and are not in force."""
        return self.stuck.kind == "differs" and NOT_TAKEN in self.stuck.said


@dataclass(frozen=True)
class Fault:
    """Something that is known to go wrong. ``fits`` is asked where ``sign`` is found in Ironic's words."""

    name: str
    sign: re.Pattern[str]
    cause: str
    next_command: str
    fits: Callable[[Problem], bool] = lambda problem: True


def _fault(
    name: str,
    sign: str,
    cause: str,
    next_command: str,
    fits: Callable[[Problem], bool] = lambda problem: True,
) -> Fault:
    return Fault(name, re.compile(sign, re.I | re.S), cause, next_command, fits)


def _job(problem: Problem, pattern: str) -> bool:
    jobs = problem.seen.bmc.get("jobs")
    return bool(re.search(pattern, "\n".join(map(str, jobs if isinstance(jobs, list) else ())), re.I))


def _http_failed(problem: Problem) -> bool:
    return any(re.search(r'" [45]\d\d ', line) for line in problem.seen.http)


CONSOLE = "the virtual console in its iDRAC, https://{bmc}/"

FAULTS: tuple[Fault, ...] = (
    _fault(
        "wrong credentials",
        r"none of \d+ passwords|401|AccessError|Unauthorized|access denied|login (attempts|failed)",
        "its BMC has another password than those known: it was changed by hand, or the factory's isn't the one given",
        "set bmc_factory to the password on the server's tag, or reset the iDRAC's user to it (F2 at its console)",
    ),
    _fault(
        "password refused",
        r"password does not meet|password .*polic(y|ies)",
        "its BMC's policy for passwords doesn't take the one that was made for it: 20 letters, digits and -_.+",
        "https://{bmc}/: iDRAC Settings, Users, Password policy: lower it",
    ),
    _fault(
        "another server",
        r"the server at \S+ is ",
        "the BMC at this address is another server's: cables or addresses are swapped, or the service tag is "
        "mistyped",
        "rackwright discover {site}",
    ),
    _fault(
        "certificate mismatch",
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError|another certificate than|"
        r"doesn't show the certificate|certificate could not be signed|its certificate isn't the site's|"
        r"hostname .* doesn't match|IP address mismatch",
        "its BMC shows a certificate that isn't the site authority's, or is for another address: it was reset, or "
        "something else answers there",
        "ansible-playbook -i {site} playbooks/provision.yml -e provision_servers={name}: it claims the BMC anew",
    ),
    _fault(
        "NIC known elsewhere",
        r"port with MAC address \S+ already exists|MACAlreadyExists",
        "another server has this MAC address in Ironic: the site file names one twice, or two servers swapped names",
        "rackwright validate {site}",
    ),
    _fault(
        "lifecycle controller busy",
        r"RAC0?\d*.*in use|lifecycle controller.*(in use|busy|not ready)|LC068|SUP011|SYS518|"
        r"another (configuration )?job|job .*already (scheduled|exists|running)|PendingConfigJob|RAC0679|pending data",
        "the iDRAC's Lifecycle Controller is at another job, or has changes that wait for a restart",
        "https://{bmc}/: Maintenance, Job Queue: wait for its end or delete the job; then again",
    ),
    _fault(
        "job stuck",
        r"",
        "a job of the iDRAC doesn't come to its end",
        "https://{bmc}/: Maintenance, Job Queue: delete the job, else reset the iDRAC; then again",
        lambda problem: (
            _job(problem, rf"{'BIOS.*: ' if problem.not_taken else ''}(Running|Scheduled|Downloading|New)\b")
            and (
                problem.stuck.kind == "limit"
                or problem.stuck.state in ("clean failed", "service failed")
                or problem.not_taken
            )
        ),
    ),
    _fault(
        "BIOS setting rejected",
        r"BIOS (apply configuration failed|settings? .*(failed|rejected))|are not updated|did not take|"
        r"attributes? .*(not supported|invalid|read-?only|not in the list)|has no attribute|takes .*, not |"
        r"PropertyValueNotInList|SYS4\d\d",
        "the BIOS doesn't take a declared setting: it is of another firmware or model, or depends on another setting",
        "rackwright conformance {site}; the profile's bios in the catalogue",
    ),
    _fault(
        "image checksum wrong",
        r"failed to verify against checksum|Error verifying image checksum|checksum is invalid or does not match|"
        r"ImageChecksumError|supplied image checksum",
        "the image that the head serves isn't the one whose digest is declared: it was damaged or replaced",
        "rackwright bundle verify; then ansible-playbook -i {site} playbooks/head.yml --tags head",
    ),
    _fault(
        "disk too small",
        r"no (suitable )?(device|disk).*(large|size|root)|NotEnoughSpace|disk is too small|too small for|"
        r"No suitable device was found|No space left on device|larger than|requires at least .* (disk|device)|"
        r"DeviceNotFound",
        "no disk of the server is large enough for the image, or none fits the profile's hints: a disk is missing, "
        "or the RAID volume isn't there",
        "rackwright conformance {site}; the disks in its iDRAC",
    ),
    _fault(
        "image not served",
        r"Error downloading image|ImageDownload|Validation of image href .* failed|Image .* could not be found|"
        r"Failed to download image|Download of image|Received status code \d+ from",
        "the head doesn't serve the image, or the server's way to it is cut",
        "curl -I http://HEAD:8090/images/ from the oob network; ansible-playbook -i {site} playbooks/head.yml",
    ),
    _fault(
        "wrong NIC cabled",
        r"",
        "a NIC that the site has elsewhere, or doesn't know, asks for an address where this one's boot port should: "
        "the cable is in another port, or the MAC in the site file is another NIC's",
        "compare the MAC above with lom1 of {name} in the site file",
        lambda problem: problem.waits and not problem.seen.dhcp and bool(problem.seen.strangers),
    ),
    _fault(
        "no DHCP answer",
        r"",
        "the server never asked for an address on the oob network, or the question didn't arrive: no cable in its "
        "boot port, its switch port is down or in another VLAN, or it doesn't boot from the network",
        CONSOLE + ": what its boot says; the switch port of lom1",
        lambda problem: problem.waits and problem.seen.looked and not problem.seen.dhcp,
    ),
    _fault(
        "DHCP refused",
        r"",
        "the head heard the server and gave it no address: the range is used up, or another server answered first",
        "journalctl -u dnsmasq on the head",
        lambda problem: (
            problem.waits
            and bool(problem.seen.dhcp)
            and not any("DHCPACK" in line or "DHCPOFFER" in line for line in problem.seen.dhcp)
        ),
    ),
    _fault(
        "HTTP refused",
        r"",
        "the server got its loader, but not the script, kernel or ramdisk: the head's web server refuses them",
        "the lines above in /var/log/nginx on the head; systemctl status nginx rackwright-ironic there",
        lambda problem: problem.waits and _http_failed(problem),
    ),
    _fault(
        "TFTP refused",
        r"",
        "the server has an address but never got its loader: TFTP is refused or filtered, or its firmware isn't in "
        "UEFI mode",
        "journalctl -u dnsmasq on the head; " + CONSOLE,
        lambda problem: (
            problem.waits
            and bool(problem.seen.dhcp)
            and not problem.seen.http
            and (
                not problem.seen.tftp
                or any("error" in line or "not found" in line for line in problem.seen.tftp)
            )
        ),
    ),
    _fault(
        "no script",
        r"",
        "the server got its loader, which asked for nothing more: it has no address of its own, or no driver for its "
        "NIC",
        CONSOLE,
        lambda problem: problem.waits and bool(problem.seen.tftp) and not problem.seen.http,
    ),
    _fault(
        "agent never calls back",
        r"",
        "the server loaded the agent, and the agent was never heard of: it can't reach Ironic's API from the oob "
        "network, doesn't trust its certificate, or hangs",
        CONSOLE + ": the agent says why; curl https://HEAD:6385/ from the oob network",
        lambda problem: problem.waits and bool(problem.seen.http),
    ),
    _fault(
        "BMC slow",
        r"\b50[234]\b|Service ?Unavailable|temporarily unavailable|ServerSideError|Too Many Requests",
        "its BMC answers, but has no time: it starts, or has too many sessions",
        "wait a few minutes, else reset the iDRAC; then again",
    ),
    _fault(
        "BMC unreachable",
        r"Unable to connect to|no answer at|RedfishConnectionError|Redfish connection failed|ConnectTimeout|"
        r"Max retries exceeded|Connection refused|No route to host|timed out",
        "nothing answers at the BMC's address: no cable, no power at the server, or another address than the site "
        "file's",
        "ping {bmc} from the head; rackwright discover {site}",
    ),
    _fault(
        "power refused",
        r"cannot be powered on|power budget|PSU503",
        "the server has not enough power to start: a supply or its mains is missing, or the budget is set too low",
        "the power supplies in its iDRAC, https://{bmc}/: System, Power",
    ),
    _fault(
        "power state lies",
        r"Failed to set node power state|PowerStateFailure|power state .*(does not|doesn't|not) match|"
        r"Failed to (power|get power)|it says power|already powered|PSU50[12]",
        "the server doesn't do what its BMC says it did: it stays on or off whatever is asked",
        "press its power button, or take its mains away for half a minute; then again",
        lambda problem: True,
    ),
    _fault(
        "power state lies",
        r"",
        "the server doesn't do what its BMC says it did: it stays on or off whatever is asked",
        "press its power button, or take its mains away for half a minute; then again",
        lambda problem: problem.stuck.kind == "power",
    ),
    _fault(
        "step not supported",
        r"does not support this (clean|service|deploy) step",
        "the server's driver has no such step: its controller is another one than the profile's, or the driver is",
        "server_raid_level: none where there is no RAID; server_driver",
    ),
    _fault(
        "erasing failed",
        r"erase|Failed to (secure erase|shred)|sanitize|BlockDeviceEraseError|frozen",
        "a disk doesn't let itself be erased: it is frozen, locked with a key, or failing",
        "the disks in its iDRAC; server_reinstall_wipe: metadata erases their tables only",
        lambda problem: problem.stuck.state == "clean failed",
    ),
    _fault(
        "cleaning failed",
        r"",
        "a step of the preparation failed: Ironic's words above say which",
        "journalctl -u rackwright-ironic on the head; then again",
        lambda problem: problem.stuck.state in ("clean failed", "service failed"),
    ),
    _fault(
        "in maintenance",
        r"",
        "a person took the server into maintenance, for the reason above",
        "when it is fit: curl --cacert CA -u rackwright -X DELETE https://HEAD:6385/v1/nodes/{name}/maintenance",
        lambda problem: problem.stuck.kind == "maintenance",
    ),
    _fault(
        "not named",
        r"wasn't named for it|an operating system is on it",
        "what is asked for loses what is on the server, so it has to be named",
        '-e \'{{"server_{stage}_confirm": ["{name}"]}}\'',
        lambda problem: problem.stuck.kind == "in use",
    ),
    _fault(
        "in rescue",
        r"",
        "the server is in its rescue system, or servicing failed: somebody is at it",
        "when it is fit: PUT https://HEAD:6385/v1/nodes/{name}/states/provision with unrescue",
        lambda problem: problem.stuck.kind == "in use",
    ),
    _fault(
        "no operating system answers",
        r"",
        "the image is on its disk, but its ssh doesn't answer: it doesn't start from that disk, or its network isn't "
        "what the site file says (bond, VLAN, cables of ocp1 and ocp2)",
        CONSOLE,
        lambda problem: problem.stuck.kind == "boot",
    ),
    _fault(
        "Ironic restarted",
        r"conductor .*(takeover|restart)|is locked|reserved by|by a dead|conductor",
        "Ironic was restarted while it worked at the server",
        "ansible-playbook -i {site} playbooks/provision.yml -e provision_servers={name}: it goes on",
        lambda problem: problem.stuck.kind == "failed",
    ),
)
"""In the order in which they are asked: what is certain before what is likely."""

STAGES = {
    "claim": "claim its BMC",
    "enrol": "enrol it",
    "inspect": "inspect its hardware",
    "configure": "apply its settings",
    "deploy": "install its operating system",
    "reinstall": "install its operating system anew",
    "retire": "retire it",
    "boot": "start its operating system",
    "power": "switch its power",
}


def named(problem: Problem) -> Fault | None:
    """The first fault whose signs are there; None where it is none of those known."""
    for words in (problem.stuck.said, problem.seen.bmc_fault):
        for one in FAULTS:
            if one.sign.search(words) and one.fits(problem):
                return one
    return None


def explain(problem: Problem, site: str) -> RunFailure:
    """What is told to the user."""
    fault, node, stuck = named(problem), problem.node, problem.stuck
    again = f"ansible-playbook -i {site} playbooks/provision.yml -e provision_servers={node.name}"
    after = f" after {stuck.seconds:.0f} s" if stuck.seconds else ""
    said = stuck.said or "it gives no reason"
    # Before it is enrolled, its BMC is asked by the head itself; the state is that module's word for the fault.
    whose = f"its BMC, {stuck.state}" if stuck.stage == "claim" else f"Ironic has it in '{stuck.state}'"
    evidence = [f"{whose}{after}: {_short(said)}"]
    evidence += [_short(line) for line in problem.seen.lines()]
    evidence += [f"before: {_short(line)}" for line in problem.seen.history[-2:] if line not in said]
    names = {"site": site, "name": node.name, "bmc": node.bmc.address, "stage": stuck.stage}
    look = fault.next_command.format(**names) if fault else "journalctl -u rackwright-ironic on the head"
    return RunFailure(
        what=STAGES.get(stuck.stage, stuck.stage) + (f" ({fault.name})" if fault else ""),
        where=f"{node.name} (rack {node.rack}, unit {node.unit}, {node.service_tag}, BMC {node.bmc.address})",
        evidence="\n            ".join(evidence),
        cause=fault.cause if fault else "none of those known: Ironic's words above are all that is known",
        next_command=look
        if again in look or stuck.kind == "in use"
        else f"{look}\n            when mended: {again}",
    )


def _short(text: str) -> str:
    # sushy adds Redfish's whole message behind its text.
    flat = " ".join(re.sub(r"Extended information: \[.*\]", "", text, flags=re.S).split())
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST // 2]} […] {flat[-LONGEST // 2 :]}"
