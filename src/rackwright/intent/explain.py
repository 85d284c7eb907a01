"""pydantic's errors in the words of a site engineer, at the place in the file, with a hint."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rackwright.errors import Finding
from rackwright.intent.document import Document, Path_
from rackwright.intent.schema_ranges import PortRange, RackRange, ServerRange, SwitchRange, UplinkRange

#: Ranges, and their fields that are written as series.
RANGES = (RackRange, SwitchRange, UplinkRange, ServerRange, PortRange)
SERIES = ("names", "racks", "switch", "port")
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a block of 'key: value' lines",
    "model_type": "a block of 'key: value' lines",
    "model_attributes_type": "a block of 'key: value' lines",
    "ip_v4_address": "an IPv4 address",
}

FROM_LIST = "or take it from the factory's list: rackwright import csv LIST SITE --write"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint that names the choice most like the word, or else all of them."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known here: {', '.join(known)}" if known else ""


def findings_of(
    document: Document, errors: Iterable[ErrorDetails], root: type[BaseModel], at: Path_ = ()
) -> list[Finding]:
    """One finding for each of pydantic's errors. ``root`` is the validated class, ``at`` its place."""
    found = list(errors)
    meant = _meant(found)
    return [
        _finding(document, error, root, at, meant.get(error["loc"]))
        for error in found
        if not _follows(error, found) and not (error["type"] == "missing" and error["loc"] in meant.values())
    ]


def _meant(errors: Iterable[ErrorDetails]) -> dict[Path_, Path_]:
    """Unknown fields that are most likely slips of missing ones of the same block, by their places."""
    missing: dict[Path_, list[str]] = {}
    unknown: list[Path_] = []
    for error in errors:
        if error["type"] == "missing" and isinstance(error["loc"][-1], str):
            missing.setdefault(error["loc"][:-1], []).append(error["loc"][-1])
        elif error["type"] == "extra_forbidden":
            unknown.append(error["loc"])
    found: dict[Path_, Path_] = {}
    for loc in unknown:
        word, there = str(loc[-1]).partition(":")[0], missing.get(loc[:-1], [])
        for close in difflib.get_close_matches(word, there, n=1, cutoff=0.6):
            found[loc] = (*loc[:-1], close)
            there.remove(close)
    return found


def _follows(error: ErrorDetails, others: Iterable[ErrorDetails]) -> bool:
    """Whether a list only seems too short because its entries are wrong."""
    loc = error["loc"]
    below = (other["loc"] for other in others if len(other["loc"]) > len(loc))
    return error["type"] == "too_short" and any(place[: len(loc)] == loc for place in below)


def _finding(
    document: Document, error: ErrorDetails, root: type[BaseModel], at: Path_, meant: Path_ | None
) -> Finding:
    kind, loc = error["type"], error["loc"]
    path = (*at, *loc)
    owner = document.dotted(path[:-1]) or "the site"
    if kind == "missing" and isinstance(loc[-1], str):
        message, hint = f"{owner} has no '{loc[-1]}'", f"add {_describe(root, loc) or repr(loc[-1])}"
        return document.finding("missing-field", path, message, hint, key=True)
    if kind == "extra_forbidden":
        known = _fields(root, loc[:-1])
        word, colon, _ = str(loc[-1]).partition(":")
        hint = did_you_mean(word, known if meant is None else [str(meant[-1])])
        if colon and word in known:
            hint = f"a blank is missing after '{word}:'"
        return document.finding(
            "unknown-field", path, f"'{loc[-1]}' is not a field of {owner}", hint, key=True
        )
    words = [step for step in loc if isinstance(step, str)]
    name = f"'{words[-1]}'" if words else "the file"
    if kind == "missing":
        return document.finding("wrong-type", path[:-1], f"{name} needs more entries", _describe(root, loc))
    message, hint = _words(error, name, _describe(root, loc))
    series = _series(error, root)
    return document.finding(error_rule(error), path, message, f'in quotes: "{series}"' if series else hint)


