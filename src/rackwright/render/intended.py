"""``intended/``: every file of every node as text, to be read, reviewed and committed.

Of a large site only ``digests.txt`` is kept there: a line for each artefact instead of tens of thousands of
files. Where that file stands, rendering keeps it, and writes nothing else.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from rackwright.errors import UsageError
from rackwright.intent.own_catalogue import load_catalogue
from rackwright.render.engine import render
from rackwright.render.inventory import host_variables
from rackwright.render.options import role_options
from rackwright.render.registry import artefacts_of
from rackwright.render.site_documents import site_documents
from rackwright.site import load_site

#: Relative path (``<host>/etc/…``) → content.
Files = Mapping[str, str]
DIGESTS = "digests.txt"
#: The folder, and in digests the name, of the documents that belong to no single node.
SITE = "site"
_HEAD = """\
# What `rackwright render` makes of this site, without the files: artefact, files, SHA-256 of their list as
# `sha256sum` writes it, in the order of the paths. The files themselves: rackwright render SITE --output DIR
"""


def rendered_files(site: str) -> Iterator[tuple[str, str, str]]:
    """Artefact, relative path and content of every file, node after node. Secret files are left out.

    Options come from ``group_vars`` and ``host_vars`` beside the site file with Ansible's own precedence.
    """
    model = load_site(site)
    variables = host_variables(Path(model.path))
    for node in model.nodes:
        given = variables[node.name]
        for entry in artefacts_of(node):
            options = {name: given[name] for name in role_options(entry.role) if name in given}
            for rendered in render(model, node.name, entry.name, options):
                if not rendered.secret:
                    yield entry.name, f"{node.name}/{rendered.path.lstrip('/')}", rendered.content
    given = variables[model.head.name]
    options = {name: given[name] for name in role_options("triton") if name in given}
    catalogue, _ = load_catalogue(Path(model.path), Path(model.path).parent)
    for name, text in site_documents(model, catalogue, options).items():
        yield SITE, f"{SITE}/{name}", text


def intended_folder(site: str, output: Path | None) -> Path:
    """Where the files of ``site`` go."""
    return output or Path(load_site(site).path).parent / "intended"


def intended_files(site: str) -> Files:
    """Every file of the site that is no secret."""
    return {path: content for _, path, content in rendered_files(site)}


def digests(site: str) -> str:
    """The text of ``digests.txt``; the files are rendered, but never held or written."""
    found: dict[str, list[tuple[str, str]]] = {}
    for artefact, path, content in rendered_files(site):
        found.setdefault(artefact, []).append((path, hashlib.sha256(content.encode()).hexdigest()))
    lines = [_HEAD]
    for artefact, files in sorted(found.items()):
        listing = "".join(f"{digest}  {path}\n" for path, digest in sorted(files))
        lines.append(f"{artefact} {len(files)} {hashlib.sha256(listing.encode()).hexdigest()}\n")
    return "".join(lines)


def _present(output: Path) -> dict[str, str]:
    return {
        path.relative_to(output).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def writable_folder(output: Path) -> Path:
    """``output``, if it is free, or holds an earlier rendering and no more: all else in it would be removed.

    Raises UsageError where it is anything else.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"'{output}' is not a folder", "name a folder; it need not be there yet")
    entries = sorted(output.iterdir()) if output.is_dir() else []
    foreign = [path.name for path in entries if not path.is_dir() and path.name != DIGESTS]
    rendered = (output / SITE).is_dir() or (output / DIGESTS).is_file()
    if foreign or (entries and not rendered):
        seen = (foreign or [path.name for path in entries])[0]
        raise UsageError(
            f"'{output}' holds what rendering would remove, such as '{seen}'",
            "name a new folder, or one of an earlier rendering",
        )
    return output


def write(output: Path, files: Files) -> int:
    """Make ``output`` hold exactly ``files``; gives how many were written or removed."""
    present = _present(output)
    stale = present.keys() - files.keys()
    for path in stale:
        (output / path).unlink()
    changed = [path for path, content in files.items() if present.get(path) != content]
    for folder in {(output / path).parent for path in changed}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in changed:
        (output / path).write_text(files[path], encoding="utf-8")
    if stale:
        for folder in sorted((path for path in output.rglob("*") if path.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
    return len(stale) + len(changed)


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
