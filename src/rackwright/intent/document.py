"""YAML with true positions: everything keeps the file, line and column that it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rackwright.errors import Finding

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Mark:
    """A place in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int


@dataclass
class Document:
    """Plain data and where each part of it stands.

    Scalars stay text (the grammar knows their types), so that ``2026.10``, ``10:20:30:40:50:60`` and ``no``
    mean what they look like; only an empty value and ``null`` are None. ``keys`` and ``values`` map a path
    (mapping keys and list indexes) to marks.
    """

    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path_, Mark] = field(default_factory=dict)
    values: dict[Path_, Mark] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def mark(self, path: Path_, *, key: bool = False) -> Mark:
        """The place of a path's value (or key); of what encloses it where the file has no such path."""
        for end in range(len(path), -1, -1):
            part = path[:end]
            exact = end == len(path)
            first, second = (self.keys, self.values) if key or not exact else (self.values, self.keys)
            if part in first:
                return first[part]
            if part in second:
                return second[part]
        return Mark("", 1, 1)

    def finding(
        self, rule: str, path: Path_, message: str, hint: str, *, key: bool = False, severity: str = "error"
    ) -> Finding:
        """A finding at a path's value (or key)."""
        mark = self.mark(path, key=key)
        return Finding(rule, severity, mark.file, mark.line, mark.column, self.dotted(path), message, hint)

    def dotted(self, path: Path_) -> str:
        """A path as people read it: list items by their ``name`` where they have one."""
        parts: list[str] = []
        here: Any = self.data
        for step in path:
            here = _step(here, step)
            name = here.get("name") if isinstance(step, int) and isinstance(here, dict) else None
            parts.append(name if isinstance(name, str) else str(step))
        return ".".join(parts)

    def absorb(self, other: Document, sections: Iterable[str]) -> None:
        """Add another document's lists, as far as named in ``sections``, to this one's of the same name."""
        self.findings += other.findings
        for section in sections:
            items, mine = other.data.get(section), self.data.get(section, [])
            if not isinstance(mine, list) or not isinstance(items, list):
                continue
            self.data[section] = mine
            offset = len(mine)
            mine.extend(items)
            for theirs, ours in ((other.keys, self.keys), (other.values, self.values)):
                for path, mark in theirs.items():
                    if len(path) > 1 and path[0] == section and isinstance(path[1], int):
                        ours[(section, path[1] + offset, *path[2:])] = mark
                    elif path == (section,):
                        ours.setdefault(path, mark)


def _step(here: Any, step: str | int) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None


def read_document(path: Path, shown: str) -> Document:
    """Read one YAML file; ``shown`` is its name in findings. Faults of syntax end up in ``findings``."""
    document = Document()
    document.values[()] = Mark(shown, 1, 1)

    def fault(rule: str, line: int, column: int, message: str, hint: str) -> Document:
        document.findings.append(Finding(rule, "error", shown, line, column, "", message, hint))
        return document

    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        return fault("yaml-syntax", line, column, "the file is not UTF-8 text", "save it as UTF-8")
    tabs = list(_tabs(text))
    for line, column in tabs:
        fault(
            "yaml-tab",
            line,
            column,
            "a tab in the indentation",
            "YAML is indented with spaces: replace the tab by spaces",
        )
    if tabs:
        return document
    try:
        roots = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        return fault("yaml-syntax", *_explain(error, text))
    except yaml.YAMLError as error:
        return fault(
            "yaml-syntax", 1, 1, f"this is not YAML: {error}", "remove the characters that are not text"
        )
    if len(roots) > 1:
        line = roots[1].start_mark.line + 1
        return fault(
            "yaml-syntax",
            line,
            1,
            "a second document begins here",
            "remove the second '---': a site is one document",
        )
    if not roots or not isinstance(roots[0], yaml.MappingNode):
        return fault(
            "yaml-syntax",
            1,
            1,
            "the file holds no 'key: value' lines",
            "start with 'plugin: rackwright_site'",
        )
    document.data = _build(document, roots[0], (), shown, set())
    return document


def _tabs(text: str) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(text.splitlines(), start=1):
        indent = re.match(r"[ \t]*", line)
        if indent and "\t" in indent.group() and line.strip() and not line.lstrip().startswith("#"):
            yield number, indent.group().index("\t") + 1


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str, str]:
    """Line, column, message and hint of a fault of syntax: at its cause, not where the parser gave up."""
    problem = (error.problem or "this is not YAML").strip()
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    quote = _open_quote(text)
    if quote is not None and quote[0] <= line:
        return *quote, "a quote is not closed", "put the closing quote at the end of the value"
    if "mapping values are not allowed" in problem:
        return line, column, "a second ': ' in one line", "break the line, or put the value into quotes"
    if "could not find expected ':'" in problem:
        return line, column, "the line above this has no ':'", "write 'key: value'"
    if "expected ',' or" in problem:
        opened = error.context_mark or mark
        if opened is not None:
            line, column = opened.line + 1, opened.column + 1
        return line, column, "a bracket is not closed", "close the '{' or '[', and put ',' between the parts"
    if "did not find expected key" in problem or "expected <block end>" in problem:
        hint = "line the keys of one block up below each other"
        return line, column, "the indentation doesn't fit the lines above", hint
    if "found undefined alias" in problem:
        return line, column, problem, "define the anchor (&name) above its use (*name)"
    context = f" {error.context.strip()}" if error.context else ""
    return line, column, f"{problem}{context}", "check the quotes, brackets and indentation here"


def _open_quote(text: str) -> tuple[int, int] | None:
    """Line and column of the first double quote that its own line doesn't close."""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = re.sub(r"(^|\s)#.*", "", line)
        if bare.count('"') % 2:
            return number, bare.rindex('"') + 1
    return None


def _build(document: Document, node: yaml.Node, path: Path_, shown: str, open_nodes: set[int]) -> Any:
    document.values[path] = Mark(shown, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        empty = node.style is None and node.value in ("", "~", "null", "Null", "NULL")
        return None if empty else node.value
    if id(node) in open_nodes:
        document.findings.append(
            document.finding("yaml-syntax", path, "an alias refers to what encloses it", "remove it")
        )
        return None
    inside = open_nodes | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(document, item, (*path, index), shown, inside) for index, item in enumerate(node.value)
        ]
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        mark = Mark(shown, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            document.findings.append(
                Finding(
                    "yaml-syntax",
                    "error",
                    shown,
                    mark.line,
                    mark.column,
                    "",
                    "a key must be one word",
                    "remove the brackets",
                )
            )
            continue
        key = key_node.value
        if key in result:
            first = document.keys[(*path, key)].line
            where = document.dotted((*path, key))
            message = f"'{key}' stands twice in the same block (first in line {first})"
            hint = "remove one of them; only one would count"
            document.findings.append(
                Finding("duplicate-key", "error", shown, mark.line, mark.column, where, message, hint)
            )
            continue
        document.keys[(*path, key)] = mark
        result[key] = _build(document, value_node, (*path, key), shown, inside)
    return result
