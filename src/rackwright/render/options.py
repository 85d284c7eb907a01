"""A role's declared variables: what its artefacts may see beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from rackwright.errors import UsageError
from rackwright.paths import checkout


@cache
def role_options(role: str | None) -> Mapping[str, Mapping[str, Any]]:
    """The options of ``roles/<role>/meta/argument_specs.yml``: name → {type, default, required, …}.

    Empty without a role.
    """
    if role is None:
        return {}
    path = checkout() / "roles" / role / "meta" / "argument_specs.yml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"role {role!r} declares no variables: {path} is missing") from None
    options: Mapping[str, Mapping[str, Any]] = document["argument_specs"]["main"].get("options", {})
    return options


@cache
def role_defaults(role: str | None) -> Mapping[str, Any]:
    """Name → default of those declared variables that have one."""
    return {name: spec["default"] for name, spec in role_options(role).items() if "default" in spec}
