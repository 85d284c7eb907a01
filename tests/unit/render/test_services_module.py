"""rackwright_services' judgement: what a unit needs, from what systemd and the file system say."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rackwright.paths import checkout


@pytest.fixture(scope="module")
def services() -> ModuleType:
    """The module's file as a Python module."""
    path = checkout() / "plugins" / "modules" / "rackwright_services.py"
    spec = importlib.util.spec_from_file_location("rackwright_services", path)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


STARTED = "Mon 2026-11-23 15:47:05.500000 UTC"
STARTED_AT = 1795448825.5


def unit(**more: Any) -> dict[str, Any]:
    """A unit as the task states it."""
    return {"name": "x", "state": "started", "files": [], "on_change": "restart", **more}


def now(state: str = "active") -> dict[str, str]:
    """What systemd says of it."""
    return {"ActiveState": state, "ActiveEnterTimestamp": STARTED, "StateChangeTimestamp": STARTED}


def test_time_stamp_is_read_to_the_microsecond(services: ModuleType) -> None:
    assert services.seconds(STARTED) == STARTED_AT
    assert services.seconds("") == services.seconds("n/a") == 0


@pytest.mark.parametrize(("age", "action"), [(-10, None), (+10, "restart")])
def test_restart_when_the_file_is_newer_than_the_start(
    services: ModuleType, tmp_path: Path, age: int, action: str | None
) -> None:
    file = tmp_path / "x.conf"
    file.write_text("x")
    os.utime(file, (STARTED_AT + age, STARTED_AT + age))
    assert services.action_for(unit(files=[str(file)]), now(), []) == action


def test_file_inside_a_directory_counts(services: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.conf").write_text("x")
    for path in (tmp_path / "d", tmp_path / "d" / "x.conf"):
        os.utime(path, (STARTED_AT - 5, STARTED_AT - 5))
    assert services.action_for(unit(files=[str(tmp_path / "d")]), now(), []) is None
    os.utime(tmp_path / "d" / "x.conf", (STARTED_AT + 5, STARTED_AT + 5))
    assert services.action_for(unit(files=[str(tmp_path / "d")], on_change="reload"), now(), []) == "reload"


def test_path_changed_by_this_run_counts_in_check_mode(services: ModuleType) -> None:
    assert services.action_for(unit(files=["/etc/x.d"]), now(), ["/etc/x.d/a.conf"]) == "restart"
    assert services.action_for(unit(files=["/etc/x.d"]), now(), ["/etc/x.dd/a.conf"]) is None


@pytest.mark.parametrize(
    ("wanted", "state", "action"),
    [("started", "inactive", "start"), ("started", "failed", "start"), ("stopped", "active", "stop"),
     ("stopped", "inactive", None), ("started", "active", None)],
)  # fmt: skip
def test_state(services: ModuleType, wanted: str, state: str, action: str | None) -> None:
    assert services.action_for(unit(state=wanted), now(state), []) == action
