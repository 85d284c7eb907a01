"""Packages from the Debian archive, with all they need, checked by the archive's signatures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rackwright.debian import archive
from rackwright.errors import RunFailure
from rackwright.mirror.step import Step, StepContext, sha256_file

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def apt_sources(suite: str, main: str, security: str) -> str:
    """A deb822 source: the suite, its updates and its security fixes, signed by Debian's keys."""
    return (
        f"Types: deb\nURIs: {main}\nSuites: {suite} {suite}-updates\n"
        f"Components: main\nSigned-By: {KEYRING}\n\n"
        f"Types: deb\nURIs: {security}\nSuites: {suite}-security\n"
        f"Components: main\nSigned-By: {KEYRING}\n"
    )


def private_apt(root: Path, suite: str, main: str, security: str) -> list[str]:
    """Make an apt of its own below ``root``, that thinks its machine empty; returns its options."""
    for directory in ("etc/preferences.d", "lists/partial", "archives/partial", "cache"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "status").write_text("")
    (root / "etc" / "debian.sources").write_text(apt_sources(suite, main, security))
    settings = {
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::Etc": root / "etc",
        "Dir::Etc::sourcelist": root / "etc" / "debian.sources",
        "Dir::Etc::sourceparts": "/nonexistent",
        "Dir::Etc::trusted": "/nonexistent",
        "Dir::Etc::trustedparts": "/nonexistent",
        "Dir::State::status": root / "status",
        "Dir::State::lists": root / "lists",
        "Dir::Cache": root / "cache",
        "Dir::Cache::archives": root / "archives",
        "Debug::NoLocking": "true",
    }
    return [f"-o{name}={value}" for name, value in settings.items()]


def plain_name(file: str) -> str:
    """apt's ``name_1%3a2.3_amd64.deb`` without the epoch, as Debian's own pool names it."""
    return re.sub(r"_\d+%3a", "_", file)


def deb_fields(path: Path, fields: Iterable[str]) -> dict[str, str]:
    """Fields of a .deb's control file."""
    output = subprocess.run(
        ["dpkg-deb", "-f", path, *fields], check=True, capture_output=True, text=True
    ).stdout
    return {
        line.split(":", 1)[0]: line.split(":", 1)[1].strip() for line in output.splitlines() if ":" in line
    }


def debian_step(name: str, suite: str, packages: list[str]) -> Step:
    """The step ``debian-<name>``: ``pool/*.deb`` and ``index.json`` [{file, name, version, sha256}].

    The result is what the archive held when the step ran; it stays until ``--refresh`` runs it again.
    """

    def run(context: StepContext) -> None:
        if not KEYRING.is_file():
            raise RunFailure(
                what=f"checking the signatures of Debian {suite}",
                where=str(KEYRING),
                evidence="no such file",
                cause="the Debian archive's public keys are not installed on this machine",
                next_command="apt-get install debian-archive-keyring, then: rackwright bundle build",
            )
        root = context.out / "apt"
        main, security = archive()
        options = private_apt(root, suite, main, security)
        context.call(["apt-get", *options, "update", "--error-on=any"])
        wanted = ["?essential", *packages]
        context.call(["apt-get", *options, "--yes", "--download-only", "install", *wanted])
        pool = context.out / "pool"
        pool.mkdir()
        index: list[dict[str, Any]] = []
        for deb in sorted((root / "archives").glob("*.deb")):
            target = pool / plain_name(deb.name)
            deb.rename(target)
            target.chmod(0o644)
            fields = deb_fields(target, ["Package", "Version"])
            index.append(
                {
                    "file": target.name,
                    "name": fields["Package"],
                    "version": fields["Version"],
                    "source": f"debian:{suite}",
                    "sha256": sha256_file(target),
                }
            )
        (context.out / "index.json").write_text(json.dumps(index, indent=1) + "\n")
        context.call(["rm", "-r", root])

    return Step(f"debian-{name}", run, {"suite": suite, "packages": sorted(packages)}, seconds=40)
