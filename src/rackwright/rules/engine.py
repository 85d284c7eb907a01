"""Runs every rule over an intent and puts what it finds at its place in the file."""

from __future__ import annotations

from rackwright.errors import Finding
from rackwright.intent.load import Intent


def check(intent: Intent) -> list[Finding]:
    """The findings of all rules that the intent is complete enough for."""
    return []
