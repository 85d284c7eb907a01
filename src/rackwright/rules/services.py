"""Rules of what the site stands on: external storage, names, time, ssh."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rackwright.intent.document import Path_
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

STORAGE = "chapter 4, storage infrastructure"
#: Kinds of key that today's OpenSSH refuses.
OLD_KEYS = ("ssh-dss",)


class StorageNetwork(Rule):
    id = "storage-network"
    what = "A site with external storage has a storage network."
    why = "Nothing else leads to it."
    mend = "State networks.storage, or remove the section 'storage'."
    source = STORAGE
    needs = frozenset({"networks"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.storage is not None and "storage" not in facts.networks:
            message = f"storage {facts.storage.name} is asked for, but the site has no storage network"
            yield Fault(("storage",), message, "add networks.storage, or remove this section", key=True)


class WorkerStorage(Rule):
    id = "worker-storage"
    what = "Where there is external storage, each GPU worker has an address on the storage network."
    why = "The worker couldn't load the models that are kept there."
    mend = "State addresses.storage."
    source = STORAGE

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.storage is None or "storage" not in facts.networks:
            return
        for at, server in facts.roles["gpu_worker"]:
            # An adapter for storage without an address is another rule's.
            if server.addresses.storage is None and "nic1" not in server.ports:
                message = f"{server.name} has no address on the storage network: it can't reach {facts.storage.name}"
                hint = f"add 'storage': {facts.free_address('storage')}"
                yield Fault((*at, "addresses"), message, hint, key=True)


class StorageNetworkUnused(Rule):
    id = "storage-network-unused"
    severity = "warning"
    what = "A storage network has a server on it."
    why = "Most often the servers' addresses on it were forgotten."
    mend = "State addresses.storage of the servers, or remove the network."
    source = STORAGE
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        # With external storage that is the workers' fault.
        if "storage" not in facts.networks or facts.storage is not None:
            return
        if not any(server.addresses.storage for _, server in facts.servers):
            message = "no server has an address on the storage network"
            yield Fault(("networks", "storage"), message, "add addresses.storage, or remove it", key=True)


class OwnUpstream(Rule):
    id = "own-upstream"
    what = "Upstream servers for names and time are outside the site."
    why = "A question would come back to whoever asked it, and go round for ever."
    mend = "Name a server of the data centre, or none where there is none."
    source = "operations, DNS and NTP"

    def check(self, facts: Facts) -> Iterator[Fault]:
        owners = {s.address: s.owner for s in facts.stated if s.path[0] != "networks"}
        upstreams: list[tuple[Path_, str]] = [
            (("dns", "upstreams", index), str(address)) for index, address in enumerate(facts.dns.upstreams)
        ]
        upstreams += [(("ntp", "upstreams", index), host) for index, host in enumerate(facts.ntp.upstreams)]
        for path, host in upstreams:
            address = _address(host)
            if address in owners:
                message = f"the upstream {host} is {owners[address]}, of this very site"
                yield Fault(path, message, "name a server of the data centre, or none")


def _address(host: str) -> IPv4Address | None:
    try:
        return IPv4Address(host)
    except ValueError:
        return None


class NtpName(Rule):
    id = "ntp-name"
    severity = "warning"
    what = "A time server that is given by name can be looked up."
    why = "Without DNS upstreams the head node knows only the site's own names: its clock would drift."
    mend = "Give the time server's address, or state dns.upstreams."
    source = "operations, NTP"

    def check(self, facts: Facts) -> Iterator[Fault]:
        domain = f".{facts.site.domain}" if facts.site is not None else "."
        if facts.dns.upstreams or "dns" in facts.broken:
            return
        for index, host in enumerate(facts.ntp.upstreams):
            if _address(host) is None and not host.lower().endswith(domain):
                message = f"nobody can look up the time server '{host}': the site has no dns.upstreams"
                yield Fault(("ntp", "upstreams", index), message, "give its address, or state dns.upstreams")


class UnknownTimezone(Rule):
    id = "unknown-timezone"
    severity = "warning"
    what = "The time zone is one of the IANA time zone database."
    why = "The nodes refuse any other, and their installation stops there."
    mend = "Take the name that timedatectl list-timezones shows, such as Europe/Berlin."
    source = "operations, time"

    def check(self, facts: Facts) -> Iterator[Fault]:
        # A machine without the database can't tell: UTC is in every one.
        if facts.site is not None and _zone("Etc/UTC") and not _zone(facts.site.timezone):
            message = f"there is no time zone '{facts.site.timezone}'"
            yield Fault(("site", "timezone"), message, "timedatectl list-timezones shows all of them")


def _zone(name: str) -> bool:
    """Whether this machine's time zone database has the name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


class OldKey(Rule):
    id = "old-key"
    what = "An authorised key is of a kind that OpenSSH still takes."
    why = "Its owner could not log in."
    mend = "Make a new one: ssh-keygen -t ed25519."
    source = "operations, ssh"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for index, key in enumerate(facts.access.authorized_keys):
            kind = key.split()[0]
            if kind in OLD_KEYS:
                message = f"OpenSSH takes no {kind} keys any more"
                path: Path_ = ("access", "authorized_keys", index)
                yield Fault(path, message, "make a new one: ssh-keygen -t ed25519")


class KeyTwice(Rule):
    id = "key-twice"
    severity = "warning"
    what = "An authorised key is stated once."
    why = "Whoever takes one of the two away believes that its owner is locked out."
    mend = "Remove one of them."
    source = "operations, ssh"

    def check(self, facts: Facts) -> Iterator[Fault]:
        seen: dict[str, int] = {}
        for index, key in enumerate(facts.access.authorized_keys):
            first = seen.setdefault(" ".join(key.split()[:2]), index)
            if first != index:
                path: Path_ = ("access", "authorized_keys", index)
                where = facts.line_of(("access", "authorized_keys", first), path)
                yield Fault(path, f"the key stands there already ({where})", "remove one of them")


RULES: tuple[type[Rule], ...] = (
    StorageNetwork,
    WorkerStorage,
    StorageNetworkUnused,
    OwnUpstream,
    NtpName,
    UnknownTimezone,
    OldKey,
    KeyTwice,
)
