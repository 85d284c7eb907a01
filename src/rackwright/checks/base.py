"""What a check is: the evidence it asks for, and a pure judgement over that evidence.

A check never touches a machine. It names what it needs (``Need``), the collector fetches that once for all
checks, and ``Check.judge`` turns the fetched ``Evidence`` into a ``Verdict``. So every check can be tested
with recorded evidence, good and bad.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Layer = Literal[
    "cable",
    "os",
    "dns",
    "time",
    "mirror",
    "registry",
    "etcd",
    "api",
    "nodes",
    "gpu",
    "fabric",
    "storage",
    "serving",
    "metrics",
]
LAYERS: tuple[Layer, ...] = Layer.__args__  # type: ignore[attr-defined]  # the order from the cable up

WORKSTATION = "workstation"
"""The place of requests that are made where the engineer (or the CI job) stands."""
CLUSTER = "cluster"
"""The place of questions to the cluster: asked on the first control plane that answers."""

KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=20s")
LIMIT = re.compile(r"^(--(?:request-|command-|dial-)?timeout=)(\d+)s$")
"""A command's own limit of time, in whole seconds."""


@dataclass(frozen=True)
class Output:
    """What a command or request gave: ``rc`` 0 is success, -1 it could not be started or timed out;
    seconds; how often it was asked.
    """

    rc: int
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    tries: int = 1

    @property
    def last_words(self) -> str:
        """The line that most likely says why it failed."""
        for text in (self.stderr, self.stdout):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1][:300]
        return f"no output, exit status {self.rc}"


class NoEvidenceError(Exception):
    """The evidence a check needs was not to be had: the place did not answer, or the command failed."""


class Evidence:
    """Outputs by (place, key). JSON-able through ``to_dict``/``from_dict``."""

    def __init__(self, outputs: Mapping[tuple[str, str], Output] | None = None) -> None:
        self._outputs = dict(outputs or {})

    def add(self, place: str, key: str, output: Output) -> None:
        """Put one output in."""
        self._outputs[place, key] = output

    def places(self) -> frozenset[str]:
        """Every place that has answered anything."""
        return frozenset(place for place, _ in self._outputs)

    def output(self, place: str, key: str) -> Output:
        """The output, failed or not; raises NoEvidenceError when the place gave none."""
        try:
            return self._outputs[place, key]
        except KeyError:
            raise NoEvidenceError(f"{place} gave no answer to '{key}'") from None

    def tries(self, place: str, key: str) -> int:
        """How often it was asked; 1 also where there is no output."""
        return self._outputs.get((place, key), Output(0)).tries

    def text(self, place: str, key: str) -> str:
        """The standard output; raises NoEvidenceError when there is none or the command failed."""
        output = self.output(place, key)
        if output.rc != 0:
            raise NoEvidenceError(f"'{key}' failed on {place}: {output.last_words}")
        return output.stdout

    def json(self, place: str, key: str) -> Any:
        """The standard output read as JSON; raises NoEvidenceError."""
        text = self.text(place, key)
        try:
            return json.loads(text)
        except ValueError as error:
            raise NoEvidenceError(f"'{key}' on {place} is not JSON ({error}): {text[:120]!r}") from None

    def each(self, place: str, key: str) -> dict[str, Output]:
        """The outputs of an expanded command (``Command.each``): first word of the line → output."""
        self.text(place, key)
        prefix = f"{key}/"
        return {
            name.removeprefix(prefix): output
            for (where, name), output in self._outputs.items()
            if where == place and name.startswith(prefix)
        }

    def to_dict(self) -> dict[str, dict[str, dict[str, Any]]]:
        """place → key → output."""
        result: dict[str, dict[str, dict[str, Any]]] = {}
        for (place, key), output in self._outputs.items():
            result.setdefault(place, {})[key] = asdict(output)
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Evidence:
        """The inverse of ``to_dict``."""
        return cls({(place, key): Output(**out) for place, outs in data.items() for key, out in outs.items()})

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._outputs)