def _series(error: ErrorDetails, root: type[BaseModel]) -> str:
    """The series that a range's block or list was meant to be: ``{a,b}`` without quotes is a block to YAML."""
    loc, value = error["loc"], error["input"]
    owner = _model(root, loc[:-1])
    if error["type"] != "string_type" or owner not in RANGES or loc[-1] not in SERIES:
        return ""
    block = isinstance(value, dict) and not any(value.values())
    parts = list(value) if block or isinstance(value, list) else []
    return f"{{{','.join(parts)}}}" if parts and all(isinstance(part, str) for part in parts) else ""


def error_rule(error: ErrorDetails) -> str:
    """The id under which a fault of a value is reported."""
    if error["input"] is None:
        return "no-value"
    kind = error["type"]
    if kind in _KINDS or kind in ("too_short", "too_long"):
        return "wrong-type"
    ranges = ("greater_than_equal", "less_than_equal")
    return {
        "literal_error": "unknown-value",
        "unknown_choice": "unknown-value",
        **dict.fromkeys(ranges, "out-of-range"),
    }.get(kind, "bad-value")


def _words(error: ErrorDetails, name: str, described: str) -> tuple[str, str]:
    """Message and hint of a fault of a value."""
    kind, value = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if value is None:
        shipped = error["loc"][-1] in ("service_tag", "mac")
        hint = f"{described.removesuffix('.')}; {FROM_LIST}" if shipped else described
        return f"{name} has no value", hint
    if kind == "value_error":
        fault = context.get("error")
        return f"{name}: {fault}", getattr(fault, "hint", described)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"{name}: unknown value {_quote(value)}", did_you_mean(str(value), choices)
    if kind == "unknown_choice":
        return f"{name}: unknown value {_quote(value)}", did_you_mean(str(value), context["choices"])
    if kind in _KINDS:
        return f"{name} must be {_KINDS[kind]}, not {_quote(value)}", described
    if kind in ("greater_than_equal", "less_than_equal"):
        limit = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        return f"{name} must be {limit}, not {_quote(value)}", described
    if kind == "string_too_short":
        return f"{name} needs at least {context.get('min_length')} characters", described
    if kind == "too_short":
        return f"{name} needs at least {context.get('min_length')} entry", described
    if kind == "too_long":
        return f"{name} takes at most {context.get('max_length')} entries", described
    if kind == "string_pattern_mismatch":
        return f"{name}: {_quote(value)} is not valid", described
    return f"{name}: {error['msg']}", described


def _quote(value: object) -> str:
    if isinstance(value, dict):
        return "a block"
    if isinstance(value, list | tuple):
        return "a list"
    return f"'{value}'"


def _describe(root: type[BaseModel], loc: Path_) -> str:
    """The documentation of the innermost field on the way to ``loc``."""
    found = ""
    for end in range(len(loc) + 1):
        info = _info(root, loc[:end])
        if info is not None and info.description:
            found = f"{loc[end - 1]}: {info.description}"
    return found


def _info(root: type[BaseModel], loc: Path_) -> FieldInfo | None:
    if not loc or not isinstance(loc[-1], str):
        return None
    owner = _model(root, loc[:-1])
    return owner.model_fields.get(loc[-1]) if owner else None


def _fields(root: type[BaseModel], loc: Path_) -> list[str]:
    owner = _model(root, loc)
    return list(owner.model_fields) if owner else []


def _model(root: type[BaseModel], loc: Path_) -> type[BaseModel] | None:
    """The grammar's class at ``loc``, or None where something else stands there."""
    here: Any = root
    for step in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            info = here.model_fields.get(str(step))
            here = info.annotation if info else None
        else:
            arguments = typing.get_args(here)
            here = (
                arguments[-1]
                if isinstance(step, str) and arguments
                else (arguments[0] if arguments else None)
            )
        here = _bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """The annotation without ``| None``."""
    choices = [part for part in typing.get_args(annotation) if part is not type(None)]
    return choices[0] if type(None) in typing.get_args(annotation) and len(choices) == 1 else annotation
