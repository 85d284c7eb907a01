"""``intended/``: every file of every node as text, to be read, reviewed and committed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from rackwright.render.engine import render
from rackwright.render.inventory import host_variables
from rackwright.render.options import role_options
from rackwright.render.registry import artefacts_of
from rackwright.site import load_site

Files = Mapping[Path, str]


def intended_files(site: str, output: Path | None) -> tuple[Path, Files]:
    """Where the files of ``site`` go, and relative path (``<host>/etc/…``) → content. Secret files are
    left out.

    Options come from ``group_vars`` and ``host_vars`` beside the site file with Ansible's own precedence.
    """
    model = load_site(site)
    variables = host_variables(Path(model.path))
    files: dict[Path, str] = {}
    for node in model.nodes:
        given = variables[node.name]
        for entry in artefacts_of(node):
            options = {name: given[name] for name in role_options(entry.role) if name in given}
            for rendered in render(model, node.name, entry.name, options):
                if not rendered.secret:
                    files[Path(node.name) / rendered.path.lstrip("/")] = rendered.content
    return output or Path(model.path).parent / "intended", files


def _present(output: Path) -> dict[Path, str]:
    return {
        path.relative_to(output): path.read_text(encoding="utf-8")
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def write(output: Path, files: Files) -> int:
    """Make ``output`` hold exactly ``files``; gives how many were written or removed."""
    present = _present(output)
    changed = 0
    for stale in present.keys() - files.keys():
        (output / stale).unlink()
        changed += 1
    for path, content in files.items():
        if present.get(path) != content:
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            (output / path).write_text(content, encoding="utf-8")
            changed += 1
    for folder in sorted((path for path in output.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return changed


def compare(output: Path, files: Files) -> list[str]:
    """A unified diff for each file that is missing, superfluous or different."""
    present = _present(output)
    differences = []
    for path in sorted(present.keys() | files.keys()):
        before, after = present.get(path, ""), files.get(path, "")
        if before != after or (path in present) != (path in files):
            lines = difflib.unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"written/{path}",
                f"intended/{path}",
            )
            differences.append("".join(lines) or f"intended/{path}: empty, and not there yet\n")
    return differences