@dataclass(frozen=True)
class Command:
    """A command to be run on a machine as root. It reads only, unless ``alters`` says otherwise.

    ``timeout`` in seconds. Commands of one ``lane`` run one after the other in the order given, lanes side by
    side; without a lane a command runs by itself. With ``each``, that argument list is run once for every
    line that ``argv`` prints; ``{0}``, ``{1}`` … stand for the words of the line. ``{tmp}`` is a scratch
    directory that is removed afterwards.
    """

    key: str
    argv: tuple[str, ...]
    timeout: float = 30.0
    lane: str = ""
    stdin: str = ""
    each: tuple[str, ...] = ()
    alters: bool = False

    def patient(self, factor: float) -> Command:
        """The same with ``factor`` times as long for it, its own limits (``--timeout=45s``) included."""

        def longer(word: str) -> str:
            return LIMIT.sub(lambda found: f"{found[1]}{int(found[2]) * factor:.0f}s", word)

        return replace(
            self,
            argv=tuple(map(longer, self.argv)),
            each=tuple(map(longer, self.each)),
            timeout=self.timeout * factor,
        )


@dataclass(frozen=True)
class Request:
    """Something asked from the workstation once the machines' evidence is in; ``ask`` may read that
    evidence.
    """

    key: str
    ask: Callable[[Evidence], Output] = field(compare=False)


@dataclass(frozen=True)
class Need:
    """One piece of evidence: where, and what is run or asked there."""

    place: str
    what: Command | Request


@dataclass(frozen=True)
class Hint:
    """For a check that failed: what it probably means, and the command to go on with."""

    cause: str
    next_command: str

    def __str__(self) -> str:
        return f"{self.cause}. Next: {self.next_command}"


@dataclass(frozen=True)
class Verdict:
    """What a check found. ``hint`` overrides the check's own where the evidence says more."""

    ok: bool
    evidence: str
    hint: Hint | None = None


@dataclass(frozen=True)
class Check:
    """One check against one target. ``judge`` is pure; it may raise NoEvidenceError."""

    id: str
    layer: Layer
    target: str
    needs: tuple[Need, ...]
    judge: Callable[[Evidence], Verdict] = field(compare=False)
    hint: Hint = Hint("", "")

    def evaluate(self, evidence: Evidence) -> CheckResult:
        """Judge; evidence that is missing or makes no sense is a failed check, never an exception."""
        try:
            verdict = self.judge(evidence)
        except NoEvidenceError as reason:
            verdict = Verdict(False, str(reason))
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            verdict = Verdict(
                False, f"the answer has not the expected shape: {type(error).__name__}: {error}"
            )
        hint = "" if verdict.ok else str(verdict.hint or self.hint)
        result: Literal["passed", "failed"] = "passed" if verdict.ok else "failed"
        tries = max((evidence.tries(need.place, need.what.key) for need in self.needs), default=1)
        said = verdict.evidence + (f" (asked up to {tries} times)" if tries > 1 else "")
        return CheckResult(self.id, self.layer, self.target, result, said, hint)


@dataclass(frozen=True)
class CheckResult:
    """One line of the report; ``hint`` is empty when the check passed."""

    id: str
    layer: Layer
    target: str
    result: Literal["passed", "failed"]
    evidence: str
    hint: str

    def to_dict(self) -> dict[str, str]:
        """The shape that stands in report.json under ``checks``."""
        return asdict(self)


def kubectl(key: str, *args: str, timeout: float = 30.0) -> Need:
    """A reading question to the cluster's API, asked on a control plane with the administrator's
    kubeconfig.
    """
    return Need(CLUSTER, Command(key, (*KUBECTL, *args), timeout=timeout))


def found(problems: list[str], good: str) -> Verdict:
    """Failed with all problems, or passed with what was seen."""
    if problems:
        return Verdict(
            False,
            "; ".join(problems[:12]) + (f"; and {len(problems) - 12} more" if len(problems) > 12 else ""),
        )
    return Verdict(True, good)


def running_pods(label: str, *fields: str) -> tuple[str, ...]:
    """Command that prints a line for each running pod with the label: the given fields, such as
    ``.spec.nodeName``.
    """
    line = " ".join(f"{{{field}}}" for field in fields)
    form = '{range .items[?(@.status.phase=="Running")]}' + line + '{"\\n"}{end}'
    return (*KUBECTL, "get", "pods", "-A", "-l", label, "-o", f"jsonpath={form}")
