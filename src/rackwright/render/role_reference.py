"""Writes docs/reference/roles.md from the roles' argument_specs: ``python -m rackwright.render.role_reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rackwright.paths import checkout

HEAD = """\
# Roles

What a site *is* stands in its site file. What a role offers beside that is set in `group_vars/` or `host_vars/`
next to the site file, in the ordinary way; no variable below has to be set.

This page is made from the roles' own specifications by `python -m rackwright.render.role_reference`.
"""


def _load(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def specifications(roles: Path) -> dict[str, dict[str, Any]]:
    """Role name → its main entry point's specification."""
    return {
        role.name: _load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
        for role in sorted(roles.iterdir())
        if (role / "tasks" / "main.yml").is_file()
    }


def defaults(role: Path) -> dict[str, Any]:
    """The role's defaults/main.yml."""
    return _load(role / "defaults" / "main.yml")


def page(roles: Path) -> str:
    """The whole page."""
    lines = [HEAD]
    for name, specification in specifications(roles).items():
        lines.append(f"\n## {name}\n\n{specification['short_description']}.\n\n")
        options: dict[str, dict[str, Any]] = specification.get("options") or {}
        if options:
            lines.append("| variable | type | default | what it does |\n|---|---|---|---|\n")
        for variable, option in options.items():
            default = yaml.safe_dump(option.get("default"), default_flow_style=True, width=1000).strip()
            default = default.removesuffix("...").strip()
            description = option["description"]
            text = " ".join(description) if isinstance(description, list) else description
            row = (f"`{variable}`", option.get("type", "str"), f"`{default}`", " ".join(text.split()))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n")
    return "".join(lines)


def main() -> None:
    """Write the page."""
    target = checkout() / "docs" / "reference" / "roles.md"
    target.write_text(page(checkout() / "roles"), encoding="utf-8")


if __name__ == "__main__":
    main()
