"""A factory's list written into the files of a site, each value at its place."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import Finding, SiteError, UsageError
from rackwright.importing.edit import Edit, apply
from rackwright.importing.factory import RULE, FactoryList, Row, read_factory_list
from rackwright.importing.hardware_lines import Values, updated
from rackwright.importing.matching import Stated, match, stated_servers
from rackwright.intent.document import Document, Path_
from rackwright.intent.hardware_csv import BMC_MAC
from rackwright.intent.load import load_intent, rack_files, shown
from rackwright.intent.ranges import gathered


@dataclass(frozen=True)
class Change:
    """A file and its text before and after."""

    path: Path
    before: str
    after: str

    def diff(self) -> str:
        """The difference as a unified diff."""
        name = shown(self.path)
        old, new = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        return "".join(difflib.unified_diff(old, new, name, f"{name} (imported)"))


@dataclass
class Plan:
    """What an import would do. ``left_out``: ports that the list knows and the site doesn't, with counts."""

    servers: int
    changes: list[Change] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)
    unused: Sequence[str] = ()


def plan(site: Path, listed: Path, in_order: bool = False) -> Plan:
    """What ``listed`` changes in the site.

    Raises UsageError where there is no such list, SiteError with all faults of the list, or of what has to be
    known first: the site's syntax, its ranges of servers, its hardware file.
    """
    if not listed.is_file():
        raise UsageError(f"no file '{listed}'", "name the CSV file with the service tags and MAC addresses")
    intent, findings = load_intent(site, undelivered=True)
    document = intent.document
    if document.findings or not document.data:
        raise SiteError(document.findings)
    first = [finding for finding in findings if finding.path.partition(".")[0] == "server_ranges"]
    # An empty file is one that the import fills.
    if intent.hardware is not None and intent.hardware.texts != [""]:
        first += intent.hardware.findings
    if first:
        raise SiteError(first)
    made = read_factory_list(listed, shown(listed))
    servers = stated_servers(document)
    products = {key: facts.product for key, facts in intent.catalogue.servers.items()}
    pairs = match(made, servers, products, in_order)
    left_out: Counter[str] = Counter()
    cells: dict[str, dict[str, str]] = {}
    wanted: list[tuple[Row, Stated, Path_, str]] = []
    for row, server in pairs:
        if _nowhere(document, row, server):
            message = f"{server.name} is of a range, and the site names no hardware file for its values"
            made.fault(
                row.line, message, "name it in the site file: 'hardware: hardware.csv'; the import makes it"
            )
            continue
        for path, value in _values(row):
            at = (*server.path, *path)
            if not _stands(document, at):
                if path[0] == "ports":
                    left_out[str(path[1])] += 1
                else:
                    hint = (
                        f"add '{'.'.join(map(str, path))}:' to the server, without a value, and import again"
                    )
                    made.fault(row.line, f"{server.name} has no '{path[-1]}' in the site file", hint)
                continue
            wanted.append((row, server, at, value))
            if at in document.filled:
                cells.setdefault(server.name, {})[_column(path)] = value
            origin = document.origins.get(server.path)
            if origin is None:
                continue
            if path in tuple(origin.marks):
                cells.setdefault(server.name, {})[_column(path)] = value
            elif _value(document, at) != value:
                message = f"{server.name}'s {'.'.join(map(str, path))} follows from its range's first one"
                hint = "leave that out of the range, and name a hardware file in 'hardware'"
                made.fault(row.line, message, hint)
    if not made.findings:
        _unique(made, servers, wanted)
    if made.findings:
        raise SiteError([*made.findings, *_unused(made)])
    named = {server.name for _, server in pairs}
    warnings = [_missing(document, server, made) for server in servers if server.name not in named]
    changes = _changes(document, site, wanted)
    if cells:
        changes += _hardware_change(document, site, cells)
    return Plan(len(named), changes, gathered(document, warnings), left_out, made.unused)


