"""Runs every rule over an intent and puts what it finds at its place in the file."""

from __future__ import annotations

from rackwright.errors import Finding
from rackwright.intent.load import Intent
from rackwright.rules import addresses, cabling, cluster, identity, networks, serving
from rackwright.rules.base import Rule

RULES: tuple[type[Rule], ...] = (
    *networks.RULES,
    *addresses.RULES,
    *identity.RULES,
    *cabling.RULES,
    *cluster.RULES,
    *serving.RULES,
)


def check(intent: Intent) -> list[Finding]:
    """The findings of all rules that the intent is complete enough for; none for an unreadable file."""
    if not intent.document.data:
        return []
    found: list[Finding] = []
    for rule in RULES:
        if rule.needs & intent.broken:
            continue
        for fault in rule().check(intent):
            found.append(
                intent.document.finding(
                    rule.id, fault.path, fault.message, fault.hint, key=fault.key, severity=rule.severity
                )
            )
    return list(dict.fromkeys(found))
