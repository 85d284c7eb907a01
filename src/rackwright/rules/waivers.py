"""Waivers: warnings that a site's owner accepts, each with a reason; errors can't be waived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rackwright.errors import Finding
from rackwright.intent.document import Path_
from rackwright.intent.explain import did_you_mean
from rackwright.intent.load import Intent
from rackwright.rules.base import Described

SOURCE = "operations, waivers"


class UnknownWaiver(Described):
    id = "unknown-waiver"
    what = "A waiver names a rule that there is."
    why = "It would silently do nothing."
    mend = "Take the id that the warning shows in brackets."
    source = SOURCE


class WaivedError(Described):
    id = "waived-error"
    what = "Only warnings are waived."
    why = "With an error the site can't work as it is stated, whatever the reason."
    mend = "Mend the error, and remove the waiver."
    source = SOURCE


class UnusedWaiver(Described):
    id = "unused-waiver"
    severity = "warning"
    what = "A waiver matches a warning."
    why = "What it accepted is no more; left standing, it would hide the next one of its kind."
    mend = "Remove it, or correct its 'at'."
    source = SOURCE


WAIVERS: tuple[type[Described], ...] = (UnknownWaiver, WaivedError, UnusedWaiver)


@dataclass(frozen=True)
class Waived:
    """A warning that was waived, and why."""

    finding: Finding
    reason: str


def waive(
    intent: Intent, findings: Sequence[Finding], known: Mapping[str, type[Described]]
) -> tuple[list[Finding], list[Waived]]:
    """The findings that stay open, with those of the waivers themselves; and the waived warnings.

    ``known`` are all rules by id.
    """
    open_: list[Finding] = []
    waived: list[Waived] = []
    used: set[Path_] = set()
    for finding in findings:
        paths = (finding.path, intent.document.of_whole_range(finding))
        matching = [
            (at, w)
            for at, w in intent.waivers
            if w.rule == finding.rule and any(_covers(w.at, p) for p in paths)
        ]
        used |= {at for at, _ in matching}
        if matching and finding.severity == "warning":
            waived.append(Waived(finding, matching[0][1].reason))
        else:
            open_.append(finding)
    # Where there are errors, one of them may be why a warning isn't there.
    faultless = intent.file is not None and all(finding.severity == "warning" for finding in open_)
    open_ += _of_waivers(intent, used if faultless else None, known)
    return open_, waived


def _covers(at: str | None, path: str | None) -> bool:
    """Whether ``at`` is the first parts of the path, or with a * at its end any beginning."""
    if at is None or path is None:
        return path is not None
    return path.startswith(at[:-1]) if at.endswith("*") else f"{path}.".startswith(f"{at}.")


def _of_waivers(
    intent: Intent, used: set[Path_] | None, known: Mapping[str, type[Described]]
) -> Iterable[Finding]:
    """What is wrong with waivers; ``used`` are those that matched, None where that can't be said."""
    for at, waiver in intent.waivers:
        rule, path = known.get(waiver.rule), (*at, "rule")
        if rule is None:
            message, hint = f"there is no rule '{waiver.rule}'", did_you_mean(waiver.rule, known)
            yield intent.document.finding(UnknownWaiver.id, path, message, hint)
        elif rule.severity == "error":
            message = f"'{waiver.rule}' reports errors, which can't be waived"
            yield intent.document.finding(
                WaivedError.id, path, message, "mend the error, and remove the waiver"
            )
        elif used is not None and at not in used:
            place = f" at {waiver.at}" if waiver.at else ""
            message = f"no warning of '{waiver.rule}'{place} is there to be waived"
            severity = UnusedWaiver.severity
            hint = "remove it, or correct its 'at'"
            yield intent.document.finding(UnusedWaiver.id, path, message, hint, severity=severity)
