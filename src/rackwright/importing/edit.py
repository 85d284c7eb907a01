"""Changing single values of YAML text where they stand: comments, order and layout stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from rackwright.intent.document import composed

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What some reader of YAML takes for a number.
_NUMBER = re.compile(r"0[xXoObB][0-9A-Fa-f]+|[0-9._]+([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Edit:
    """A value to be written over the one that stands at ``line`` and ``column``, both counted from 1."""

    line: int
    column: int
    value: str


@dataclass(frozen=True)
class Span:
    """Where a scalar stands: indexes into the text, and the quotes around it (or None)."""

    start: int
    end: int
    style: str | None
    value: str


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits made. Raises LookupError where no single value stands at an edit's place."""
    body = text.removeprefix("\ufeff")
    spans = dict(_spans(body))
    changes: dict[int, tuple[Span, str]] = {}
    for edit in edits:
        span = spans.get((edit.line, edit.column))
        if span is None:
            raise LookupError(f"line {edit.line}, column {edit.column}: no single value stands here")
        if span.value == edit.value:
            continue
        other = changes.get(span.start)
        if other is not None and other[1] != edit.value:
            raise LookupError(
                f"line {edit.line}, column {edit.column}: an anchor that several places refer to"
            )
        changes[span.start] = span, edit.value
    for start in sorted(changes, reverse=True):
        span, value = changes[start]
        body = body[: span.start] + _written(span, value, body) + body[span.end :]
    return text[: len(text) - len(text.removeprefix("\ufeff"))] + body


def is_plain(value: str) -> bool:
    """Whether any reader of YAML takes the value for text though it has no quotes."""
    return bool(_WORD.fullmatch(value)) and not _NUMBER.fullmatch(value) and yaml.safe_load(value) == value


def _spans(text: str) -> Iterator[tuple[tuple[int, int], Span]]:
    waiting = composed(text, "")
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.ScalarNode):
            start, end = node.start_mark, node.end_mark
            yield (
                (start.line + 1, start.column + 1),
                Span(start.index, end.index, node.style or None, node.value),
            )


def _written(span: Span, value: str, text: str) -> str:
    """The value in the quotes of the one that it replaces; plain where that was plain and it is safe."""
    if span.style == "'":
        return "'" + value.replace("'", "''") + "'"
    said = value if span.style is None and is_plain(value) else f'"{value}"'
    # An empty value may stand right behind its colon.
    empty = span.start == span.end
    return f" {said}" if empty and text[span.start - 1 : span.start] == ":" else said
