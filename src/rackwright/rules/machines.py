"""Rules of what tells machines apart, and of reaching their controllers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rackwright.intent.document import Path_
from rackwright.intent.hardware_csv import NAME
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts
from rackwright.rules.names import Unique

READ_MAC = "read the right one from the iDRAC (Network Devices) or the pull-out tag"
READ_TAG = "read the right one from the pull-out tag or the iDRAC"
IDENTITY = "operations, hardware identity"
#: What people write until they know better.
PLACEHOLDERS = ("1234567", "ABCDEFG", "ABC1234", "EXAMPLE", "SERVICE", "UNKNOWN", "DEFAULT")


def _macs(facts: Facts) -> Iterator[tuple[Path_, str, str]]:
    """Path, address and owner of every stated MAC address."""
    for at, server in facts.servers:
        yield (*at, "bmc", "mac"), server.bmc.mac, f"the BMC of {server.name}"
        for name, port in server.ports.items():
            yield (*at, "ports", name, "mac"), port.mac, f"{server.name} {name}"


class DuplicateMac(Unique):
    id = "duplicate-mac"
    what = "No MAC address is stated twice."
    why = "The boot service tells servers apart by it, and switches would send packets to the wrong one."
    mend = "Read the right one from the iDRAC or the label."
    source = IDENTITY
    label = "MAC address"
    hint = READ_MAC

    def stated(self, facts: Facts) -> Iterable[tuple[Path_, str, str]]:
        # Those that are nobody's are another rule's.
        return ((path, mac, owner) for path, mac, owner in _macs(facts) if not _nobodys(mac))


def _nobodys(mac: str) -> str:
    """Why no port can have the address; empty where one can."""
    if mac == "ff:ff:ff:ff:ff:ff":
        return "the broadcast address"
    if int(mac[:2], 16) & 1:
        return "a group's (multicast)"
    if mac.startswith("00:00:00"):
        return "no maker's: a placeholder"
    return ""


class MacOfNobody(Rule):
    id = "mac-of-nobody"
    what = "A MAC address is one that a port can have: no zeros, no broadcast, no group's."
    why = "The server would never be recognised when it boots."
    mend = "Read the right one from the iDRAC or the label."
    source = IDENTITY

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, mac, owner in _macs(facts):
            if why := _nobodys(mac):
                yield Fault(path, f"MAC address {mac} of {owner} is {why}", READ_MAC)


class LocalMac(Rule):
    id = "local-mac"
    severity = "warning"
    what = "A MAC address is its maker's, not one assigned locally."
    why = "Hardware has a maker's address: another one was made up, or read from a bond or a virtual port."
    mend = "Read the right one from the iDRAC or the label."
    source = IDENTITY

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, mac, owner in _macs(facts):
            if int(mac[:2], 16) & 2 and not _nobodys(mac):
                yield Fault(path, f"MAC address {mac} of {owner} is locally assigned, no maker's", READ_MAC)


class DuplicateServiceTag(Unique):
    id = "duplicate-service-tag"
    what = "No service tag is stated twice."
    why = "It tells the machines apart before they have addresses: one would be set up as the other."
    mend = "Read the right one from the pull-out tag or the iDRAC."
    source = IDENTITY
    label = "service tag"
    hint = READ_TAG

    def stated(self, facts: Facts) -> Iterable[tuple[Path_, str, str]]:
        for at, server in facts.servers:
            if not _placeholder(server.service_tag):
                yield (*at, "service_tag"), server.service_tag, server.name


def _placeholder(tag: str) -> bool:
    return len(set(tag)) == 1 or tag in PLACEHOLDERS


def _numbered(tag: str) -> bool:
    """Whether it is one of those that ``rackwright size --site-file`` gives, each once."""
    return tag.startswith("PLH") and tag[3:].isdecimal()


class ServiceTagPlaceholder(Rule):
    id = "service-tag-placeholder"
    severity = "warning"
    what = "A service tag is a machine's, not a placeholder."
    why = "The server is recognised by it, and its warranty is kept under it."
    mend = "Read the right one from the pull-out tag or the iDRAC."
    source = IDENTITY

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            if _placeholder(server.service_tag) or _numbered(server.service_tag):
                message = f"service tag {server.service_tag} of {server.name} looks like a placeholder"
                yield Fault((*at, "service_tag"), message, READ_TAG)


class HeadReachesBmcs(Rule):
    id = "head-reaches-bmcs"
    severity = "warning"
    what = "The head node has an address on the oob network."
    why = "It switches servers on and off and sets their BIOS through their iDRACs, which answer there only."
    mend = "State addresses.oob and ports.lom1 of the head node."
    source = "chapter 4, networking design"

    def check(self, facts: Facts) -> Iterator[Fault]:
        oob = facts.networks.get("oob")
        # With a DHCP range the address is needed for that too: another rule's, and an error.
        if oob is None or oob.dhcp_range is not None:
            return
        for at, server in facts.roles["head"]:
            if server.addresses.oob is None:
                message = f"{server.name} has no address on oob: it can't reach the servers' iDRACs"
                hint = f"add 'oob': {facts.free_address('oob')}"
                yield Fault((*at, "addresses"), message, hint, key=True)


class HardwareUnused(Rule):
    id = "hardware-unused"
    severity = "warning"
    what = "Each line of the hardware file is of a server of the site."
    why = "It would silently do nothing: most often the name is misspelt, or the server was forgotten."
    mend = "Correct the name, add the server, or remove the line."
    source = IDENTITY
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        hardware = facts.hardware
        if hardware is None:
            return
        known = {server.name for _, server in facts.servers}
        unused = [name for name in hardware.rows if name not in known]
        if not unused:
            return
        first, last = unused[0], unused[-1]
        message = f"the line of '{first}' is of no server of the site" if first else "the line has no name"
        if len(unused) > 1:
            ending = f"line {hardware.rows[last][0]} (" + (f"'{last}')" if last else "no name)")
            message += f"; {len(unused) - 1} more are of none, {'to ' if len(unused) > 2 else ''}{ending}"
        hint = facts.alike(first, known) or "correct the name, add the server, or remove the line"
        yield Fault(("hardware",), message, hint, mark=hardware.mark(first, NAME))


RULES: tuple[type[Rule], ...] = (
    DuplicateMac,
    MacOfNobody,
    LocalMac,
    DuplicateServiceTag,
    ServiceTagPlaceholder,
    HeadReachesBmcs,
    HardwareUnused,
)
