"""YAML with true positions: everything keeps the file, line and column that it came from."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rackwright.errors import Finding
from rackwright.intent.bounds import beyond_bounds
from rackwright.intent.slips import slip

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Mark:
    """A place in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int


@dataclass
class Origin:
    """Where an item comes from that a range stands for: the range's path, and the item's name in words.

    ``renamed`` gives the range's paths of what is called otherwise there; ``marks`` the places of what
    stands elsewhere, in another file or at a key; both by the path within the item.
    """

    path: Path_
    name: str
    renamed: Mapping[Path_, Path_]
    marks: Mapping[Path_, Mark] = field(default_factory=dict)


@dataclass
class Document:
    """Plain data and where each part of it stands.

    Scalars stay text (the grammar knows their types), so that ``2026.10``, ``10:20:30:40:50:60`` and ``no``
    mean what they look like; only an empty value and ``null`` are None. A path is made of mapping keys and
    list indexes; its place is looked up in ``root``, YAML's own tree, when somebody asks for it. What a
    range stands for has its place by ``origins``; ``of_range`` is the origin of findings there.
    ``filled`` are the places of values that another file brought into an item that stands by itself.
    """

    file: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    root: yaml.MappingNode | None = None
    origins: dict[Path_, Origin] = field(default_factory=dict)
    of_range: dict[Finding, Origin] = field(default_factory=dict)
    filled: dict[Path_, Mark] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    # Places within ranges: thousands of machines share each.
    _shared: dict[tuple[Path_, bool], Mark] = field(default_factory=dict)

    def mark(self, path: Path_, *, key: bool = False) -> Mark:
        """The place of a path's value (or key); of what encloses it where the file has no such path."""
        origin = self.origins.get(path[:2])
        if origin is not None:
            inner = path[2:]
            for end in range(len(inner), 0, -1):
                if inner[:end] in origin.marks:
                    return origin.marks[inner[:end]]
                if inner[:end] in origin.renamed:
                    inner = (*origin.renamed[inner[:end]], *inner[end:])
                    break
            within = (*origin.path, *inner), key
            if within not in self._shared:
                self._shared[within] = self.mark(within[0], key=key)
            return self._shared[within]
        if path in self.filled and not key:
            return self.filled[path]
        node: yaml.Node | None = self.root
        if node is None:
            return Mark(self.file, 1, 1)
        key_node: yaml.Node | None = None
        for number, step in enumerate(path):
            below = _child(node, step)
            if below is None:
                # A fact of a catalogue is written as {value: …, source: …}; paths leave 'value' out.
                fact = _child(node, "value")
                below = _child(fact[1], step) if fact else None
            if below is None:
                # Not there: its parent's key says best what lacks it.
                return self._place(key_node or node) if number else Mark(self.file, 1, 1)
            key_node, node = below
        if not path:
            return Mark(self.file, 1, 1)
        return self._place((key_node or node) if key else node)

    def _place(self, node: yaml.Node) -> Mark:
        mark = node.start_mark
        return Mark(mark.name, mark.line + 1, mark.column + 1)

    def finding(
        self, rule: str, path: Path_, message: str, hint: str, *, key: bool = False, severity: str = "error"
    ) -> Finding:
        """A finding at a path's value (or key); of an item of a range it names the item."""
        mark, origin = self.mark(path, key=key), self.origins.get(path[:2])
        if origin is not None and origin.name not in message:
            message = f"{message} ({origin.name})"
        found = Finding(rule, severity, mark.file, mark.line, mark.column, self.dotted(path), message, hint)
        if origin is not None:
            self.of_range[found] = origin
        return found

    def dotted(self, path: Path_) -> str:
        """A path as people read it: list items by their ``name`` (a range's ``names``) where they have one."""
        parts: list[str] = []
        here: Any = self.data
        for step in path:
            here = _step(here, step)
            name = here.get("name", here.get("names")) if isinstance(here, dict) else None
            parts.append(name if isinstance(step, int) and isinstance(name, str) else str(step))
        return ".".join(parts)

    def of_whole_range(self, finding: Finding) -> str | None:
        """The finding's path with the range in place of the machine; None where it is of no range."""
        origin = self.of_range.get(finding)
        if origin is None:
            return None
        inner = finding.path.split(".", 1)[-1].removeprefix(origin.name)
        return self.dotted(origin.path) + inner

    def absorb(self, other: Document, sections: Iterable[str]) -> None:
        """Add another document's lists, as far as named in ``sections``, to this one's of the same name."""
        self.findings += other.findings
        for section in sections:
            items, mine = other.data.get(section), self.data.get(section, [])
            if not isinstance(mine, list) or not isinstance(items, list):
                continue
            self.data[section] = [*mine, *items]
            theirs, ours = _pair(other.root, section), _pair(self.root, section)
            if theirs is None or self.root is None:
                continue
            if ours is None:
                self.root.value = [*self.root.value, theirs]
                continue
            joined = yaml.SequenceNode(ours[1].tag, [*ours[1].value, *theirs[1].value], ours[1].start_mark)
            self.root.value = [(pair[0], joined) if pair[0] is ours[0] else pair for pair in self.root.value]


