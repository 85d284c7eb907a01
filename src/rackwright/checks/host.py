"""Checks of each machine by itself: links and addresses, frame size to the head node, secrets in sight,
certificates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address

from rackwright.checks.base import Check, Command, Evidence, Hint, Need, Verdict, found
from rackwright.derive.model import Node, SiteModel
from rackwright.render.places import TLS_DIRECTORY

CERTIFICATE_MARGIN = timedelta(days=21)
ICMP_OVERHEAD = 28  # bytes of IPv4 and ICMP headers around a ping's payload

KUBERNETES_PKI = ("/etc/kubernetes/pki", "/var/lib/kubelet/pki")

SECRET_SHAPES = {
    "a kubeadm token": re.compile(r"(?<![\w.])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.])"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a password or token given as an argument": re.compile(
        r"(?i)--?(?:[\w-]*(?:password|passwd|secret|certificate-key|api-key)|token)[= ](?!/|\$|<)[^\s]{6,}"
    ),
    "credentials in a URL": re.compile(r"://[^/\s:@]+:[^/\s@]{4,}@"),
}
"""What no process argument may contain. A path to a file with a secret is allowed."""


def secrets_in(text: str) -> dict[str, str]:
    """Secret-looking things in ``text``: what it looks like → the line, with the secret itself masked."""
    seen: dict[str, str] = {}
    for line in text.splitlines():
        for what, shape in SECRET_SHAPES.items():
            match = shape.search(line)
            if match and what not in seen:
                seen[what] = line.replace(match.group(), match.group()[:8] + "…")[:160].strip()
    return seen


def judge_links(evidence: Evidence, node: Node) -> Verdict:
    """Every interface that the site gives an address is up, has a carrier, its address and its frame size."""
    links = {link["ifname"]: link for link in evidence.json(node.name, "addresses")}
    problems, good = [], []
    for interface in node.interfaces:
        if interface.address is None:
            continue
        link = links.get(interface.name)
        if link is None:
            problems.append(f"no interface {interface.name} (the site gives it {interface.address})")
            continue
        addresses = {
            f"{a['local']}/{a['prefixlen']}" for a in link.get("addr_info", []) if a.get("family") == "inet"
        }
        if "LOWER_UP" not in link.get("flags", []):
            problems.append(f"{interface.name} has no carrier (state {link.get('operstate', 'unknown')})")
        if str(interface.address) not in addresses:
            seen = ", ".join(sorted(addresses)) or "none"
            problems.append(f"{interface.name} should have {interface.address}, has {seen}")
        if link.get("mtu") != interface.mtu:
            problems.append(f"{interface.name} has MTU {link.get('mtu')}, the site says {interface.mtu}")
        good.append(f"{interface.name} {interface.address} mtu {interface.mtu}")
    return found(problems, ", ".join(good))


def judge_frames(evidence: Evidence, node: Node, purposes: tuple[str, ...]) -> Verdict:
    """A full-size unfragmented packet reaches the head node on each network both are on."""
    problems = []
    for purpose in purposes:
        output = evidence.output(node.name, f"ping-{purpose}")
        if output.rc != 0:
            problems.append(f"{purpose}: {output.last_words}")
    return found(problems, f"full-size packets reach the head node on {', '.join(purposes)}")


def judge_hostname(evidence: Evidence, node: Node) -> Verdict:
    """The machine knows itself by the site's name for it."""
    seen = evidence.text(node.name, "hostname").strip()
    return Verdict(seen in (node.name, node.fqdn), f"hostname is {seen}")


def judge_arguments(evidence: Evidence, node: Node) -> Verdict:
    """No process shows a secret in its arguments, where every user of the machine can read them."""
    processes = evidence.text(node.name, "processes")
    problems = [f"{what}: {line}" for what, line in secrets_in(processes).items()]
    return found(problems, f"none in the arguments of {len(processes.splitlines())} processes")


