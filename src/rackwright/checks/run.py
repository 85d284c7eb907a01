"""From the checks of a site to their results: which commands go where, the workstation's requests, the
judgement.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rackwright.checks.base import (
    LAYERS,
    WORKSTATION,
    Check,
    CheckResult,
    Command,
    Evidence,
    Output,
    Request,
)
from rackwright.errors import UsageError

SIDE_BY_SIDE = 6
LONGER_S = 30.0
"""Seconds for which a request without an answer is made again, for each time that ``patience`` is more than 1."""
AGAIN_AFTER_S = 3.0


def commands_for(checks: Iterable[Check], place: str, patience: float = 1.0) -> list[dict[str, Any]]:
    """The commands that all checks want run at a place, each once, as arguments of the module
    rackwright_probe. ``patience``: a factor on all their limits of time.
    """
    wanted: dict[str, Command] = {}
    for check in checks:
        for need in check.needs:
            if need.place == place and isinstance(need.what, Command):
                known = wanted.setdefault(need.what.key, need.what)
                if known != need.what:
                    raise ValueError(f"two checks want different commands under '{place}/{need.what.key}'")
    patient = [command.patient(patience) for command in wanted.values()]
    return [{**asdict(c), "argv": list(c.argv), "each": list(c.each)} for c in patient]


def within(checks: Iterable[Check], places: frozenset[str]) -> list[Check]:
    """The checks whose evidence can all be had at ``places`` (``--limit`` narrows them)."""
    known = places | {WORKSTATION}
    return [check for check in checks if all(need.place in known for need in check.needs)]


def ask_workstation(checks: Iterable[Check], evidence: Evidence, patience: float = 1.0) -> None:
    """Make every request of the checks from here, several at a time, and add the outputs to the evidence.

    ``patience`` 1: once, as a service must answer always. More: one that gets no answer is made again for a while,
    as slow machines may be busy with the pods that the checks themselves have just started; the result says so.
    """
    requests: dict[str, Request] = {}
    for check in checks:
        for need in check.needs:
            if isinstance(need.what, Request):
                requests.setdefault(need.what.key, need.what)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        until = time.monotonic() + LONGER_S * (patience - 1)
        outputs = pool.map(lambda request: _asked(request, evidence, until), requests.values())
        for key, output in zip(list(requests), list(outputs), strict=True):
            evidence.add(WORKSTATION, key, output)


def _asked(request: Request, evidence: Evidence, until: float) -> Output:
    ask: Callable[[Evidence], Output] = request.ask
    output, tries = ask(evidence), 1
    while output.rc != 0 and time.monotonic() + AGAIN_AFTER_S < until:
        time.sleep(AGAIN_AFTER_S)
        output, tries = ask(evidence), tries + 1
    return replace(output, tries=tries)


def judge(checks: Iterable[Check], evidence: Evidence) -> list[CheckResult]:
    """Every check's result, in the order of the checks."""
    return [check.evaluate(evidence) for check in checks]


def failed(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Those that did not pass."""
    return [result for result in results if result.result == "failed"]


def write_results(path: Path, results: Sequence[CheckResult], started: str, seconds: float) -> None:
    """Write the results as JSON: ``{"started", "seconds", "checks": […]}``; makes the directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "started": started,
        "seconds": round(seconds, 1),
        "checks": [result.to_dict() for result in results],
    }
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(data, indent=1) + "\n")
    scratch.replace(path)


def read_results(path: Path) -> list[CheckResult]:
    """What ``write_results`` wrote; UsageError when it can't be read."""
    try:
        return [CheckResult(**check) for check in json.loads(path.read_text())["checks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no results of checks: {error}", "rackwright rollout SITE") from None


def table(results: Sequence[CheckResult], width: int = 110) -> str:
    """A summary for people: a line for each layer, then every failed check with evidence and hint."""
    lines = []
    for layer in LAYERS:
        of_layer = [result for result in results if result.layer == layer]
        if of_layer:
            bad = failed(of_layer)
            mark = "FAILED" if bad else "ok"
            kinds = ", ".join(sorted({r.id.split(".", 1)[1] for r in of_layer}))
            lines.append(
                f"{mark:<7}{layer:<9} {len(of_layer) - len(bad):>4} of {len(of_layer):<4} {kinds}"[:width]
            )
    for result in failed(results):
        lines += ["", f"FAILED {result.id}: {result.target}"]
        for title, text in (("evidence", result.evidence), ("cause", result.hint)):
            if text:
                lines += textwrap.wrap(
                    text, width, initial_indent=f"  {title:<9} ", subsequent_indent=" " * 12
                )
    bad = failed(results)
    summary = f"{len(bad)} of {len(results)} checks failed" if bad else f"all {len(results)} checks passed"
    return "\n".join([*lines, "", summary])
