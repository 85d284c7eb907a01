"""Checks of name service and time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from rackwright.checks.base import Check, Command, Evidence, Hint, Need, Verdict, found
from rackwright.derive.model import Node, SiteModel

ASK_DNS = Path(__file__).with_name("ask_dns.py")
MAX_OFFSET = 0.1
"""Seconds a clock may be off: etcd and certificate validity tolerate more, logs of several nodes don't."""
LOCAL_REFERENCE = "7F7F0101"
"""What chrony names as its reference when it serves its own clock."""


def expected_names(model: SiteModel) -> dict[str, IPv4Address]:
    """Every name that the site's DNS must know, with its address."""
    names = {node.fqdn: node.address for node in model.nodes}
    names[model.api_fqdn] = model.api_vip
    names[model.mirror_fqdn] = model.head_address
    names[model.registry.rsplit(":", 1)[0]] = model.head_address
    return names


def reverse_name(address: IPv4Address) -> str:
    """``10.0.0.1`` → ``1.0.0.10.in-addr.arpa.``."""
    return address.reverse_pointer + "."


def judge_names(
    evidence: Evidence, node: Node, key: str, expected: dict[str, IPv4Address], fqdns: set[str]
) -> Verdict:
    """Every expected name has its address, every node's address its name."""
    forward: dict[str, set[str]] = {}
    reverse: dict[str, set[str]] = {}
    aliases: dict[str, str] = {}
    output = evidence.output(node.name, key)
    for line in output.stdout.splitlines():
        words = line.split()
        if len(words) >= 5 and words[3] == "A":
            forward.setdefault(words[0].rstrip(".").lower(), set()).add(words[4])
        elif len(words) >= 5 and words[3] == "CNAME":
            aliases[words[0].rstrip(".").lower()] = words[4].rstrip(".").lower()
        elif len(words) >= 5 and words[3] == "PTR":
            reverse.setdefault(words[0].lower(), set()).add(words[4].rstrip(".").lower())
    if not forward:
        said = [line for line in output.stdout.splitlines() if line.startswith(";;")]
        return Verdict(False, f"no answer: {said[0] if said else output.last_words}")
    problems = []
    for name, address in expected.items():
        seen = forward.get(aliases.get(name.lower(), name.lower()), set())
        if seen != {str(address)}:
            problems.append(f"{name} is {', '.join(sorted(seen)) or 'unknown'}, should be {address}")
        if name in fqdns and name.lower() not in reverse.get(reverse_name(address), set()):
            known = ", ".join(sorted(reverse.get(reverse_name(address), set()))) or "unknown"
            problems.append(f"{address} is {known}, should be {name}")
    return found(problems, f"{len(expected)} names and {len(fqdns)} addresses resolve as the site says")


def judge_time(evidence: Evidence, node: Node, may_be_own: bool) -> Verdict:
    """chrony follows a source (or, on the head node, serves its own clock) and is near it."""
    tracking = evidence.text(node.name, "time-tracking").strip().split(",")
    reference, name, offset = tracking[0], tracking[1], float(tracking[4])
    sources = [line.split(",") for line in evidence.text(node.name, "time-sources").splitlines() if line]
    if reference == LOCAL_REFERENCE:
        listed = ", ".join(f"{source[2]} (reach {source[5]})" for source in sources) or "none"
        return Verdict(may_be_own, f"follows only its own clock; sources: {listed}")
    selected = [source for source in sources if source[1] == "*"]
    # For a moment none may be good enough (~, x, -) while the clock still goes by the last one: chrony itself counts it as
    # synchronised then. Unreachable ones (?) don't count.
    last = [source for source in sources if source[2] == name and source[1] in "-~x" and source[5] != "0"]
    follows = "follows"
    if not selected and last and tracking[-1] == "Normal":
        selected, follows = last, "between two choices; followed last"
    if not selected:
        listed = ", ".join(f"{source[2]} state {source[1]} reach {source[5]}" for source in sources) or "none"
        return Verdict(False, f"no source selected; sources: {listed}")
    good = f"{follows} {name or selected[0][2]}, stratum {tracking[2]}, offset {offset * 1e6:+.0f} µs"
    return Verdict(
        abs(offset) <= MAX_OFFSET, good if abs(offset) <= MAX_OFFSET else f"clock is off by {offset:+.3f} s"
    )


def checks(model: SiteModel) -> Iterator[Check]:
    """DNS from every node by each of the site's servers; time on every node."""
    expected = expected_names(model)
    fqdns = {node.fqdn for node in model.nodes}
    questions: list[str] = []
    for name in expected:
        questions += [f"{name}.", "A"]
    for node in model.nodes:
        questions += [reverse_name(node.address), "PTR"]
    for node in model.nodes:
        for number, server in enumerate(model.dns_servers, start=1):
            key = f"names-{number}"
            ask = Command(
                key, ("python3", "-", str(server), *questions), timeout=60, stdin=ASK_DNS.read_text()
            )
            yield Check(
                "dns.names",
                "dns",
                f"{node.name} by {server}",
                (Need(node.name, ask),),
                partial(judge_names, node=node, key=key, expected=expected, fqdns=fqdns),
                Hint(
                    "dnsmasq on the head node is down or was not given the site's present names",
                    f"ssh {model.head.address} systemctl status dnsmasq; "
                    f"ansible-playbook -i {model.path} playbooks/head.yml --tags head",
                ),
            )
        yield Check(
            "time.source",
            "time",
            node.name,
            (
                Need(node.name, Command("time-tracking", ("chronyc", "-c", "tracking"))),
                Need(node.name, Command("time-sources", ("chronyc", "-c", "sources"))),
            ),
            partial(judge_time, node=node, may_be_own=node.is_head),
            Hint(
                "chrony on the head node does not answer, or UDP 123 is closed",
                f"ssh {node.address} chronyc -n sources -v",
            ),
        )
