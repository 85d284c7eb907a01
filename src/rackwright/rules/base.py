"""What a rule is, and what rules share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from rackwright.intent.document import Mark, Path_
from rackwright.rules.facts import Facts


@dataclass(frozen=True)
class Fault:
    """What a rule found, at a path of the document: at its value, or at its key.

    ``mark`` is its place where that is in no file of the document.
    """

    path: Path_
    message: str
    hint: str
    key: bool = False
    mark: Mark | None = None


class Described(ABC):
    """What may be found: what must hold, why, how to mend it, and where in the design that comes from.

    ``source``: a table or chapter of the validated design, or ``operations`` with the matter in a word.
    """

    id: ClassVar[str]
    severity: ClassVar[Literal["error", "warning"]] = "error"
    what: ClassVar[str]
    why: ClassVar[str]
    mend: ClassVar[str]
    source: ClassVar[str]


class Rule(Described):
    """One rule. ``needs`` names the sections that must be whole for the rule to judge."""

    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def check(self, facts: Facts) -> Iterator[Fault]:
        """Every breach of the rule."""
