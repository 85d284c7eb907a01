"""The hardware file: service tags and MAC addresses as a factory ships them, one server a line."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import Finding
from rackwright.intent.document import Mark

NAME, SERVICE_TAG, BMC_MAC = "name", "service_tag", "bmc_mac"
RULE = "hardware-file"


@dataclass
class Hardware:
    """What a hardware file holds. ``rows``: name → line and cells by column, as far as sound."""

    file: str
    columns: tuple[str, ...] = ()
    rows: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def cell(self, name: str, column: str) -> str | None:
        """What the file says of a server; None where it has no such row or column, or an empty cell."""
        return self.rows[name][1].get(column) or None if name in self.rows else None

    def mark(self, name: str, column: str) -> Mark:
        """The place of a cell."""
        line = self.rows[name][0]
        text = self.texts[line - 1]
        if '"' in text or column not in self.columns:
            return Mark(self.file, line, 1)
        before = text.split(_separator(self.texts[0]))[: self.columns.index(column)]
        return Mark(self.file, line, sum(len(cell) + 1 for cell in before) + 1)

    def fault(self, line: int, column: int, message: str, hint: str) -> Finding:
        """A finding at a place of the file."""
        return Finding(RULE, "error", self.file, line, column, "hardware", message, hint)


def read_hardware(path: Path, shown: str) -> Hardware:
    """Read the file; ``shown`` is its name in findings. Comma or semicolon, as a spreadsheet saves it."""
    hardware = Hardware(shown)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        hardware.findings.append(hardware.fault(1, 1, "the file is not UTF-8 text", "save it as CSV UTF-8"))
        return hardware
    hardware.texts = text.splitlines() or [""]
    reader = csv.reader(hardware.texts, delimiter=_separator(hardware.texts[0]))
    hardware.columns = tuple(cell.strip() for cell in next(reader, []))
    if NAME not in hardware.columns:
        message = f"the first line has no column '{NAME}'"
        hint = "head the columns: name,service_tag,bmc_mac,lom1,ocp1,ocp2"
        hardware.findings.append(hardware.fault(1, 1, message, hint))
        return hardware
    for cells in reader:
        line = reader.line_num
        if not any(cells):
            continue
        if len(cells) != len(hardware.columns):
            message = f"the line has {len(cells)} cells, the first line {len(hardware.columns)}"
            hardware.findings.append(hardware.fault(line, 1, message, "fill in or remove cells"))
            continue
        row = {column: cell.strip() for column, cell in zip(hardware.columns, cells, strict=True)}
        first = hardware.rows.setdefault(row[NAME], (line, row))
        if first[0] != line:
            message = f"'{row[NAME]}' has a line already (line {first[0]})"
            hardware.findings.append(hardware.fault(line, 1, message, "remove or rename one of the two"))
    return hardware


def _separator(header: str) -> str:
    return ";" if ";" in header and "," not in header else ","
