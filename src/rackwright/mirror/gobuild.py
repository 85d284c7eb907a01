"""Go programs of the bundle, built from modules that go.mod and go.sum under ``packaging/go`` lock."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rackwright.errors import RunFailure
from rackwright.mirror.step import Step, StepContext, digest_tree

#: Several releases' worth; the steps' results are kept apart from it, so emptying it costs only time.
BUILD_CACHE_BYTES = 18 * 10**9
#: First guesses in seconds, cold, on two cores.
SECONDS = {
    "kubernetes": 313, "cilium": 340, "metrics_server": 104, "coredns": 90, "helm": 84,
    "local_path_provisioner": 53, "containerd": 45, "etcd": 27, "runc": 21,
}  # fmt: skip


@functools.cache
def toolchain() -> str:
    """What ``go version`` says.

    Raises:
        RunFailure: there is no Go toolchain.
    """
    try:
        return subprocess.run(["go", "version"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise RunFailure(
            what="looking for the Go toolchain",
            where="this machine's PATH",
            evidence=str(error),
            cause="Go is not installed: Kubernetes, containerd, Cilium … are built from Go modules",
            next_command="scripts/setup, then: rackwright bundle build",
        ) from None


def environment(cache: Path, cgo: bool) -> dict[str, str]:
    """The environment of every Go build: caches in the one place, and no flags but ours."""
    return {
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOCACHE": str(cache / "go" / "build"),
        "CGO_ENABLED": "1" if cgo else "0",
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def default_name(package: str, directory: Path) -> str:
    """The file name that ``go build -o DIR/`` gives a command."""
    if package == ".":
        module = re.search(r"^module\s+(\S+)", (directory / "go.mod").read_text(), re.MULTILINE)
        package = module.group(1) if module else directory.name
    parts = package.split("/")
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]


def build_commands(context: StepContext, directory: Path, build: Mapping[str, Any], version: str) -> None:
    """Run one ``go build`` for all commands of a recipe entry, and give them their names."""
    major, minor = [*version.split("."), "0"][:2]
    stamps = [flag.format(version=version, major=major, minor=minor) for flag in build.get("ldflags") or []]
    commands: Mapping[str, str] = build["commands"]
    argv: list[str | Path] = ["go", "build", "-trimpath", "-ldflags", " ".join(["-s", "-w", *stamps])]
    if build.get("tags"):
        argv += ["-tags", ",".join(build["tags"])]
    context.call(
        [*argv, "-o", f"{context.out}/", *commands],
        cwd=directory,
        env=environment(context.cache, bool(build.get("cgo"))),
    )
    for package, name in commands.items():
        (context.out / default_name(package, directory)).rename(context.out / name)


def copy_from_module(context: StepContext, directory: Path, copy: Mapping[str, Any]) -> None:
    """Take a file or directory of a locked module into the result."""
    found = context.output(["go", "list", "-m", "-f", "{{.Dir}}", copy["module"]], cwd=directory,
                           env=environment(context.cache, cgo=False))  # fmt: skip
    source, target = Path(found.decode().strip()) / copy["from"], context.out / copy["to"]
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*copy.get("without", [])))
        # the module cache is read-only, and what is copied must stay removable
        for path in target.rglob("*"):
            path.chmod(path.stat().st_mode | 0o200)
        target.chmod(0o755)
    else:
        shutil.copyfile(source, target)


def trim_build_cache(cache: Path, limit: int = BUILD_CACHE_BYTES) -> bool:
    """Empty Go's build cache when it holds more than ``limit`` bytes; whether it did."""
    directory = cache / "go" / "build"
    if sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) <= limit:
        return False
    shutil.rmtree(directory)
    return True


def go_step(name: str, version: str, directory: Path) -> Step:
    """The step ``go-<name>``: the commands of ``<directory>/recipe.yml`` at ``version``."""
    recipe = yaml.safe_load((directory / "recipe.yml").read_text())

    def run(context: StepContext) -> None:
        for build in recipe["builds"]:
            build_commands(context, directory, build, version)
        for copy in recipe.get("copies") or []:
            copy_from_module(context, directory, copy)

    inputs = {"version": version, "recipe": digest_tree(directory), "toolchain": toolchain()}
    return Step(f"go-{name}", run, inputs, seconds=SECONDS.get(name, 10))
