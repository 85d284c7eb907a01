"""The nodes' common root file system: Debian as a provisioner leaves it (ssh, python), built once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rackwright import debian, paths
from rackwright.errors import RunFailure
from rackwright.lab.command import attempt
from rackwright.lab.state import lock

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BUILD_LIMIT_S = 1200
USUAL_S = 65  # measured on two cores

SSHD = """\
# A node as just provisioned: only root, only with a key.
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
HostKey /etc/ssh/ssh_host_ed25519_key
"""


@dataclass(frozen=True)
class Recipe:
    """What the file system is made from; its digest names the result. ``files``: contents by path."""

    suite: str = "trixie"
    packages: tuple[str, ...] = (
        "systemd",
        "systemd-sysv",
        "dbus",
        "openssh-server",
        "python3",
        "python3-apt",
        "iproute2",
        "ca-certificates",
    )
    files: dict[str, str] = field(
        default_factory=lambda: {
            "etc/ssh/sshd_config.d/10-provisioned.conf": SSHD,
            "etc/dpkg/dpkg.cfg.d/lab": "force-unsafe-io\n",  # all nodes share one disk, and none outlives it
        }
    )
    #: Timers that would take apt's lock at their own time.
    masked: tuple[str, ...] = ("apt-daily.timer", "apt-daily-upgrade.timer", "run-rpc_pipefs.mount")

    @property
    def digest(self) -> str:
        """16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def rootfs_dir() -> Path:
    """The directory of all root file systems."""
    return paths.cache_dir() / "rootfs"


def path_of(digest: str) -> Path:
    """Where the root file system of a recipe lies, built or not."""
    return rootfs_dir() / digest / "root"


def ensure(recipe: Recipe, say: Callable[[str], None]) -> Path:
    """The root file system, built if it is not there yet (about a minute). RunFailure if it can't be."""
    target = path_of(recipe.digest)
    if target.is_dir():
        return target
    rootfs_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock(
        rootfs_dir() / f".{recipe.digest}.lock", "build the nodes' root file system", "rootfs", wait=True
    ):
        if target.is_dir():
            return target
        for stale in rootfs_dir().glob(f".{recipe.digest}.building.*"):
            shutil.rmtree(stale)
        building = rootfs_dir() / f".{recipe.digest}.building.{os.getpid()}"
        building.mkdir(mode=0o700)
        mirror, _ = debian.archive()
        say(f"building the nodes' root file system once, from {mirror}; about {USUAL_S} s left")
        start = time.monotonic()
        _bootstrap(recipe, building / "root", mirror, say)
        _finish(recipe, building / "root")
        building.rename(target.parent)
        say(f"root file system built in {time.monotonic() - start:.0f} s")
    return target


def _bootstrap(recipe: Recipe, target: Path, mirror: str, say: Callable[[str], None]) -> None:
    argv = [
        *("nice", "-n", "5", "mmdebstrap", "--variant=minbase", "--format=directory"),
        *(f"--include={','.join(recipe.packages)}", f"--keyring={KEYRING}"),
        *("--aptopt=APT::Install-Recommends false", "--aptopt=Acquire::Retries 3"),
        *(f"--aptopt={option}" for option in _proxies()),
        *("--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*"),
        *(recipe.suite, str(target), mirror),
    ]
    with _ticking(say):
        result = attempt(argv, timeout_s=BUILD_LIMIT_S)
    if result.returncode != 0:
        words = [line for line in result.stderr.splitlines() if re.match(r"(E|W|Err):?", line)]
        raise RunFailure(
            what=f"build the nodes' root file system (Debian {recipe.suite})",
            where=f"{target} from {mirror}",
            evidence=" | ".join((words or result.stderr.splitlines())[-4:])
            or f"exit status {result.returncode}",
            cause="mmdebstrap or the Debian keyring is missing"
            if result.returncode == 127 or not KEYRING.exists()
            else "the Debian mirror of this machine's apt sources can't be reached, or lacks the suite",
            next_command="rackwright doctor",
        )


@contextlib.contextmanager
def _ticking(say: Callable[[str], None], every_s: float = 15.0) -> Iterator[None]:
    """Say how long it takes while it takes long."""
    done, begun = threading.Event(), time.monotonic()

    def tick() -> None:
        while not done.wait(every_s):
            spent = time.monotonic() - begun
            rest = f"about {USUAL_S - spent:.0f} s left" if spent < USUAL_S else "longer than usual"
            say(f"root file system: {spent:.0f} s, {rest}")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _finish(recipe: Recipe, root: Path) -> None:
    """Leave no identity and no package source: those come from the lab and from the site."""
    for pattern in (
        "etc/ssh/ssh_host_*",
        "etc/apt/sources.list",
        "etc/apt/sources.list.d/*",
        "etc/machine-id",
    ):
        for path in root.glob(pattern):
            path.unlink()
    for pattern in (
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/hostname",
        "etc/resolv.conf",
        "var/lib/dbus/machine-id",
    ):
        (root / pattern).unlink(missing_ok=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    for name, content in recipe.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    units = root / "etc/systemd/system"
    for unit in recipe.masked:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")


def _proxies() -> list[str]:
    """This machine's apt proxies, for the apt that mmdebstrap runs with a configuration of its own."""
    dump = attempt(["apt-config", "dump"]).stdout.splitlines()
    return [line.rstrip(";") for line in dump if re.match(r'Acquire::https?::Proxy(::\S+)? "[^"]+', line)]
