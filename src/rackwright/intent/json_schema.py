"""JSON Schemas of the site's files for editors: ``python -m rackwright.intent.json_schema`` writes them.

They know the grammar, not the rules: what an editor accepts may still be refused by ``rackwright validate``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from rackwright import catalog
from rackwright.intent import schema
from rackwright.paths import checkout

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = "docs/reference/schemas"
GRAMMARS: Mapping[str, type[BaseModel]] = {
    "site.schema.json": schema.SiteFile,
    "rack.schema.json": schema.RackFile,
}
_QUAD = r"^([0-9]{1,3}\.){3}[0-9]{1,3}$"
# Texts that YAML takes for numbers where they have no quotes; Rackwright takes them for text.
_NUMBERS = ("12", "2026.11", "1234567")


def schemas() -> dict[str, str]:
    """The text of each schema by its file's name."""
    return {name: _text(grammar) for name, grammar in GRAMMARS.items()}


def _text(grammar: type[BaseModel]) -> str:
    made = grammar.model_json_schema(mode="validation")
    for part in _parts(made):
        _adapt(part)
    for owner, field, others, choices in _choices():
        part = made["$defs"].get(owner, {}).get("properties", {}).get(field)
        if part is not None:
            _offer(part.get("items", part), choices, others)
    return json.dumps({"$schema": DIALECT, **made}, indent=1, ensure_ascii=False) + "\n"


def _choices() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Class, field, types that other values may have, the catalogue's keys.

    A site may have products of its own (text); a release looks like a number.
    """
    known = catalog.builtin()
    for owner in ("Server", "ServerRange"):
        yield owner, "profile", ["string"], sorted(known.servers)
    for owner in ("Switch", "SwitchRange"):
        yield owner, "product", ["string"], sorted(known.switches)
    yield "Gpus", "product", ["string"], sorted(known.gpus)
    yield "ModelService", "model", ["string"], sorted(known.models)
    yield "ModelService", "gpu", ["string"], sorted(known.gpus)
    yield "ModelService", "profiles", ["string"], sorted(known.servers)
    yield "Site", "release", ["number"], sorted(catalog.releases())
    yield "Site", "distribution", [], sorted(catalog.distributions())


def _parts(here: Any) -> Iterator[dict[str, Any]]:
    if isinstance(here, dict):
        yield here
        for value in list(here.values()):
            yield from _parts(value)
    elif isinstance(here, list):
        for value in here:
            yield from _parts(value)


def _adapt(part: dict[str, Any]) -> None:
    """What pydantic says of a value, as editors need it."""
    choices = [choice for choice in part.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        # One that may be left out: without the choice an editor shows a fault where it is.
        del part["anyOf"]
        part |= choices[0]
    if isinstance(part.get("title"), str):
        # pydantic's titles repeat the names of the fields.
        del part["title"]
    if part.get("format") == "ipv4":
        part["pattern"] = _QUAD
    elif part.get("type") == "string" and not {"enum", "const"} & set(part):
        pattern = part.get("pattern", "")
        if any(re.search(pattern, number) for number in _NUMBERS):
            part["type"] = ["string", "number"]
    if part.get("default") in (None, [], {}):
        part.pop("default", None)


def _offer(part: dict[str, Any], choices: list[str], others: list[str]) -> None:
    """Let editors propose ``choices``; values of the types ``others`` stay allowed."""
    part.pop("type", None)
    part["anyOf"] = [{"enum": choices}, *({"type": kind} for kind in others)]


if __name__ == "__main__":
    for name, text in schemas().items():
        (checkout() / FOLDER / name).write_text(text, encoding="utf-8")
