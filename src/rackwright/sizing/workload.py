"""A workload file: models, their users, the latency that they expect; its faults are shown at file:line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from rackwright.catalog import Catalogue
from rackwright.errors import Finding, SiteError, UsageError
from rackwright.intent.document import Document, read_document
from rackwright.intent.explain import findings_of
from rackwright.intent.fields import Name, Profile, Strict
from rackwright.intent.load import shown
from rackwright.intent.own_catalogue import load_catalogue
from rackwright.sizing.sweep import Measurement


def _key_of(kind: str) -> AfterValidator:
    """A key of the catalogue, which comes as the validation's context."""

    def check(value: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(kind, ())
        if value not in known:
            raise PydanticCustomError("unknown_choice", "not in the catalogue", {"choices": sorted(known)})
        return value

    return AfterValidator(check)


class Demand(Strict):
    """A model and who uses it."""

    model: Annotated[str, _key_of("models")] | None = Field(
        None, description="A key of catalog/models.yml; left out for a model of your own."
    )
    name: Name | None = Field(
        None, description="The name by which clients ask for it; left out: from the model's key."
    )
    users: int = Field(ge=1, le=100_000, description="Requests that are under way at the same time.")
    p95_ms: float | None = Field(
        None,
        ge=1,
        le=3_600_000,
        description="What 95 of 100 requests must be answered within, in milliseconds.",
    )
    concurrency_per_instance: int | None = Field(
        None, ge=1, le=4096, description="Requests that one instance takes at once, measured by yourself."
    )
    measured_on: Annotated[str, _key_of("gpus")] | None = Field(
        None, description="The GPU that your sweep or your own figure was measured on; left out: not known."
    )
    gpus: int | None = Field(
        None, ge=1, le=16, description="GPUs of one instance, where it is to be more than the least."
    )
    parameters_b: float | None = Field(
        None, ge=0.001, le=100_000, description="Billions of parameters at 16 bits, of a model of your own."
    )
    memory_gb: float | None = Field(
        None, ge=0.001, le=100_000, description="GPU memory of one instance in GB, measured by yourself."
    )
    sweep_model: str | None = Field(
        None, description="The model's name in the sweep, where it is another than here."
    )

    @property
    def label(self) -> str:
        """The name by which clients ask for it."""
        return self.name or (self.model or "model").replace(".", "-")

    @property
    def sweep_names(self) -> tuple[str, ...]:
        """Names under which a sweep may have measured it."""
        if self.sweep_model is not None:
            return (self.sweep_model,)
        return tuple(name for name in (self.name, self.model) if name is not None)


class RackLimits(Strict):
    """What one rack takes."""

    units: int = Field(42, ge=12, le=52, description="Rack units.")
    power_w: int | None = Field(None, ge=1000, description="Usable watts of its feeds; left out: no limit.")


class Workload(Strict):
    """A workload file."""

    site: Name = Field("new-site", description="The name of the site that is written.")
    models: tuple[Demand, ...] = Field(min_length=1, description="The models to serve.")
    profiles: tuple[Profile, ...] = Field(
        (), description="The kinds of server that may be used; left out: all."
    )
    spare: int = Field(0, ge=0, le=16, description="Servers beyond the need: 1 is N+1.")
    rack: RackLimits = Field(RackLimits(), description="What one rack takes.")


@dataclass(frozen=True)
class Order:
    """A faultless workload, the catalogue that it is sized by, and the site's own measurements."""

    workload: Workload
    catalogue: Catalogue
    sweep: tuple[Measurement, ...] = ()


def load_workload(path: Path, sweep: tuple[Measurement, ...] = ()) -> Order:
    """Read a workload; ``catalog/*.yml`` beside it is laid over the catalogue.

    Raises UsageError where there is no such file, SiteError with every fault.
    """
    if not path.is_file():
        hint = "it is a YAML file with 'models:'; see docs/how-to/size-a-site.md"
        raise UsageError(f"no workload at '{path}'", hint)
    document = read_document(path, shown(path))
    catalogue, findings = load_catalogue(path, Path(shown(path)).parent)
    findings += [_of_a_workload(finding) for finding in document.findings]
    if not document.data:
        raise SiteError(findings)
    profiles = {key: server for key, server in catalogue.servers.items() if server.gpus}
    context = {"profiles": profiles, "models": catalogue.models, "gpus": catalogue.gpus}
    workload = None
    try:
        workload = Workload.model_validate(document.data, context=context)
    except ValidationError as error:
        faults = findings_of(document, error.errors(), Workload)
        if findings:
            # What looks unknown may be what is wrong in the catalogue.
            faults = [finding for finding in faults if finding.rule != "unknown-value"]
        findings += [_of_a_workload(finding) for finding in faults]
    findings += _contradictions(document, context)
    if findings or workload is None:
        raise SiteError(findings)
    return Order(workload, catalogue, sweep)


def _of_a_workload(finding: Finding) -> Finding:
    """The grammar's words for a site file, said of a workload."""
    message = finding.message.replace("the site has", "the workload has").replace(
        "of the site", "of a workload"
    )
    hint = "start with 'models:'" if "plugin:" in finding.hint else finding.hint
    return dataclasses.replace(finding, message=message, hint=hint)


def _contradictions(document: Document, context: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong between fields, of the entries that parse by themselves."""
    entries = document.data.get("models")
    labels: dict[str, int] = {}
    for index, data in enumerate(entries if isinstance(entries, list) else ()):
        path = ("models", index)
        try:
            entry = Demand.model_validate(data, context=context)
        except ValidationError:
            continue
        own = entry.parameters_b is not None or entry.memory_gb is not None
        if entry.model is None and not own:
            message = "a model of the catalogue is named by 'model'; one of your own needs its size"
            yield document.finding("no-model", path, message, "add 'model', or 'name' and 'parameters_b'")
        elif entry.model is None and entry.name is None:
            yield document.finding("no-name", path, "a model of your own has no 'name'", "add 'name'")
        elif entry.model is not None and entry.parameters_b is not None:
            message = f"the catalogue knows the parameters of {entry.model}"
            place = (*path, "parameters_b")
            yield document.finding("two-sizes", place, message, "remove it, or 'model'", key=True)
        if entry.label in labels and (entry.model or entry.name):
            message = f"'{entry.label}' stands twice (first in entry {labels[entry.label] + 1})"
            place = (*path, "name" if entry.name else "model")
            hint = "add up their users, or give one another 'name'"
            yield document.finding("duplicate-name", place, message, hint)
        labels.setdefault(entry.label, index)
