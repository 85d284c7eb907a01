"""Where things lie: the checkout, the cache, the build output."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def checkout() -> Path:
    """The root of the checkout that this package runs from."""
    return Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """The one cache: ``$RACKWRIGHT_CACHE``, else ``$XDG_CACHE_HOME/rackwright``, else ``~/.cache/rackwright``."""
    explicit = os.environ.get("RACKWRIGHT_CACHE")
    if explicit:
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "rackwright"


def build_dir() -> Path:
    """Reports and logs of this checkout."""
    return checkout() / "build"
