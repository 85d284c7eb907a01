"""A site's own products: ``catalog/{servers,gpus,nics,switches,models}.yml`` beside the site file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rackwright import catalog
from rackwright.errors import Finding
from rackwright.intent.document import Document, Path_, read_document
from rackwright.intent.explain import did_you_mean, findings_of

FOLDER = "catalog"


def yaml_files(folder: Path) -> list[Path]:
    """The YAML files of a folder, in the order of their names; none where there is no such folder."""
    return sorted(path for ending in ("yml", "yaml") for path in folder.glob(f"*.{ending}"))


def catalogue_files(site_file: Path) -> list[Path]:
    """The files of ``catalog/`` beside a site file, in the order of their names."""
    return yaml_files(site_file.parent / FOLDER)


def load_catalogue(site_file: Path, shown: Path) -> tuple[catalog.Catalogue, list[Finding]]:
    """The package's catalogue with the site's own products laid over it, and the faults of the latter.

    ``shown`` is the site file's folder as messages show it. An entry of a known key takes its place as a
    whole.
    """
    merged: dict[str, dict[str, Any]] = {
        kind: dict(getattr(catalog.builtin(), kind)) for kind in catalog.KINDS
    }
    findings: list[Finding] = []
    servers: list[tuple[Document, str]] = []
    files = catalogue_files(site_file)
    for file in files:
        document = read_document(file, str(shown / FOLDER / file.name))
        findings += document.findings
        grammar = catalog.KINDS.get(file.stem)
        if grammar is None:
            message = f"'{file.name}' is not a file of a catalogue"
            names = [f"{kind}.yml" for kind in catalog.KINDS]
            findings.append(
                document.finding("unknown-catalogue", (), message, did_you_mean(file.name, names))
            )
            continue
        for key, data in document.data.items():
            try:
                merged[file.stem][key] = grammar.model_validate(data)
            except ValidationError as error:
                findings += findings_of(document, error.errors(), grammar, (key,))
            else:
                servers += [(document, key)] if file.stem == "servers" else []
    for document, key in servers:
        dangling = list(_dangling(document, key, merged))
        findings += dangling
        if dangling:
            del merged["servers"][key]
    if not files:
        return catalog.builtin(), findings
    return dataclasses.replace(catalog.builtin(), **merged), findings


def _dangling(document: Document, key: str, merged: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Products that a server names and no catalogue has."""
    server: catalog.Server = merged["servers"][key]
    named: list[tuple[str, Path_, str]] = [
        ("gpus", (key, "gpus", "value", index, "product"), option.product)
        for index, option in enumerate(server.gpus)
    ]
    named += [
        ("nics", (key, "ports", "value", name, "product"), port.product)
        for name, port in server.ports.items()
    ]
    for kind, path, product in named:
        if product not in merged[kind]:
            message = f"'{product}' is not a key of {kind}.yml, here or in the package"
            yield document.finding("unknown-product", path, message, did_you_mean(product, merged[kind]))
