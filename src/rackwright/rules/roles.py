"""Rules of who does what: heads, control planes, workers, and what they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rackwright.intent.document import Path_
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

CONTROL_PLANES = 3
HEADS = 2
MANAGEMENT = "chapter 4, management server configuration"
TABLE = "table 4"


class NoHead(Rule):
    id = "no-head"
    what = "A server has the role head."
    why = "It is the site's mirror, name and time service: nothing can be installed without it."
    mend = "Give the role to one R660."
    source = MANAGEMENT
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if not facts.roles["head"]:
            message = "no server has the role head: nothing would serve packages, images, names and time"
            yield Fault(("servers",), message, "add the role head to one R660", key=True)


class TooManyHeads(Rule):
    id = "too-many-heads"
    what = "Two servers at most have the role head."
    why = "One is active and one waits: a third would have no part."
    mend = "Keep the role on two servers."
    source = MANAGEMENT
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.roles["head"][HEADS:]:
            path: Path_ = (*at, "roles", server.roles.index("head"))
            yield Fault(path, f"{server.name} is one head too many", "an active one and a waiting one: two")


class HeadVip(Rule):
    id = "head-vip"
    what = "Two head nodes share an address: head.vip."
    why = "Nodes know the mirror, DNS and time by one address, which goes over to the head that is active."
    mend = "State head.vip, or keep the role head on one server."
    source = MANAGEMENT
    needs = frozenset({"servers", "head"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        heads = facts.roles["head"]
        if len(heads) < HEADS or facts.head is not None:
            return
        (first_at, first), (at, second) = heads[:HEADS]
        path: Path_ = (*at, "roles", second.roles.index("head"))
        where = facts.line_of(first_at, path)
        message = f"{second.name} is a second head beside {first.name} ({where}), but they share no address"
        yield Fault(path, message, f"state head.vip, or remove 'head' here or from {first.name}")


class HeadVipNeedless(Rule):
    id = "head-vip-needless"
    what = "A site with head.vip has two head nodes."
    why = "Nobody would hold the address: a single head is known by its own."
    mend = "Give a second server the role head, or remove the section."
    source = MANAGEMENT
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.head is not None and len(facts.roles["head"]) == 1:
            name = facts.roles["head"][0][1].name
            message = f"head.vip is to be shared, but {name} is the only head"
            hint = "give a second R660 the role head, or remove the section"
            yield Fault(("head", "vip"), message, hint)


class HeadsApart(Rule):
    id = "heads-apart"
    severity = "warning"
    what = "Two head nodes stand in different racks, where there are several."
    why = "One rack's power would take both."
    mend = "Move one of the two."
    source = "operations, racks"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        heads = facts.roles["head"]
        if len(heads) == HEADS and facts.rack_count > 1 and heads[0][1].rack == heads[1][1].rack:
            at, second = heads[1]
            message = f"both heads, {heads[0][1].name} and {second.name}, stand in rack {second.rack}"
            yield Fault((*at, "rack"), message, "move one of the two to another rack")


class ThreeControlPlanes(Rule):
    id = "three-control-planes"
    what = f"{CONTROL_PLANES} servers have the role control_plane."
    why = "etcd keeps answering with one of three lost; fewer can lose none, more are slower."
    mend = "Give the role to three R660s."
    source = TABLE
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        planes = facts.roles["control_plane"]
        if len(planes) != CONTROL_PLANES:
            names = ", ".join(server.name for _, server in planes[:8]) or "none"
            message = f"the control plane has {len(planes)} servers ({names}), not {CONTROL_PLANES}"
            hint = f"give the role control_plane to {CONTROL_PLANES} servers of profile r660"
            yield Fault(("servers",), message, hint, key=True)


class ControlPlanesApart(Rule):
    id = "control-planes-apart"
    severity = "warning"
    what = "The control planes are spread over the racks as far as there are racks."
    why = "A rack that holds two of three takes the cluster's memory with it when its power fails."
    mend = "Put each of them into a rack of its own; with two racks, two and one."
    source = "operations, racks"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        planes = facts.roles["control_plane"]
        most = -(-CONTROL_PLANES // max(1, min(facts.rack_count, CONTROL_PLANES)))
        held: Counter[str] = Counter()
        if len(planes) != CONTROL_PLANES:
            return
        for at, server in planes:
            held[server.rack] += 1
            if held[server.rack] == most + 1:
                number = sum(other.rack == server.rack for _, other in planes)
                message = f"rack {server.rack} holds {number} of {CONTROL_PLANES} control planes"
                yield Fault((*at, "rack"), message, f"the site has {facts.rack_count} racks: spread them")


class ControlPlanesAlike(Rule):
    id = "control-planes-alike"
    severity = "warning"
    what = "The control planes have one profile."
    why = "The design recommends the same hardware for all three: any of them can take another's part."
    mend = "Take three servers of one profile."
    source = MANAGEMENT
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        planes = facts.roles["control_plane"]
        for at, server in planes[1:]:
            first = planes[0][1]
            if server.profile != first.profile and _may(facts, server.profile, "control_plane"):
                message = f"{server.name} is of profile {server.profile}, {first.name} of {first.profile}"
                yield Fault((*at, "profile"), message, "take one profile for all control planes")


def _may(facts: Facts, profile: str, role: str) -> bool:
    return role in facts.catalogue.servers[profile].roles


class SomeWorker(Rule):
    id = "some-worker"
    what = "One server at least has the role gpu_worker."
    why = "Nothing could be served: the minimum is one."
    mend = "Add a GPU server."
    source = "chapter 4, GPU worker node configuration"
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        if not facts.roles["gpu_worker"]:
            message = "no server has the role gpu_worker: nothing can be served"
            yield Fault(("servers",), message, "add a server of profile r760xa, xe8640 or xe9680", key=True)


class RolesOfProfile(Rule):
    id = "role-of-profile"
    what = "A server's roles are those that its profile was validated for."
    why = "An R660 has no GPUs, and a GPU server as control plane would stop serving when etcd is busy."
    mend = "Take a role of the profile."
    source = "tables 4 to 7"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            for index, role in enumerate(server.roles):
                if not _may(facts, server.profile, role):
                    message = f"{server.name}: profile {server.profile} was not validated for the role {role}"
                    allowed = ", ".join(facts.catalogue.servers[server.profile].roles)
                    yield Fault((*at, "roles", index), message, f"its roles: {allowed}")


class RoleTwice(Rule):
    id = "role-twice"
    what = "A server has each role once."
    why = "The second is a slip, and most often meant to be another."
    mend = "Remove one of them."
    source = "operations, roles"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.servers:
            for index, role in enumerate(server.roles):
                if role in server.roles[:index]:
                    message = f"{server.name} has the role {role} twice"
                    yield Fault((*at, "roles", index), message, "remove one of them")


class HeadIsControlPlane(Rule):
    id = "head-is-control-plane"
    severity = "warning"
    what = "The head node is one of the control planes."
    why = "The design runs three R660s for both; a fourth one for the head alone was not validated."
    mend = "Add the role control_plane to the head node."
    source = MANAGEMENT
    needs = frozenset({"servers"})

    def check(self, facts: Facts) -> Iterator[Fault]:
        # With fewer than three control planes that is the fault, and another rule's.
        if len(facts.roles["control_plane"]) != CONTROL_PLANES:
            return
        for at, server in facts.roles["head"]:
            if "control_plane" not in server.roles:
                message = f"{server.name} is the head node, but no control plane"
                yield Fault((*at, "roles"), message, "roles: [head, control_plane], as in table 4")


class WorkerExternal(Rule):
    id = "worker-external"
    what = "A GPU worker has an address on the external network."
    why = "The workers announce the served models' addresses there."
    mend = "State addresses.external."
    source = "chapter 4, networking design"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, server in facts.roles["gpu_worker"]:
            if server.addresses.external is None:
                message = f"{server.name} is a GPU worker without an address on the external network"
                hint = f"add 'external': {facts.free_address('external')}"
                yield Fault((*at, "addresses"), message, hint, key=True)


class HeadOob(Rule):
    id = "head-oob"
    what = "The head node has an address on the oob network where that has a DHCP range."
    why = "It serves DHCP and the boot files there."
    mend = "State addresses.oob and ports.lom1 of the head node."
    source = "chapter 4, networking design"

    def check(self, facts: Facts) -> Iterator[Fault]:
        oob = facts.networks.get("oob")
        for at, server in facts.roles["head"]:
            if oob is not None and oob.dhcp_range is not None and server.addresses.oob is None:
                message = f"{server.name} serves DHCP on the oob network, but has no address there"
                hint = f"add 'oob': {facts.free_address('oob')}"
                yield Fault((*at, "addresses"), message, hint, key=True)


RULES: tuple[type[Rule], ...] = (
    NoHead,
    TooManyHeads,
    HeadVip,
    HeadVipNeedless,
    HeadsApart,
    ThreeControlPlanes,
    ControlPlanesApart,
    ControlPlanesAlike,
    SomeWorker,
    RolesOfProfile,
    RoleTwice,
    HeadIsControlPlane,
    WorkerExternal,
    HeadOob,
)
