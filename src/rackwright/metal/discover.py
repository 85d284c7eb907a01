"""Which of the BMCs that were found are the site's: known, unknown, missing, swapped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rackwright.derive.model import SiteModel

Verdict = Literal["known", "unknown", "missing", "swapped"]


@dataclass(frozen=True)
class Found:
    """A BMC that answered. What it didn't tell is empty. ``state``: ``claimed``, ``factory``, ``locked``, ``silent``."""

    address: str
    mac: str = ""
    service_tag: str = ""
    product: str = ""
    fingerprint: str = ""
    state: str = ""


@dataclass(frozen=True)
class Match:
    """What is said of a BMC or of a server of the site (``node`` is empty for an unknown BMC)."""

    verdict: Verdict
    node: str
    address: str
    mac: str
    service_tag: str
    message: str
    hint: str


def match(model: SiteModel, found: Iterable[Found | Mapping[str, Any]]) -> tuple[Match, ...]:
    """Every server of the site but the heads, in the order of names, then what is not of the site."""
    raise NotImplementedError
