"""rackwright_ironic_secrets: made once, true to each other, never shown."""

from __future__ import annotations

import configparser
import grp
import os
from pathlib import Path
from typing import Any

import bcrypt
from render_tools import Run


def arguments(folder: Path, **more: Any) -> dict[str, Any]:
    """A directory of its own, for the group that the tests run under."""
    return {"directory": str(folder / "ironic"), "group": grp.getgrgid(os.getgid()).gr_name, **more}


def checks(folder: Path) -> dict[str, bool]:
    """Whether each password matches what it is checked against."""
    place = folder / "ironic"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(place / "secrets.conf")
    passwords = {
        "htpasswd": ("rackwright", (place / "password").read_text().strip()),
        "htpasswd-rpc": (parser["json_rpc"]["username"], parser["json_rpc"]["password"]),
    }
    found = {}
    for name, (user, password) in passwords.items():
        known, _, digest = (place / name).read_text().strip().partition(":")
        found[name] = known == user and bcrypt.checkpw(password.encode(), digest.encode())
    return found


def test_made_once_and_not_shown(module: Run, tmp_path: Path) -> None:
    assert module("rackwright_ironic_secrets", check=True, **arguments(tmp_path))["changed"]
    assert not (tmp_path / "ironic").exists()
    first = module("rackwright_ironic_secrets", **arguments(tmp_path))
    assert len(first["changed_paths"]) == 4
    password = (tmp_path / "ironic" / "password").read_text().strip()
    assert len(password) >= 43 and password not in str(first)
    assert checks(tmp_path) == {"htpasswd": True, "htpasswd-rpc": True}
    assert module("rackwright_ironic_secrets", **arguments(tmp_path))["changed_paths"] == []


def test_modes(module: Run, tmp_path: Path) -> None:
    module("rackwright_ironic_secrets", **arguments(tmp_path))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "ironic").iterdir()}
    assert modes == {"password": 0o600, "htpasswd": 0o640, "htpasswd-rpc": 0o640, "secrets.conf": 0o640}


def test_a_new_password_is_what_is_checked_against(module: Run, tmp_path: Path) -> None:
    module("rackwright_ironic_secrets", **arguments(tmp_path))
    (tmp_path / "ironic" / "password").unlink()
    changed = module("rackwright_ironic_secrets", **arguments(tmp_path))["changed_paths"]
    assert [Path(path).name for path in changed] == ["password", "htpasswd"]
    assert checks(tmp_path) == {"htpasswd": True, "htpasswd-rpc": True}


def test_spoilt_digest_and_mode_are_mended(module: Run, tmp_path: Path) -> None:
    module("rackwright_ironic_secrets", **arguments(tmp_path))
    (tmp_path / "ironic" / "htpasswd").write_text("rackwright:nonsense\n", encoding="utf-8")
    (tmp_path / "ironic" / "password").chmod(0o644)
    assert len(module("rackwright_ironic_secrets", **arguments(tmp_path))["changed_paths"]) == 2
    assert checks(tmp_path)["htpasswd"]


def test_a_database_elsewhere_keeps_the_other_password(module: Run, tmp_path: Path) -> None:
    module("rackwright_ironic_secrets", **arguments(tmp_path))
    before = (tmp_path / "ironic" / "secrets.conf").read_text()
    url = "mysql+pymysql://ironic:a$b%c@db.example/ironic"
    result = module("rackwright_ironic_secrets", **arguments(tmp_path, database_connection=url))
    assert "a$b" not in str(result)
    after = (tmp_path / "ironic" / "secrets.conf").read_text()
    # oslo.config reads $$ as $.
    assert after == before + f"\n[database]\nconnection = {url.replace('$', '$$')}\n"
    assert (
        module("rackwright_ironic_secrets", **arguments(tmp_path, database_connection=url))["changed"]
        is False
    )
