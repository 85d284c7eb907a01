"""The facts of a report, gathered from what a rollout left behind, and their published JSON form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rackwright.checks.base import CheckResult
from rackwright.checks.host import SECRET_SHAPES
from rackwright.checks.run import read_results
from rackwright.derive.model import SiteModel, plain
from rackwright.errors import UsageError
from rackwright.report.components import Component, components
from rackwright.rollout.timeline import ALL_PHASES, PHASES, PROVISION, Timeline, read_timeline

Result = Literal["passed", "failed"]


@dataclass(frozen=True)
class Step:
    """Something a rehearsal did outside the playbooks; seconds since its begin."""

    name: str
    start: float
    seconds: float


@dataclass
class Rehearsal:
    """What a rehearsal adds to a rollout: ``began`` in Unix time, memory in bytes, why it failed if it
    did.
    """

    began: float
    seconds: float = 0.0
    memory_peak: int | None = None
    steps: list[Step] = field(default_factory=list)
    failure: str = ""
    until: str = PHASES[-1]
    #: Nodes that began as bare machines; without any, no operating system was put on anything.
    metal: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_rehearsal(path: Path) -> Rehearsal | None:
    """What ``Rehearsal.write`` wrote, or None."""
    try:
        data = json.loads(path.read_text())
        return Rehearsal(**{**data, "steps": [Step(**step) for step in data["steps"]]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Report:
    """Everything that is reported; ``to_dict`` gives the published form."""

    model: SiteModel
    timeline: Timeline
    checks: tuple[CheckResult, ...]
    components: tuple[Component, ...]
    artefacts: tuple[tuple[str, str], ...]
    rehearsal: Rehearsal | None
    wanted: tuple[str, ...]

    @property
    def done(self) -> frozenset[str]:
        """Phases that passed."""
        return frozenset(phase.name for phase in self.timeline.phases if phase.result == "passed")

    @property
    def result(self) -> Result:
        """Passed when every wanted phase and every check did."""
        whole = all(phase in self.done for phase in self.wanted)
        broken = self.rehearsal is not None and self.rehearsal.failure
        return (
            "passed" if whole and not broken and all(c.result == "passed" for c in self.checks) else "failed"
        )

    @property
    def began(self) -> float:
        """Unix time."""
        return self.rehearsal.began if self.rehearsal else self.timeline.began

    @property
    def seconds(self) -> float:
        """From the begin to the end of what is reported."""
        if self.rehearsal:
            return self.rehearsal.seconds
        return max((phase.start + phase.seconds for phase in self.timeline.phases), default=0.0)

    def node_result(self, name: str) -> Result:
        """Failed when a task failed on the node or a check of it failed, or when no task ever ran there."""
        counts = self.timeline.hosts.get(name)
        bad = counts is None or counts.get("failures", 0) or counts.get("unreachable", 0)
        targets = {check.target.split(" ")[0] for check in self.checks if check.result == "failed"}
        return "failed" if bad or name in targets else "passed"

    def to_dict(self) -> dict[str, Any]:
        """The form that docs/reference/schemas/report.schema.json publishes."""
        endpoints = [
            {"model": served.name, "protocol": protocol, "url": f"{scheme}://{served.vip}:{port}{path}"}
            for served in (self.model.serving if "serving" in self.done else ())
            for protocol, scheme, port, path in (
                ("http", "http", served.http_port, f"/v2/models/{served.name}/generate"),
                ("stream", "http", served.http_port, f"/v2/models/{served.name}-stream/generate_stream"),
                ("grpc", "grpc", served.grpc_port, ""),
            )
        ]
        return {
            "site": self.model.name,
            "release": self.model.release,
            "result": self.result,
            "started": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "nodes": [
                {
                    "name": node.name,
                    "profile": node.profile,
                    "roles": sorted(node.roles),
                    "result": self.node_result(node.name),
                }
                for node in self.model.nodes
            ],
            "phases": [
                {
                    "name": phase.name,
                    "seconds": round(phase.seconds, 1),
                    "tasks": phase.tasks,
                    "changed": phase.changed,
                    "result": phase.result,
                }
                for phase in self.timeline.phases
            ],
            "checks": [check.to_dict() for check in self.checks],
            "components": [component.to_dict() for component in self.components],
            "endpoints": endpoints,
            "artefacts": [{"path": path, "sha256": digest} for path, digest in self.artefacts],
            "waived": plain(self.model.waived),
        }


def scrub(text: str) -> str:
    """The text with everything that looks like a secret masked: the last guard, not the only one."""
    for shape in SECRET_SHAPES.values():
        text = shape.sub("[secret removed]", text)
    return text


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def gather(model: SiteModel, output: Path, lock: Path | None, wanted: Sequence[str] = PHASES) -> Report:
    """Read what a rollout or rehearsal left in ``output``; UsageError when there is nothing.

    ``lock`` is the bundle's lock file, if it is at hand.
    """
    timeline = read_timeline(output / "timeline.json")
    rehearsal = read_rehearsal(output / "rehearsal.json")
    if timeline is None:
        if rehearsal is None:
            raise UsageError(f"nothing to report in {output}", f"rackwright rehearse {model.path}")
        timeline = Timeline(rehearsal.began)
    checked = output / "checks.json"
    fresh = checked.exists() and any(phase.name == "verify" for phase in timeline.phases)
    results = tuple(
        CheckResult(r.id, r.layer, r.target, r.result, scrub(r.evidence), scrub(r.hint))
        for r in (read_results(checked) if fresh else [])
    )
    done = frozenset(phase.name for phase in timeline.phases if phase.result == "passed")
    # A verify phase that judged has put everything to work, whatever its verdict.
    reached = done | {phase.name for phase in timeline.phases if phase.name == "verify"}
    metal = rehearsal.metal if rehearsal is not None else ()
    parts = tuple(components(model, rehearsal is not None, reached, lock, metal))
    files = [path for path in sorted(output.rglob("*")) if path.is_file() and path.name not in NOT_LISTED]
    artefacts = [(str(path.relative_to(output)), digest(path)) for path in files]
    if lock is not None and lock.is_file():
        artefacts.append(("bundle/lock.json", digest(lock)))
    until = rehearsal.until if rehearsal else None
    phases = tuple(wanted) if until is None else ALL_PHASES[: ALL_PHASES.index(until) + 1]
    if rehearsal is not None and not rehearsal.metal:
        phases = tuple(phase for phase in phases if phase != PROVISION)
    return Report(model, timeline, results, parts, tuple(artefacts), rehearsal, phases)


NOT_LISTED = frozenset({"report.json", "report.html", "state.json"})
"""Files that are no artefact of the run: the report itself, and notes for a resumed run."""
