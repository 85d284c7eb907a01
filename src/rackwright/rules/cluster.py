"""Rules of the cluster: releases, roles and what they need."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright import catalog
from rackwright.intent import schema
from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.load import Intent
from rackwright.rules.base import Fault, Rule, free_address, line_of

CONTROL_PLANES = 3


class UnknownRelease(Rule):
    id = "unknown-release"
    what = "The release is in the catalogue, and not at its end of life."
    why = "Only versions that were tested together are installed, and only while their makers mend them."
    mend = "Take the current release."

    def check(self, intent: Intent) -> Iterator[Fault]:
        if intent.site is None:
            return
        releases, name = catalog.releases(), intent.site.release
        current = sorted(key for key, release in releases.items() if release.status == "current")
        if name not in releases:
            yield Fault(("site", "release"), f"there is no release '{name}'", did_you_mean(name, releases))
        elif releases[name].status != "current":
            message = f"release {name} is '{releases[name].status}' and no longer for new sites"
            yield Fault(("site", "release"), message, f"current: {', '.join(current)}")


class UnknownDistribution(Rule):
    id = "unknown-distribution"
    what = "The nodes' operating system is in the catalogue."
    why = "Names of packages, services and files come from there."
    mend = "Take a key of catalog/distributions.yml."

    def check(self, intent: Intent) -> Iterator[Fault]:
        if intent.site is None or intent.site.distribution in catalog.distributions():
            return
        name = intent.site.distribution
        hint = did_you_mean(name, catalog.distributions())
        yield Fault(("site", "distribution"), f"the roles don't know the distribution '{name}'", hint)


def _with_role(intent: Intent, role: str) -> list[tuple[Path_, schema.Server]]:
    return [(at, server) for at, server in intent.servers if role in server.roles]


class OneHead(Rule):
    id = "one-head"
    what = "One server has the role head."
    why = "It is the site's mirror, name and time service; two without shared state answer differently."
    mend = "Keep the role on one server."
    needs = frozenset({"servers"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        heads = _with_role(intent, "head")
        if not heads:
            message = "no server has the role head: nothing would serve packages, images, names and time"
            yield Fault(("servers",), message, "add the role head to one R660", key=True)
        for at, server in heads[1:]:
            path: Path_ = (*at, "roles", server.roles.index("head"))
            first_at, first = heads[0]
            where = line_of(intent, first_at, path)
            message = (
                f"{server.name} is a second head beside {first.name} ({where}), without high availability"
            )
            yield Fault(path, message, f"remove 'head' here or from {first.name}")


class ThreeControlPlanes(Rule):
    id = "three-control-planes"
    what = f"{CONTROL_PLANES} servers have the role control_plane."
    why = (
        "etcd keeps answering with one of three lost; fewer can lose none, more are slower (design, table 4)."
    )
    mend = "Give the role to three R660s."
    needs = frozenset({"servers"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        planes = _with_role(intent, "control_plane")
        if len(planes) != CONTROL_PLANES:
            names = ", ".join(server.name for _, server in planes) or "none"
            message = f"the control plane has {len(planes)} servers ({names}), not {CONTROL_PLANES}"
            hint = f"give the role control_plane to {CONTROL_PLANES} servers of profile r660"
            yield Fault(("servers",), message, hint, key=True)


class SomeWorker(Rule):
    id = "some-worker"
    what = "One server at least has the role gpu_worker."
    why = "Nothing could be served (design, chapter 4: the minimum is one)."
    mend = "Add a GPU server."
    needs = frozenset({"servers"})

    def check(self, intent: Intent) -> Iterator[Fault]:
        if not _with_role(intent, "gpu_worker"):
            message = "no server has the role gpu_worker: nothing can be served"
            yield Fault(("servers",), message, "add a server of profile r760xa, xe8640 or xe9680", key=True)


class RolesOfProfile(Rule):
    id = "role-of-profile"
    what = "A server's roles are those that its profile was validated for, each once."
    why = "An R660 has no GPUs, and a GPU server as control plane would stop serving when etcd is busy."
    mend = "Take a role of the profile."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, server in intent.servers:
            allowed = intent.catalogue.servers[server.profile].roles
            for index, role in enumerate(server.roles):
                path: Path_ = (*at, "roles", index)
                if role not in allowed:
                    message = f"{server.name}: profile {server.profile} was not validated for the role {role}"
                    yield Fault(path, message, f"its roles: {', '.join(allowed)}")
                elif role in server.roles[:index]:
                    yield Fault(path, f"{server.name} has the role {role} twice", "remove one of them")


class HeadIsControlPlane(Rule):
    id = "head-is-control-plane"
    severity = "warning"
    what = "The head node is one of the control planes."
    why = "The design runs three R660s for both; a fourth one for the head alone was not validated."
    mend = "Add the role control_plane to the head node."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, server in _with_role(intent, "head"):
            if "control_plane" not in server.roles:
                message = f"{server.name} is the head node, but no control plane"
                yield Fault(
                    (*at, "roles"), message, "roles: [head, control_plane], as in the design's table 4"
                )


class WorkerExternal(Rule):
    id = "worker-external"
    what = "A GPU worker has an address on the external network."
    why = "The workers announce the served models' addresses there."
    mend = "State addresses.external."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, server in _with_role(intent, "gpu_worker"):
            if server.addresses.external is None:
                message = f"{server.name} is a GPU worker without an address on the external network"
                yield Fault(
                    (*at, "addresses"),
                    message,
                    f"add 'external': {free_address(intent, 'external')}",
                    key=True,
                )


class HeadOob(Rule):
    id = "head-oob"
    what = "The head node has an address on the oob network where that has a DHCP range."
    why = "It serves DHCP and the boot files there."
    mend = "State addresses.oob and ports.lom1 of the head node."

    def check(self, intent: Intent) -> Iterator[Fault]:
        oob = intent.networks.get("oob")
        for at, server in _with_role(intent, "head"):
            if oob is not None and oob.dhcp_range is not None and server.addresses.oob is None:
                message = f"{server.name} serves DHCP on the oob network, but has no address there"
                yield Fault(
                    (*at, "addresses"), message, f"add 'oob': {free_address(intent, 'oob')}", key=True
                )


class GpuOptions(Rule):
    id = "gpu-option"
    what = "Stated GPUs are among those that the profile takes."
    why = "Others don't fit the chassis, or were not validated."
    mend = "Take an option of catalog/servers.yml, or leave 'gpus' out for the usual ones."

    def check(self, intent: Intent) -> Iterator[Fault]:
        for at, server in intent.servers:
            if server.gpus is None:
                continue
            options = {option.product: option for option in intent.catalogue.servers[server.profile].gpus}
            option = options.get(server.gpus.product)
            if not options:
                message = f"{server.name}: profile {server.profile} takes no GPUs"
                yield Fault((*at, "gpus"), message, "remove 'gpus'", key=True)
            elif option is None:
                message = f"{server.name}: profile {server.profile} doesn't take '{server.gpus.product}'"
                yield Fault((*at, "gpus", "product"), message, did_you_mean(server.gpus.product, options))
            elif server.gpus.count not in option.counts:
                counts = " or ".join(str(count) for count in sorted(option.counts))
                message = f"{server.name}: {server.gpus.count} x {option.product} is not a validated number"
                yield Fault((*at, "gpus", "count"), message, f"profile {server.profile} takes {counts}")


RULES: tuple[type[Rule], ...] = (
    UnknownRelease,
    UnknownDistribution,
    OneHead,
    ThreeControlPlanes,
    SomeWorker,
    RolesOfProfile,
    HeadIsControlPlane,
    WorkerExternal,
    HeadOob,
    GpuOptions,
)
