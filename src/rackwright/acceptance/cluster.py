"""Acceptance through the cluster, on the workstation's side: which servers, for which order, and the judgement."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rackwright.acceptance import job
from rackwright.acceptance.certificate import Certificate
from rackwright.acceptance.measure import BEGIN
from rackwright.acceptance.ordered import promise_of
from rackwright.acceptance.promise import Promise, designs
from rackwright.acceptance.run import Plan, certify
from rackwright.acceptance.serve import Settings
from rackwright.acceptance.sweep import Tokens
from rackwright.catalog import builtin
from rackwright.derive.model import SiteModel
from rackwright.errors import RunFailure, UsageError


@dataclass(frozen=True)
class Server:
    """A GPU server to accept: what was ordered, what is measured, and where its certificate lies."""

    site: str
    name: str
    promise: Promise
    plan: Plan
    options: job.Options
    output: Path

    @property
    def order(self) -> dict[str, Any]:
        """What its certificate answers to."""
        promise = {"profile": self.promise.profile, "gpu": self.promise.key, "count": self.promise.count}
        task = job.given(self.plan.task(self.promise), self.options)
        return {"promise": promise, "given": task, "image": self.options.image}

    def objects(self) -> list[dict[str, Any]]:
        """Its ConfigMap and its Job."""
        return job.of_server(self.name, self.promise.count, self.plan.task(self.promise), self.options)

    def said(self) -> str:
        """What its certificate says."""
        try:
            certificate = json.loads((self.output / "certificate.json").read_text(encoding="utf-8"))
            return f"{certificate['result']}, {certificate['started']}"
        except (OSError, ValueError, KeyError):
            return "no certificate"

    def holds(self) -> bool:
        """Whether it has a certificate for this very order and image that didn't fail."""
        try:
            before = json.loads((self.output / "order.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return before == self.order and self.said().partition(",")[0] in ("passed", "incomplete")

    def failure(self, certificate: Certificate) -> RunFailure:
        """What to tell of one that isn't as ordered."""
        failed = [one for one in certificate.all_outcomes if one.result == "failed"]
        first = failed[0]
        return RunFailure(
            f"accepting {self.name}: " + ", ".join(dict.fromkeys(one.id for one in failed)),
            f"{self.name}, {first.target}",
            "; ".join(f"{one.id} {one.target}: {one.evidence}" for one in failed[:4])
            + (f"; and {len(failed) - 4} more" if len(failed) > 4 else ""),
            first.hint,
            f"read {self.output / 'certificate.html'}; when it is mended: rackwright accept {self.site} --limit {self.name}",
        )


def plan_of(values: Mapping[str, Any]) -> Plan:
    """The plan that role variables describe: ``models``, ``grid``, ``concurrency``, ``seconds``.

    Raises UsageError for sizes or settings that don't exist.
    """
    sizes = tuple(values["models"])
    known = designs(builtin())
    unknown = [size for size in sizes if size not in known]
    if unknown:
        raise UsageError(
            f"no synthetic GPT of size {', '.join(unknown)}", f"sizes: {', '.join(known)}; or none"
        )
    try:
        grid = tuple(Settings(*map(int, one.split("x"))) for one in values["grid"])
    except (TypeError, ValueError):
        raise UsageError(
            "acceptance_grid can't be read", "instances x sequences at once: [2x16, 1x4]"
        ) from None
    return Plan(sizes, Tokens(), grid, tuple(values["concurrency"]), float(values["seconds"]))


def ordered(
    model: SiteModel, names: Sequence[str], plan: Plan, options: job.Options, output: Path
) -> list[Server]:
    """The site's GPU servers, or the named ones. Raises UsageError for a name that is none of them."""
    known = [node.name for node in model.gpu_workers if node.gpus is not None]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: no GPU server of {model.name}", f"these are: {', '.join(sorted(known))}"
        )
    return [
        Server(model.name, name, promise_of(model, name), plan, options, output / name)
        for name in known
        if not names or name in names
    ]


def judged(server: Server, found: Mapping[str, Any]) -> Certificate:
    """Write what came back of a server, and its certificate.

    Raises RunFailure where it wasn't measured.
    """
    if "failure" in found:
        raise RunFailure(**found["failure"])
    shutil.rmtree(server.output, ignore_errors=True)
    raw = server.output / "raw"
    raw.mkdir(parents=True)
    (raw / "pod.log").write_text(found["log"].partition(BEGIN)[0], encoding="utf-8")
    again = f"kubectl get pods -A --field-selector spec.nodeName={server.name}; read {raw / 'pod.log'}"
    what = f"accepting {server.name}"
    try:
        seen = job.unpack(found["log"], server.output)
        if not seen:
            said = (server.output / "failure.txt").read_text(encoding="utf-8")
            raise RunFailure(what, server.name, said, "the driver on the node doesn't answer", again)
        if not (raw / "nvidia-smi-before.xml").exists():
            driver = found.get("driver")
            if not driver:
                raise RunFailure(
                    what, server.name, "neither the pod nor a driver pod of the node has an nvidia-smi that prints XML",
                    "the GPU operator gives pods no GPU: its toolkit doesn't work", again,
                )  # fmt: skip
            (raw / "nvidia-smi-before.xml").write_text(driver["query"], encoding="utf-8")
            (raw / "topology.txt").write_text(driver["topology"], encoding="utf-8")
        missing = "" if seen["pytorch"] else f"the image {server.options.image} has no PyTorch for it"
        certificate = certify(server.promise, server.plan, seen, server.output, server.name, missing)
    except (ValueError, OSError, KeyError) as error:
        raise RunFailure(
            what, server.name, str(error), "the pod was ended early, or its log was cut", again
        ) from None
    (server.output / "order.json").write_text(json.dumps(server.order, indent=1) + "\n", encoding="utf-8")
    return certificate
