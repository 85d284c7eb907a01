"""Reading a factory's list: a CSV of service tags and MAC addresses, whatever its columns are called."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import Finding
from rackwright.importing.names import HEADERS, MACS, field_of, mac

SEPARATORS = ",;\t|"
RULE = "import-csv"
_TAG = re.compile(r"[0-9A-Z]{7}")
_UNIT = re.compile(r"(?:R?U)?\s*0*([1-9][0-9]?)\s*U?", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A machine of the list. ``line`` in the file; ``macs`` by field (``bmc``, ``ocp1`` …)."""

    line: int
    service_tag: str | None
    name: str | None
    rack: str | None
    unit: int | None
    model: str | None
    macs: Mapping[str, str]


@dataclass
class FactoryList:
    """What a list holds: its sound rows, what is wrong, the headers that say nothing to Rackwright."""

    file: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def fault(self, line: int, message: str, hint: str, column: int = 1, severity: str = "error") -> None:
        """Note what is wrong in a line."""
        self.findings.append(Finding(RULE, severity, self.file, line, column, "", message, hint))


def read_factory_list(path: Path, shown: str) -> FactoryList:
    """Read the file; faults end up in ``findings``. UTF-8 and UTF-16 with or without a byte order mark."""
    made = FactoryList(shown)
    text = _decode(path.read_bytes())
    if text is None:
        made.fault(1, "the file is neither UTF-8 nor UTF-16 text", "save it as 'CSV UTF-8'")
        return made
    try:
        records = list(_records(text))
    except csv.Error as error:
        made.fault(1, f"this is not CSV: {error}", "look for a quote that is not closed")
        return made
    if not records:
        made.fault(1, "the file is empty", "its first line names the columns")
        return made
    fields = _columns(made, records[0])
    if made.findings:
        return made
    for record in records[1:]:
        _row(made, record, fields, len(records[0].cells))
    _duplicates(made)
    return made


def _decode(raw: bytes) -> str | None:
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class _Record:
    """A line that says anything: where it begins, its cells, and in which column each of these begins."""

    line: int
    cells: list[str]
    columns: list[int]


def _records(text: str) -> Iterator[_Record]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    best = max(
        SEPARATORS,
        key=lambda one: (len(_known(next(csv.reader([first], delimiter=one), []))), first.count(one)),
    )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=best)
    texts = text.splitlines()
    begin = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            quoted = reader.line_num > begin or '"' in texts[begin - 1]
            # Where cells are quoted the line has to do.
            widths = [0 if quoted else len(cell) + 1 for cell in cells]
            yield _Record(
                begin, [cell.strip() for cell in cells], [sum(widths[:n]) + 1 for n in range(len(cells))]
            )
        begin = reader.line_num + 1


def _known(headers: Sequence[str]) -> list[str]:
    return [found for header in headers if (found := field_of(header)) is not None]


def _columns(made: FactoryList, first: _Record) -> dict[int, str]:
    """Field by the cell's number."""
    headers, line = first.cells, first.line
    fields: dict[int, str] = {}
    for number, header in enumerate(headers):
        found = field_of(header)
        if found is None:
            if header:
                made.unused.append(header)
            continue
        if found in fields.values():
            earlier = headers[next(n for n, name in fields.items() if name == found)]
            message = f"the columns '{earlier}' and '{header}' mean the same: {found}"
            made.fault(line, message, "remove or rename one of them", first.columns[number])
            continue
        fields[number] = found
    if "service_tag" not in fields.values() and not set(fields.values()) & set(MACS):
        accepted = ", ".join(names[0] for names in HEADERS.values())
        message = "no column of the first line holds service tags or MAC addresses"
        made.fault(line, message, f"name the columns, such as: {accepted}")
    return fields


def _row(made: FactoryList, record: _Record, fields: Mapping[int, str], width: int) -> None:
    cells, line = record.cells, record.line
    if len(cells) > width and any(cells[width:]):
        message = f"the line has {len(cells)} cells, the first line {width}"
        made.fault(line, message, "put a cell with the separator in it into quotes", record.columns[width])
        return
    before = len(made.findings)
    said = {name: cells[number] for number, name in fields.items() if number < len(cells) and cells[number]}
    place = {name: record.columns[number] for number, name in fields.items() if number < len(cells)}
    tag = said.get("service_tag", "").upper() or None
    if tag is not None and not _TAG.fullmatch(tag):
        hint = "it is the 7 letters and digits on the server's pull-out tag"
        made.fault(line, f"'{said['service_tag']}' is not a service tag", hint, place["service_tag"])
    macs = {}
    for name in MACS:
        if name not in said:
            continue
        address = mac(said[name])
        if address is None:
            made.fault(
                line, f"{name}: '{said[name]}' is not a MAC address", _mac_hint(said[name]), place[name]
            )
        elif int(address[:2], 16) & 1 or address == "00:00:00:00:00:00":
            hint = "a port's own address is neither all zeros nor a group's: read it off the label"
            made.fault(line, f"{name}: {address} can't be a port's address", hint, place[name])
        else:
            macs[name] = address
    unit = None
    if "unit" in said:
        matched = _UNIT.fullmatch(said["unit"])
        if matched is None:
            made.fault(
                line,
                f"'{said['unit']}' is not a rack unit",
                "write the lowest one, such as 12",
                place["unit"],
            )
        else:
            unit = int(matched.group(1))
    if len(made.findings) == before:
        name_, rack, model = (said.get(key) for key in ("name", "rack", "model"))
        made.rows.append(Row(line, tag, name_, rack, unit, model, macs))


def _mac_hint(text: str) -> str:
    if re.fullmatch(r"[0-9.,]+E\+?[0-9]+", text, re.IGNORECASE):
        return "a spreadsheet made a number of it: format the column as text and paste it again"
    return "write it as b0:7b:25:00:00:01, b0-7b-25-00-00-01, b07b.2500.0001 or b07b25000001"


def _duplicates(made: FactoryList) -> None:
    tags: dict[str, int] = {}
    macs: dict[str, tuple[int, str]] = {}
    for row in made.rows:
        if row.service_tag is not None:
            first = tags.setdefault(row.service_tag, row.line)
            if first != row.line:
                message = f"service tag {row.service_tag} stands in line {first} too"
                made.fault(row.line, message, "a machine has one line: remove one of the two")
        for name, address in row.macs.items():
            line, other = macs.setdefault(address, (row.line, name))
            if (line, other) != (row.line, name):
                where = f"line {line} too" if line != row.line else "the same line too"
                message = f"{name}: {address} stands in {where}, as {other}"
                made.fault(row.line, message, "every port has an address of its own: compare with the label")
