"""Reads a release's file: the versions that the bundle is made of."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rackwright.errors import UsageError

RELEASES = Path(__file__).resolve().parents[1] / "catalog" / "releases"
#: What is built when nobody says otherwise.
DEFAULT = "2026.11"


@dataclass(frozen=True)
class Release:
    """Versions by component; ``epoch`` is the time stamp (seconds since 1970) of what is built."""

    name: str
    epoch: int
    components: Mapping[str, Mapping[str, Any]]

    def version(self, component: str) -> str:
        """The component's version."""
        return str(self.components[component]["version"])

    @property
    def versions(self) -> dict[str, str]:
        """Version by component."""
        return {name: self.version(name) for name in self.components}

    def source(self, component: str) -> str:
        """Where the component comes from: ``go:<module>@v<version>``, or what the release file says."""
        entry = self.components[component]
        return f"go:{entry['module']}@v{entry['version']}" if "module" in entry else str(entry["source"])


def read_release(name: str) -> Release:
    """The release of that name.

    Raises:
        UsageError: there is no such release, or none that a bundle can be built of.
    """
    path = RELEASES / f"{name}.yml"
    known = ", ".join(sorted(p.stem for p in RELEASES.glob("*.yml")))
    if not path.is_file():
        raise UsageError(f"there is no release {name}", f"known releases: {known}")
    document = yaml.safe_load(path.read_text())
    if document["status"] != "current":
        raise UsageError(
            f"release {name} ({document['status']}) is kept as a reference; no bundle is built of it",
            f"rackwright bundle build --release {DEFAULT}",
        )
    epoch = calendar.timegm(document["date"].timetuple())
    return Release(str(document["release"]), epoch, document["components"])
