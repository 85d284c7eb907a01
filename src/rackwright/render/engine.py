"""Templates in, files out: the one place where Jinja2 runs, for the CLI, check mode and the real run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import jinja2
import yaml

from rackwright.derive.model import SiteModel
from rackwright.errors import ExitCode, RackwrightError
from rackwright.paths import cache_dir, checkout
from rackwright.render.options import role_defaults
from rackwright.render.registry import RenderedFile, Template, artefact

MANAGED = "Made by Rackwright from templates/{source}: the next run undoes what is changed here."


# libyaml's writes the same text ten times as fast.
_DUMPER = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper


class RenderError(RackwrightError):
    """A template could not be rendered: which one, for which node, why."""

    exit_code = ExitCode.OWN_ERROR


def _plain(value: object) -> Any:
    """``value`` in YAML's and JSON's own types: addresses become text, tuples lists, str subclasses str."""
    match value:
        case Mapping():
            return {str(key): _plain(entry) for key, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(entry) for entry in value]
        case IPv4Address() | IPv4Interface() | IPv4Network() | Path():
            return str(value)
        case str():
            return str.__str__(value)
        case _:
            return value


def _to_yaml(value: object, indent: int = 0) -> str:
    """``value`` as block YAML, each line but the first indented by ``indent`` spaces."""
    return _block_yaml(json.dumps(_plain(value))).replace("\n", "\n" + " " * indent)


@lru_cache(maxsize=1024)
def _block_yaml(text: str) -> str:
    """JSON as block YAML: most nodes' settings are alike, and YAML is slow to write."""
    return yaml.dump(
        json.loads(text), Dumper=_DUMPER, sort_keys=False, default_flow_style=False, width=120
    ).rstrip("\n")


def _to_json(value: object) -> str:
    """``value`` as one line of JSON: also a valid TOML string when it is text."""
    return json.dumps(_plain(value), ensure_ascii=False)


@cache
def _destination(root: Path, text: str) -> jinja2.Template:
    return _environment(root).from_string(text)


@cache
def _environment(root: Path) -> jinja2.Environment:
    # Compiled once per machine, not once per forked worker of every run.
    compiled = cache_dir() / "templates"
    compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = jinja2.Environment(
        bytecode_cache=jinja2.FileSystemBytecodeCache(str(compiled)),
        loader=jinja2.FileSystemLoader(root),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.do"],
        auto_reload=False,
    )
    environment.filters.update(to_yaml=_to_yaml, to_json=_to_json)
    return environment


def _render_file(template: Template, context: Mapping[str, Any], where: str) -> RenderedFile:
    root = checkout() / "templates"
    names = {**context, "managed": MANAGED.format(source=template.source)}
    try:
        path = template.destination
        if "{" in path:
            path = _destination(root, path).render(names)
        content = _environment(root).get_template(template.source).render(names)
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        spot = f"templates/{template.source}" + (f":{line}" if line else "")
        raise RenderError(
            f"cannot render {spot} for {where}: {error.message or type(error).__name__}"
        ) from error
    return RenderedFile(
        path, content, template.mode, template.owner, template.group, template.secret, template.validate
    )


def render_text(source: str, names: Mapping[str, Any]) -> str:
    """The text of a template that belongs to no node: a document of the whole site. Raises RenderError."""
    return _render_file(Template(source, source), names, "the site").content


def render(
    model: SiteModel, node_name: str | None, name: str, options: Mapping[str, Any]
) -> list[RenderedFile]:
    """The files of artefact ``name`` for one node (the head node when ``node_name`` is None).

    ``options`` are the owning role's variables; those left out have the role's defaults. Raises
    RenderError, and UsageError for an unknown artefact.
    """
    entry = artefact(name)
    node = model.node(node_name) if node_name else model.head
    settings = {**role_defaults(entry.role), **options}
    context: dict[str, Any] = {"model": model, "node": node, **settings}
    if entry.values:
        context |= entry.values(model, node, settings)
    return [
        _render_file(template, {**context, **more}, node.name)
        for template in entry.files
        if template.when is None or template.when(model, node, settings)
        for more in (template.each(model, node, settings) if template.each else ({},))
    ]
