"""A site's hardware file (rackwright.intent.hardware_csv) with new values: other lines stay as they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from rackwright.intent.hardware_csv import BMC_MAC, NAME, SERVICE_TAG

Values = Mapping[str, Mapping[str, str]]


def updated(text: str, values: Values) -> str:
    """The file's text with ``values`` (server → column → value); servers that it lacks are added at its end.

    An empty text becomes a file with the columns that the values need; those that a file lacks are added to it.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not any(line.strip() for line in lines):
        lines = [",".join(_columns(values)) + "\n"]
    end = "\r\n" if lines[0].endswith("\r\n") else "\n"
    separator = ";" if ";" in lines[0] and "," not in lines[0] else ","
    columns = [cell.strip() for cell in _cells(lines[0], separator)]
    new_columns = [column for column in _columns(values) if column not in columns and _used(values, column)]
    if new_columns:
        columns += new_columns
        ends = [separator + separator.join(new_columns)] + [separator * len(new_columns)] * len(lines[1:])
        lines = [_longer(line, more, end) for line, more in zip(lines, ends, strict=True)]
    waiting = dict(values)
    for number, line in enumerate(lines[1:], start=1):
        cells = _cells(line, separator)
        name = cells[columns.index(NAME)].strip() if len(cells) == len(columns) else ""
        wanted = waiting.pop(name, {})
        new = [wanted.get(column, cell) for column, cell in zip(columns, cells, strict=False)]
        if wanted and new != cells:
            lines[number] = _line(new, separator, end)
    if waiting and not lines[-1].endswith("\n"):
        lines[-1] += end
    for name, wanted in waiting.items():
        lines.append(_line([{NAME: name, **wanted}.get(column, "") for column in columns], separator, end))
    return mark + "".join(lines)


def _columns(values: Values) -> list[str]:
    there = {column for wanted in values.values() for column in wanted}
    return [NAME, SERVICE_TAG, BMC_MAC, *sorted(there - {SERVICE_TAG, BMC_MAC})]


def _used(values: Values, column: str) -> bool:
    return any(column in wanted for wanted in values.values())


def _longer(line: str, more: str, end: str) -> str:
    return line.rstrip("\r\n") + more + end if line.strip() else line


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])


def _line(cells: list[str], separator: str, end: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=end).writerow(cells)
    return out.getvalue()