def _unused(made: FactoryList) -> Iterator[Finding]:
    """The columns that say nothing: where lines aren't found, the one that should tell them may be among these."""
    if made.unused:
        message = f"columns without a meaning here: {', '.join(made.unused)}"
        hint = "rename a header that means one of those in docs/how-to/import-what-you-have.md"
        yield Finding(RULE, "warning", made.file, 1, 1, "", message, hint)


def _nowhere(document: Document, row: Row, server: Stated) -> bool:
    """Whether values of a row belong into a hardware file, but the site names none."""
    origin = document.origins.get(server.path)
    if origin is None or document.data.get("hardware") is not None:
        return False
    return any(path in tuple(origin.marks) for path, _ in _values(row))


def _values(row: Row) -> Iterator[tuple[Path_, str]]:
    if row.service_tag is not None:
        yield ("service_tag",), row.service_tag
    for name, address in row.macs.items():
        yield ("bmc", "mac") if name == "bmc" else ("ports", name, "mac"), address


def _column(path: Path_) -> str:
    """The hardware file's column of a value."""
    return BMC_MAC if path[0] == "bmc" else str(path[1] if len(path) > 1 else path[0])


def _value(document: Document, path: Path_) -> str | None:
    """The single value at a path, None where it is empty; LookupError where the file has no such path."""
    here: object = document.data
    for step in path:
        try:
            here = here[step]  # type: ignore[index]
        except TypeError:
            raise LookupError(path) from None
    if here is None or isinstance(here, str):
        return here
    raise LookupError(path)


def _stands(document: Document, path: Path_) -> bool:
    try:
        _value(document, path)
    except LookupError:
        return False
    return True


def _missing(document: Document, server: Stated, made: FactoryList) -> Finding:
    message = f"no line of {made.file} is for {server.name}: it stays as it is"
    hint = "import again when its data is there"
    return document.finding(RULE, (*server.path, "name"), message, hint, severity="warning")


def _unique(
    made: FactoryList,
    servers: Sequence[Stated],
    wanted: Sequence[tuple[Row, Stated, Path_, str]],
) -> None:
    """Nothing that the list brings may stand at another server of the site after the import."""
    after = {at: value for _, _, at, value in wanted}
    owners: dict[str, set[str]] = defaultdict(set)
    for server in servers:
        for path, value in _identities(server):
            owners[after.get((*server.path, *path), value).upper()].add(server.name)
    for row, server, _, value in wanted:
        others = sorted(owners[value.upper()] - {server.name})
        if others:
            message = f"{value} for {server.name} would stand at {others[0]} too"
            made.fault(row.line, message, "find out whose it is, and mend the list or the site file")


def _identities(server: Stated) -> Iterator[tuple[Path_, str]]:
    """What tells a server from the others, as stated: service tag and MAC addresses."""
    yield ("service_tag",), server.text("service_tag")
    blocks: list[tuple[Path_, object]] = [(("bmc",), server.data.get("bmc"))]
    ports = server.data.get("ports")
    if isinstance(ports, dict):
        blocks += [(("ports", name), port) for name, port in ports.items()]
    for path, block in blocks:
        address = block.get("mac") if isinstance(block, dict) else None
        yield (*path, "mac"), address if isinstance(address, str) else ""


def _changes(
    document: Document, site: Path, wanted: Sequence[tuple[Row, Stated, Path_, str]]
) -> list[Change]:
    edits: dict[str, list[Edit]] = defaultdict(list)
    for _, server, at, value in wanted:
        if server.path in document.origins or at in document.filled:
            continue
        mark = document.mark(at)
        edits[mark.file].append(Edit(mark.line, mark.column, value))
    changes = []
    for path in (site, *rack_files(site)):
        before = path.read_bytes().decode("utf-8")
        after = apply(before, edits.get(shown(path), ()))
        if after != before:
            changes.append(Change(path, before, after))
    return changes


def _hardware_change(document: Document, site: Path, cells: Values) -> list[Change]:
    path = site.parent / str(document.data["hardware"])
    before = path.read_bytes().decode("utf-8") if path.exists() else ""
    after = updated(before, cells)
    return [Change(path, before, after)] if after != before else []
