"""Errors that a user may meet, and the exit codes that go with them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass


class ExitCode(enum.IntEnum):
    """Exit codes of every command."""

    DONE = 0
    NOT_AS_IT_SHOULD_BE = 1
    INPUT_WRONG = 2
    OWN_ERROR = 3


@dataclass(frozen=True)
class Finding:
    """One fault in the user's input.

    ``line`` and ``column`` count from 1; ``path`` is the dotted place in the document (``nodes.r660-1.unit``);
    ``severity`` is ``error`` or ``warning``.
    """

    rule: str
    severity: str
    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str

    def to_dict(self) -> dict[str, str | int]:
        """The finding as JSON-able data."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        hint = f"\n    hint: {self.hint}" if self.hint else ""
        return f"{where}: {self.severity}: {self.message} [{self.rule}]{hint}"


class RackwrightError(Exception):
    """Base of the errors that are shown to the user without a traceback."""

    exit_code = ExitCode.OWN_ERROR


class UsageError(RackwrightError):
    """The command was called wrongly, or a named file does not exist."""

    exit_code = ExitCode.INPUT_WRONG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n    hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class SiteError(RackwrightError):
    """A site file has faults; ``findings`` holds all of them, in the order of the file."""

    exit_code = ExitCode.INPUT_WRONG

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(sorted(findings, key=lambda f: (f.file, f.line, f.column, f.rule)))
        super().__init__("\n".join(str(finding) for finding in self.findings))


class RunFailure(RackwrightError):
    """Something failed while it was being done: what, where, what was seen, why probably, and what to do next."""

    exit_code = ExitCode.NOT_AS_IT_SHOULD_BE

    def __init__(self, what: str, where: str, evidence: str, cause: str, next_command: str) -> None:
        self.what = what
        self.where = where
        self.evidence = evidence
        self.cause = cause
        self.next_command = next_command
        super().__init__(
            f"failed: {what}\n  where:    {where}\n  evidence: {evidence}\n"
            f"  cause:    {cause}\n  next:     {next_command}"
        )