def judge_certificates(evidence: Evidence, node: Node, now: datetime | None = None) -> Verdict:
    """Every certificate of the cluster and of the head's servers on this machine outlasts the margin."""
    now = now or datetime.now(UTC)
    ends: dict[str, datetime] = {}
    problems = []
    for path, output in evidence.each(node.name, "certificates").items():
        match = re.search(r"notAfter=(.+)", output.stdout)
        if output.rc != 0 or not match:
            problems.append(f"{path} can't be read: {output.last_words}")
            continue
        ends[path] = datetime.strptime(match.group(1).strip(), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    if not ends and not problems:
        return Verdict(False, "no certificate found where the site keeps them")
    problems += [
        f"{path} ends {end:%Y-%m-%d}" for path, end in ends.items() if end < now + CERTIFICATE_MARGIN
    ]
    if problems:
        return found(problems, "")
    path, first = min(ends.items(), key=lambda item: item[1])
    return Verdict(True, f"{len(ends)} certificates; the first to end is {path} on {first:%Y-%m-%d}")


def shared_networks(model: SiteModel, node: Node) -> dict[str, IPv4Address]:
    """Networks on which both the node and the head node have an address: purpose → the head node's
    address.
    """
    shared = {}
    for purpose in model.networks:
        here, there = node.interface(purpose), model.head.interface(purpose)
        if here and there and here.address and there.address:
            shared[purpose] = there.address.ip
    return shared


def checks(model: SiteModel) -> Iterator[Check]:
    """The checks of every machine of the site."""
    for node in model.nodes:
        yield Check(
            "cable.links",
            "cable",
            node.name,
            (Need(node.name, Command("addresses", ("ip", "-json", "address"))),),
            partial(judge_links, node=node),
            Hint(
                "A cable in another port than the site file says, a port that is shut, or a network "
                "configuration "
                "that was not applied",
                f"ssh {node.address} networkctl status; ip -br link",
            ),
        )
        purposes = shared_networks(model, node)
        if node.name != model.head.name and purposes:
            pings = []
            for purpose, there in purposes.items():
                size = str(model.networks[purpose].mtu - ICMP_OVERHEAD)
                ping = ("ping", "-c", "3", "-i", "0.2", "-W", "2", "-q", "-M", "do", "-s", size, str(there))
                pings.append(Need(node.name, Command(f"ping-{purpose}", ping, timeout=15)))
            yield Check(
                "cable.frames",
                "cable",
                node.name,
                tuple(pings),
                partial(judge_frames, node=node, purposes=tuple(purposes)),
                Hint(
                    "The switches carry a smaller frame than the site's MTU, the VLAN is missing on a "
                    "port, or the "
                    "head node is down",
                    f"ssh {node.address} ping -M do -s 1472 {model.head.address}; compare the switches' MTU",
                ),
            )
        yield Check(
            "os.hostname",
            "os",
            node.name,
            (Need(node.name, Command("hostname", ("uname", "-n"))),),
            partial(judge_hostname, node=node),
            Hint("Another machine answers at this address", f"compare the service tag: {node.service_tag}"),
        )
        yield Check(
            "os.secrets-in-arguments",
            "os",
            node.name,
            (Need(node.name, Command("processes", ("ps", "-e", "-ww", "-o", "args="))),),
            partial(judge_arguments, node=node),
            Hint("A unit or a script passes a secret on the command line", f"ssh {node.address} ps -ef"),
        )
        holders = (
            *((TLS_DIRECTORY,) if node.is_head else ()),
            *(KUBERNETES_PKI if node.is_kubernetes else ()),
        )
        if holders:
            find = ("find", *holders, "-name", "*.crt", "-o", "-name", "*-current.pem")
            yield Check(
                "os.certificates",
                "os",
                node.name,
                (
                    Need(
                        node.name,
                        Command(
                            "certificates", find, each=("openssl", "x509", "-noout", "-enddate", "-in", "{0}")
                        ),
                    ),
                ),
                partial(judge_certificates, node=node),
                Hint(
                    "Certificates are renewed by an upgrade, or by hand",
                    f"ssh {node.address} kubeadm certs renew all, then restart the control plane's pods",
                ),
            )
