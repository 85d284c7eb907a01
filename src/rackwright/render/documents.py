"""Artefacts that are handed to an API instead of being written to a disk: rendered for a task, and parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rackwright.errors import UsageError
from rackwright.render.engine import render
from rackwright.render.options import role_options
from rackwright.render.registry import artefact
from rackwright.site import load_site


def untagged(value: Any) -> Any:
    """``value`` in plain types, without the tags that ansible-core puts on what it templates."""
    if isinstance(value, Mapping):
        return {untagged(key): untagged(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [untagged(entry) for entry in value]
    for kind in (int, float, str):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind(value)
    return value


def documents(templar: Any, variables: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The YAML documents of these artefacts for the task's host, with its role variables.

    Raises UsageError when the host is not of a site's inventory, and what `render` raises.
    """
    if "rackwright_site" not in variables:
        raise UsageError(
            f"{variables['inventory_hostname']} has no variable rackwright_site",
            hint="run with -i inventories/<site>/site.yml",
        )
    model = load_site(str(variables["rackwright_site"]))
    found: list[dict[str, Any]] = []
    for name in names:
        declared = [option for option in role_options(artefact(name).role) if option in variables]
        options = {option: untagged(templar.template(variables[option])) for option in declared}
        for rendered in render(model, str(variables["inventory_hostname"]), name, options):
            found += [one for one in yaml.safe_load_all(rendered.content) if one]
    return found
