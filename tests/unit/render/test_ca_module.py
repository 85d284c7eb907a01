"""rackwright_ca: makes once, renews when it must, keeps keys to itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from render_tools import Run


def arguments(tmp_path: Path, names: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """An authority with one server."""
    server = {
        "path": str(tmp_path / "tls" / "mirror"),
        "names": names or ["mirror.x"],
        "addresses": ["10.0.0.1"],
    }
    return {"directory": str(tmp_path / "ca"), "common_name": "x", "servers": [server], **more}


def test_makes_once_and_shows_no_key(module: Run, tmp_path: Path) -> None:
    first = module("rackwright_ca", **arguments(tmp_path))
    assert first["changed"] and len(first["changed_paths"]) == 2
    assert "PRIVATE" not in str(first) and "BEGIN CERTIFICATE" in first["ca_certificate"]
    for key in (tmp_path / "ca" / "ca.key", tmp_path / "tls" / "mirror.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    assert not module("rackwright_ca", **arguments(tmp_path))["changed"]


def test_other_names_renew_the_server_with_its_key(module: Run, tmp_path: Path) -> None:
    module("rackwright_ca", **arguments(tmp_path))
    key = (tmp_path / "tls" / "mirror.key").read_bytes()
    result = module("rackwright_ca", **arguments(tmp_path, ["mirror.y"]))
    assert result["changed_paths"] == [str(tmp_path / "tls" / "mirror.crt")]
    assert "for other names" in result["diff"]["after"]
    assert (tmp_path / "tls" / "mirror.key").read_bytes() == key


def test_renews_before_expiry_with_the_same_authority_key(module: Run, tmp_path: Path) -> None:
    module("rackwright_ca", **arguments(tmp_path, days=20, server_days=20, renew_before_days=1))
    key = (tmp_path / "ca" / "ca.key").read_bytes()
    result = module("rackwright_ca", **arguments(tmp_path, renew_before_days=30))
    assert len(result["changed_paths"]) == 2 and "about to expire" in result["diff"]["after"]
    assert (tmp_path / "ca" / "ca.key").read_bytes() == key
    assert not module("rackwright_ca", **arguments(tmp_path))["changed"]


def test_certificate_of_another_authority_is_replaced(module: Run, tmp_path: Path) -> None:
    module("rackwright_ca", **arguments(tmp_path))
    for name in ("ca.key", "ca.crt"):
        (tmp_path / "ca" / name).unlink()
    result = module("rackwright_ca", **arguments(tmp_path))
    assert "signed by another authority" in result["diff"]["after"]


def test_check_mode_makes_nothing(module: Run, tmp_path: Path) -> None:
    assert module("rackwright_ca", check=True, **arguments(tmp_path))["changed"]
    assert not (tmp_path / "ca").exists()
