"""A small bundle, made by the builder's own parts, for the tests to damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_bundle import write_step

from rackwright.mirror.engine import Engine, build_lock
from rackwright.mirror.parts import assemble


@pytest.fixture
def quiet() -> Callable[[str], None]:
    """A progress function that says nothing."""
    return lambda line: None


@pytest.fixture
def bundle(tmp_path: Path, quiet: Callable[[str], None]) -> Path:
    """A bundle of three files out of two steps."""
    steps = [
        write_step("one", {"store/a": "alpha", "store/b": "beta"}),
        write_step("two", {"store/c": "gamma"}),
    ]
    with build_lock(tmp_path / "cache"):
        results = Engine(tmp_path / "cache", quiet).run(steps)
    target = tmp_path / "bundle"
    target.mkdir()
    assemble(list(results.values()), "test", target)
    return target
