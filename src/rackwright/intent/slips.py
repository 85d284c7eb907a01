"""Slips of YAML that the parser words badly: a series without quotes, a key without a blank behind its colon."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

# Text with braces in it, as series have it: no blanks, no quotes; a block in braces has a blank after its colons.
_TEXT = r"""[^\s,\[\]{}"'#]*"""
_SERIES = re.compile(rf"""{_TEXT}(?:\{{[^\s{{}}:"']*\}}{_TEXT})+""")
_UNSPACED = re.compile(r"(?P<indent>\s*(?:- +)?)(?P<key>[a-z_]{2,}[0-9]?):[^\s/].*")

Slip = tuple[int, int, str, str]


def slip(error: yaml.MarkedYAMLError, text: str) -> Slip | None:
    """Line, column, message and hint of the slip that is behind a fault of syntax, where it is one of these."""
    mark = error.problem_mark
    if mark is None:
        return None
    lines, problem = text.splitlines(), error.problem or ""
    found = _series(lines, mark.line, mark.column, listed="']'" in problem)
    if found is None and "could not find expected ':'" in problem and error.context_mark is not None:
        found = _unspaced(lines, error.context_mark.line)
    if found is None and "mapping values are not allowed" in problem:
        above = [number for number in range(mark.line) if lines[number].strip()]
        found = _unspaced(lines, above[-1]) if above else None
    return found


def _series(lines: Sequence[str], line: int, column: int, listed: bool) -> Slip | None:
    """A series at the place where the parser gave up; ``listed``: within a list, where none is written out."""
    for series in _SERIES.finditer(lines[line] if line < len(lines) else ""):
        if series.start() <= column <= series.end():
            message = f"{series.group()} without quotes: YAML takes its braces for a block"
            hint = (
                "a list holds no series: write out each one" if listed else f'in quotes: "{series.group()}"'
            )
            return line + 1, series.start() + 1, message, hint
    return None


def _unspaced(lines: Sequence[str], line: int) -> Slip | None:
    """A key whose value follows without a blank."""
    found = _UNSPACED.fullmatch(lines[line]) if line < len(lines) else None
    if found is None:
        return None
    key = found["key"]
    message = f"'{found.group().strip()}' is no 'key: value'"
    return line + 1, found.start("key") + 1, message, f"a blank is missing after '{key}:'"
