"""Helpers of the checks' tests: alter recorded evidence, find a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rackwright.checks import Check, Evidence, Output, all_checks
from rackwright.derive.model import SiteModel


def change(
    evidence: Evidence, place: str, key: str, edit: Callable[[str], str] | None = None, **facts: Any
) -> None:
    """Alter one recorded output: its text by ``edit``, and ``rc`` or ``stderr``."""
    was = evidence.output(place, key)
    text = edit(was.stdout) if edit else was.stdout
    evidence.add(
        place, key, Output(facts.get("rc", was.rc), text, facts.get("stderr", was.stderr), was.seconds)
    )


def the_check(model: SiteModel, id_: str, target: str = "") -> Check:
    """The check of that id, the first one whose target begins so."""
    return next(c for c in all_checks(model) if c.id == id_ and c.target.startswith(target))
