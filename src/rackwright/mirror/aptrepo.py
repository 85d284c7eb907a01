"""The bundle's apt repository: our packages and Debian's in one signed suite."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path

from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.signing import SigningKey
from rackwright.mirror.step import Step, StepContext

SUITE = "stable"
COMPONENT = "main"
ORIGIN = "Rackwright"


def pool_path(deb: str) -> Path:
    """Where a package lies in the repository: by first letter, as in Debian's pool."""
    return Path("pool") / COMPONENT / deb[0] / deb


def index(context: StepContext, root: Path, name: str = SUITE) -> Path:
    """Write the suite ``name`` over ``root``'s pool: Packages (plain and gzip) and Release; its directory."""
    suite = root / "dists" / name
    binary = suite / COMPONENT / "binary-amd64"
    binary.mkdir(parents=True)
    packages = context.output(["apt-ftparchive", "--arch", "amd64", "packages", "pool"], cwd=root)
    (binary / "Packages").write_bytes(packages)
    (binary / "Packages.gz").write_bytes(gzip.compress(packages, 6, mtime=0))
    fields = {
        "Origin": ORIGIN,
        "Label": ORIGIN,
        "Suite": name,
        "Codename": name,
        "Architectures": "amd64",
        "Components": COMPONENT,
    }
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    release = context.output(["apt-ftparchive", *options, "release", suite])
    (suite / "Release").write_bytes(release)
    return suite


def apt_step(key: SigningKey, release: str, own: Mapping[str, str], debian: tuple[str, ...]) -> Step:
    """The step ``apt``: our packages (step name → source) and those of the Debian steps, signed."""

    def run(context: StepContext) -> None:
        root = context.out / FILES / "apt"
        origins = {"apt/": Origin("index", "apt", release, "rackwright")}
        for step, source in own.items():
            for deb in context.upstream[step].glob("*.deb"):
                name, version, _ = deb.name.split("_")
                add(context.out, deb, origins, name, version, source)
        for step in debian:
            for item in json.loads((context.upstream[step] / "index.json").read_text()):
                deb = context.upstream[step] / "pool" / item["file"]
                add(context.out, deb, origins, item["name"], item["version"], item["source"])
        suite = index(context, root)
        key.sign(suite / "Release")
        (root / "rackwright.gpg").write_bytes(key.public())
        record(context.out, origins)

    inputs = {"key": key.ensure(), "suite": SUITE, "origin": ORIGIN, "release": release, "own": dict(own)}
    return Step("apt", run, inputs, (*own, *debian), 7)


def add(out: Path, deb: Path, origins: dict[str, Origin], name: str, version: str, source: str) -> None:
    """Put a package into the pool and remember where it came from."""
    target = Path("apt") / pool_path(deb.name)
    (out / FILES / target).parent.mkdir(parents=True, exist_ok=True)
    os.link(deb, out / FILES / target)
    origins[str(target)] = Origin("deb", name, version, source)