def _pair(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of a mapping's first entry of that name."""
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            if isinstance(pair[0], yaml.ScalarNode) and pair[0].value == key:
                return pair[0], pair[1]
    return None


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """The key (None in a list) and the value of one step down."""
    if isinstance(step, str):
        return _pair(node, step)
    if isinstance(node, yaml.SequenceNode) and 0 <= step < len(node.value):
        return None, node.value[step]
    return None


def _step(here: Any, step: str | int) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None


def read_document(path: Path, shown: str) -> Document:
    """Read one YAML file; ``shown`` is its name in findings. Faults of syntax end up in ``findings``."""
    document = Document(shown)

    def fault(rule: str, line: int, column: int, message: str, hint: str) -> Document:
        document.findings.append(Finding(rule, "error", shown, line, column, "", message, hint))
        return document

    try:
        raw = path.read_bytes()
    except OSError as error:
        return fault(
            "yaml-syntax", 1, 1, f"the file can't be read: {error.strerror}", "make it a readable file"
        )
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
        beyond = beyond_bounds(text)
        if beyond is not None:
            return fault("yaml-syntax", *beyond)
    except yaml.YAMLError:
        pass  # Told by the next reading.
    try:
        roots = composed(text, shown)
    except yaml.MarkedYAMLError as error:
        return fault("yaml-syntax", *_explain(error, text))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        message = f"this is not YAML: {error.reason}"
        return fault("yaml-syntax", line, column, message, "remove the characters that are not text")
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
    document.root = roots[0]
    document.data = _build(document, roots[0], (), frozenset())
    return document


class _Named(io.StringIO):
    """Text whose marks carry the name of its file."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def composed(text: str, shown: str) -> list[yaml.Node]:
    """The documents of a text: by libyaml, ten times as fast; what it refuses is explained by the other."""
    if yaml.__with_libyaml__:
        try:
            return list(yaml.compose_all(_Named(text, shown), Loader=yaml.CSafeLoader))
        except yaml.YAMLError:
            pass
    return list(yaml.compose_all(_Named(text, shown), Loader=yaml.SafeLoader))


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
    behind = slip(error, text)
    if behind is not None:
        return behind
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


def _build(document: Document, node: yaml.Node, path: Path_, inside: frozenset[int]) -> Any:
    """The node as plain data; ``inside`` are the nodes that enclose it."""
    if isinstance(node, yaml.ScalarNode):
        empty = not node.style and node.value in ("", "~", "null", "Null", "NULL")
        return None if empty else node.value
    if id(node) in inside:
        message = "an alias refers to what encloses it"
        document.findings.append(_fault(document, "yaml-syntax", node, path, message, "remove it"))
        return None
    inside |= {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return [_build(document, item, (*path, index), inside) for index, item in enumerate(node.value)]
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            hint = "remove the brackets"
            document.findings.append(
                _fault(document, "yaml-syntax", key_node, (), "a key must be one word", hint)
            )
            continue
        key = key_node.value
        if key in result:
            first = _pair(node, key)
            line = first[0].start_mark.line + 1 if first else 1
            message = f"'{key}' stands twice in the same block (first in line {line})"
            hint = "remove one of them; only one would count"
            document.findings.append(_fault(document, "duplicate-key", key_node, (*path, key), message, hint))
            continue
        result[key] = _build(document, value_node, (*path, key), inside)
    return result


def _fault(document: Document, rule: str, node: yaml.Node, path: Path_, message: str, hint: str) -> Finding:
    mark = node.start_mark
    where = document.dotted(path)
    return Finding(rule, "error", mark.name, mark.line + 1, mark.column + 1, where, message, hint)
