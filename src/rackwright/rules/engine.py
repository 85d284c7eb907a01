"""Runs every rule over an intent and puts what it finds at its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.errors import Finding
from rackwright.intent.document import Document
from rackwright.intent.load import Intent
from rackwright.rules import (
    addresses,
    cabling,
    hardware,
    machines,
    metal,
    names,
    networks,
    placement,
    ports,
    racks,
    release,
    roles,
    secrets,
    services,
)
from rackwright.rules.base import Described, Fault, Rule
from rackwright.rules.facts import Facts
from rackwright.rules.grammar import GRAMMAR
from rackwright.rules.waivers import WAIVERS, Waived, waive

SUBJECTS: Mapping[str, tuple[type[Rule], ...]] = {
    "Networks": networks.RULES,
    "Addresses": addresses.RULES,
    "Names": names.RULES,
    "Machines": machines.RULES,
    "Racks": racks.RULES,
    "Ports": ports.RULES,
    "Cables": cabling.RULES,
    "Roles": roles.RULES,
    "Hardware": (*hardware.RULES, *metal.RULES),
    "Releases": release.RULES,
    "Served models": placement.RULES,
    "Storage, names, time, ssh": services.RULES,
    "Secrets": secrets.RULES,
}
RULES: tuple[type[Rule], ...] = tuple(rule for rules in SUBJECTS.values() for rule in rules)
#: Everything that may be found, by subject: the rules, what is said of waivers, and what reading the files finds.
DESCRIBED: Mapping[str, tuple[type[Described], ...]] = {
    **SUBJECTS,
    "Waivers": WAIVERS,
    "Reading the files": GRAMMAR,
}
KNOWN: Mapping[str, type[Described]] = {one.id: one for ones in DESCRIBED.values() for one in ones}


@dataclass(frozen=True)
class Checked:
    """What the rules found: what is open, and the warnings that the site waives."""

    findings: tuple[Finding, ...] = ()
    waived: tuple[Waived, ...] = ()


def check(intent: Intent) -> Checked:
    """The findings of all rules that the intent is complete enough for; none for an unreadable file."""
    if not intent.document.data:
        return Checked()
    facts = Facts.of(intent)
    found = [
        _finding(intent.document, rule, fault)
        for rule in RULES
        if not rule.needs & intent.broken
        for fault in rule().check(facts)
    ]
    open_, waived = waive(intent, list(dict.fromkeys(found)), KNOWN)
    return Checked(tuple(open_), tuple(waived))


def _finding(document: Document, rule: type[Rule], fault: Fault) -> Finding:
    if fault.mark is not None:
        mark = fault.mark
        return Finding(
            rule.id, rule.severity, mark.file, mark.line, mark.column, "", fault.message, fault.hint
        )
    return document.finding(
        rule.id, fault.path, fault.message, fault.hint, key=fault.key, severity=rule.severity
    )
