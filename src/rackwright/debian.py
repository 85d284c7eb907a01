"""Where this machine itself gets Debian's packages from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rackwright.errors import UsageError

APT = Path("/etc/apt")


def archive(apt: Path = APT) -> tuple[str, str]:
    """The Debian archive and the security archive that this machine's own apt sources name.

    Raises UsageError when they name no Debian archive.
    """
    uris = [uri.rstrip("/") for uri in _uris(apt)]
    # By custom the archive's path ends so, and that of the security updates like this.
    main = next((uri for uri in uris if re.fullmatch(r"(https?|file)://.*/debian", uri)), None)
    if main is None:
        raise UsageError(
            f"no Debian archive in {apt}/sources.list and {apt}/sources.list.d",
            "the nodes' system and packages come from the archive that this machine uses: add one there",
        )
    return main, next((uri for uri in uris if uri.endswith("/debian-security")), f"{main}-security")


def _uris(apt: Path) -> Iterator[str]:
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if file.is_file() and file.suffix in {".list", ".sources"}:
            text = file.read_text(errors="replace")
            yield from _deb822(text) if file.suffix == ".sources" else _one_line(text)


def _deb822(text: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        if fields.get("enabled", "yes").lower() != "no" and "deb" in fields.get("types", "").split():
            yield from fields.get("uris", "").split()


def _one_line(text: str) -> Iterator[str]:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+", line.strip())
        if match:
            yield match.group(1)
