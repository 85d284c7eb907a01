"""What a mutation is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = "§"
"""Stands in a mutation right before what the finding must point at; it is taken out again."""


@dataclass(frozen=True)
class Mutation:
    """Named changes of a good site, and the rule that must find them.

    ``changes`` replace the first occurrence of each old text by the new one, in turn; ``files`` are laid
    beside the site file. Exactly one place, marked by ``HERE``, is where the finding must point. ``also``
    are further rules that rightly report something, each with the reason why it isn't the same fault.
    ``today`` is the day of the test where it matters.
    """

    name: str
    rule: str
    changes: tuple[tuple[str, str], ...] = ()
    site: str = "reference"
    files: dict[str, str] = field(default_factory=dict)
    also: dict[str, str] = field(default_factory=dict)
    today: str = "2026-11-23"

    def write(self, files: dict[str, str], folder: Path) -> tuple[str, int, int]:
        """Lay the broken site into ``folder``: file, line and column at which it must be found.

        A change that doesn't apply any more is the test's own fault.
        """
        broken = {**files, "site.yml": self._changed(files["site.yml"]), **self.files}
        places = [
            (name, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
            for name, text in broken.items()
            if (at := text.find(HERE)) >= 0
        ]
        assert len(places) == 1, f"{self.name}: {HERE} stands in {len(places)} files"
        for name, text in broken.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(HERE, "", 1), encoding="utf-8")
        return places[0]

    def but(self, also: dict[str, str]) -> Mutation:
        """The same, where further rules rightly report something."""
        return replace(self, also=also)

    def marked(self, where: str) -> Mutation:
        """The same, where the finding must point at an unchanged part of the site."""
        return replace(self, changes=(*self.changes, (where, HERE + where)))

    def on(self, site: str) -> Mutation:
        """The same, of another site."""
        return replace(self, site=site)

    def _changed(self, text: str) -> str:
        for old, new in self.changes:
            assert old in text, f"{self.name}: '{old}' is not in the good site"
            text = text.replace(old, new, 1)
        return text


def one(
    name: str, rule: str, old: str, new: str, site: str = "reference", **more: dict[str, str]
) -> Mutation:
    """A mutation of a single change."""
    return Mutation(name, rule, ((old, new),), site, **more)


def many(name: str, rule: str, *changes: tuple[str, str], site: str = "reference") -> Mutation:
    """A mutation that takes several changes to be one fault."""
    return Mutation(name, rule, changes, site)
