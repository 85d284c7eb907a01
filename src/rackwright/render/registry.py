"""Every artefact by name: which role's it is, which templates make it, where the files go, and on which
nodes.

The declarations stand in ``rackwright.render.artefacts``, one module per consumer; each exports
``ARTEFACTS``.
"""

from __future__ import annotations

import enum
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.errors import UsageError

Options = Mapping[str, Any]
Values = Callable[[SiteModel, Node, Options], Mapping[str, Any]]


class Scope(enum.StrEnum):
    """The nodes an artefact is for."""

    ALL = "all"
    HEAD = "head"
    CONTROL_PLANE = "control_plane"
    GPU_WORKER = "gpu_worker"

    def holds(self, node: Node) -> bool:
        """Whether ``node`` gets artefacts of this scope."""
        match self:
            case Scope.ALL:
                return True
            case Scope.HEAD:
                return node.is_head
            case Scope.CONTROL_PLANE:
                return node.is_control_plane
            case Scope.GPU_WORKER:
                return node.is_gpu_worker


@dataclass(frozen=True)
class Template:
    """One file of an artefact.

    ``source`` is relative to ``templates/``. ``destination`` is absolute and may itself be a Jinja2
    expression. ``when`` leaves the file out where it gives false. ``secret`` files are never shown, logged
    or written to ``intended/``. ``validate`` is a command with ``%s`` for the new file, run on the node
    before it takes its place. ``each`` makes one file for every mapping it gives, whose names the template
    and the destination see.
    """

    source: str
    destination: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    secret: bool = False
    validate: str | None = None
    when: Callable[[SiteModel, Node, Options], bool] | None = None
    each: Callable[[SiteModel, Node, Options], Sequence[Mapping[str, Any]]] | None = None


@dataclass(frozen=True)
class Artefact:
    """A named set of files that belong together.

    ``role`` owns it: its declared variables (``meta/argument_specs.yml``) are what the templates see
    beside ``model`` and ``node``. None: no role applies it yet; it is rendered into ``intended/`` for the
    phase that will install the nodes' operating systems. ``values`` computes further names for the templates, so that they hold
    no logic of their own.
    """

    name: str
    role: str | None
    files: tuple[Template, ...]
    scope: Scope = Scope.ALL
    values: Values | None = None


@dataclass(frozen=True)
class RenderedFile:
    """A file as a node is to have it; ``mode`` is octal text such as ``0644``."""

    path: str
    content: str = field(repr=False)
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    secret: bool = False
    validate: str | None = None


@cache
def artefacts() -> Mapping[str, Artefact]:
    """All artefacts by name."""
    package = importlib.import_module("rackwright.render.artefacts")
    found: dict[str, Artefact] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for entry in getattr(module, "ARTEFACTS", ()):
            if entry.name in found:
                raise ValueError(f"two artefacts are called {entry.name!r}")
            found[entry.name] = entry
    return found


def artefact(name: str) -> Artefact:
    """The artefact called ``name``; raises UsageError, naming the nearest ones, if there is none."""
    known = artefacts()
    if name not in known:
        raise UsageError(f"no artefact is called {name!r}", hint="known: " + ", ".join(sorted(known)))
    return known[name]


def artefacts_of(node: Node) -> tuple[Artefact, ...]:
    """The artefacts that ``node`` gets, by name."""
    return tuple(entry for _, entry in sorted(artefacts().items()) if entry.scope.holds(node))
