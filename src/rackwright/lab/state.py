"""What a lab keeps on disk: a hint for the next command, never the truth about what runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from rackwright import paths
from rackwright.errors import RunFailure, UsageError
from rackwright.lab import cgroups, overlay
from rackwright.lab.command import run
from rackwright.lab.spec import LabSpec, NodeSpec

DELETING = ".deleting"


def labs_dir() -> Path:
    """The directory of all labs."""
    return paths.cache_dir() / "labs"


def names() -> tuple[str, ...]:
    """The labs that have a directory, be it one that is half deleted."""
    if not labs_dir().is_dir():
        return ()
    found = (p.name.removeprefix(".").removesuffix(DELETING) for p in labs_dir().iterdir() if p.is_dir())
    return tuple(sorted(set(found)))


@dataclass(frozen=True)
class State:
    """Paths and files of one lab."""

    name: str

    @property
    def directory(self) -> Path:
        return labs_dir() / self.name

    @property
    def key(self) -> Path:
        """The lab's private ssh key."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def overlay(self) -> Path:
        return self.directory / "overlay.yml"

    @property
    def overlay_outside(self) -> Path:
        """The same for a tool that runs outside the lab's namespace, as Molecule does."""
        return self.directory / "overlay-outside.yml"

    @property
    def server_credentials(self) -> Path:
        """Where the bare machines' own BMC credentials are kept, encrypted with the password of ``vault_password``."""
        return self.directory / "bmc.vault.yml"

    @property
    def vault_password(self) -> Path:
        """The file with the lab's vault password; there once the lab has bare machines."""
        return self.directory / "vault-password"

    @property
    def resolv_conf(self) -> Path:
        """The workstation's resolver configuration."""
        return self.directory / "resolv.conf"

    @property
    def hosts(self) -> Path:
        """The workstation's /etc/hosts."""
        return self.directory / "hosts"

    def node(self, name: str) -> Path:
        """The directory of a node: its file system's changes, data, console.log."""
        return self.directory / "nodes" / name

    def nodes(self) -> tuple[str, ...]:
        """The nodes that have a directory, whether the lab still has them or not."""
        parent = self.directory / "nodes"
        return tuple(sorted(p.name for p in parent.iterdir())) if parent.is_dir() else ()

    def spec(self) -> LabSpec | None:
        """The lab as it was last brought up; None if that was never, or can't be read any more."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return LabSpec.from_dict(json.loads((self.directory / "lab.json").read_text()))
        return None

    def existing(self) -> LabSpec:
        """The lab; UsageError if there is none."""
        spec = self.spec()
        if spec is None:
            raise UsageError(
                f"there is no lab {self.name!r}",
                "rackwright lab up SITE makes it; rackwright lab status lists all",
            )
        return spec

    def prepare(self, spec: LabSpec) -> None:
        """Make the directory with the ssh key and the workstation's files; what is there already stays."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for control in ("cp", "cpo"):
            (self.directory / control).mkdir(mode=0o700, exist_ok=True)
        write(self.directory / "lab.json", json.dumps(spec.to_dict(), indent=1))
        make_key(self.key, f"rackwright lab {self.name}")
        if any(node.metal for node in spec.nodes) and not self.vault_password.exists():
            write(self.vault_password, secrets.token_hex(16) + "\n", 0o600)
        write(self.hosts, workstation_hosts(spec))
        write(self.resolv_conf, resolv_conf(spec))
        for path, namespace in ((self.overlay, None), (self.overlay_outside, spec.namespace)):
            data = self._overlay(spec, namespace)
            write(path, "---\n" + yaml.safe_dump(data, sort_keys=False, width=1000), 0o600)

    def _overlay(self, spec: LabSpec, namespace: str | None) -> dict[str, dict[str, object]]:
        sockets = self.directory / ("cpo" if namespace else "cp")
        login = overlay.login(self.key, self.known_hosts, sockets, namespace)
        containers = overlay.container(spec.user, cgroups.is_unified(cgroups.mounted()))
        if not any(node.metal for node in spec.nodes):
            return {"all": {**login, **containers}}
        provisioning = overlay.provisioning(
            self.factory(), self.server_credentials, self.known_hosts, self.public_key()
        )
        names = {node.name: node.metal for node in spec.nodes}
        return overlay.mixed({**login, **provisioning}, containers, names)

    def public_key(self) -> str:
        """The line that authorises the lab's ssh key."""
        return self.key.with_name(self.key.name + ".pub").read_text().strip()

    def factory(self) -> dict[str, str]:
        """User and password that the lab's BMCs leave the factory with: made once for a lab."""
        path = self.directory / "bmc-factory"
        if not path.exists():
            write(path, secrets.token_hex(8) + "\n", 0o600)
        return {"user": "root", "password": path.read_text().strip()}

    def write_known_hosts(self, spec: LabSpec) -> None:
        """Take the host keys from where they were made: strict checking works from the first contact on.

        A bare machine makes its own key; the lines that were registered for one stay.
        """
        lines = []
        containers = [node for node in spec.nodes if not node.metal]
        for node in containers:
            public = (self.node(node.name) / "host_key.pub").read_text().split()
            lines.append(f"{node.address},{node.fqdn},{node.name} {public[0]} {public[1]}\n")
        known = {str(node.address) for node in containers}
        if self.known_hosts.exists():
            for line in self.known_hosts.read_text().splitlines(keepends=True):
                if line.strip() and known.isdisjoint(line.split()[0].split(",")):
                    lines.append(line)
        write(self.known_hosts, "".join(lines))

    def ssh(self, node: NodeSpec, *options: str) -> list[str]:
        """The command line of ssh to a node, short of the remote command; for use in the lab's namespace."""
        return [
            "ssh",
            *("-F", "/dev/null", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *overlay.ssh_options(self.known_hosts),
            *options,
            f"{self._user(node)}@{node.address}",
        ]

    def _user(self, node: NodeSpec) -> str:
        """root, but on a bare machine the site's own user."""
        spec = self.spec() if node.metal else None
        return spec.user if spec is not None else "root"

    def delete(self) -> None:
        """Delete all of the lab on disk. Nothing is mounted there: the nodes' mounts live in namespaces."""
        doomed = labs_dir() / f".{self.name}{DELETING}"
        for directory in (doomed, self.directory):
            if not directory.exists():
                continue
            if directory != doomed:
                directory.rename(doomed)
            run(["rm", "-rf", "--one-file-system", str(doomed)], f"delete {doomed}", timeout_s=300)

    @contextlib.contextmanager
    def locked(self, doing: str) -> Iterator[None]:
        """Hold the lab for one command at a time; RunFailure at once if another has it."""
        labs_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
        path = labs_dir() / f".{self.name}.lock"
        with lock(path, doing, self.name):
            yield


@contextlib.contextmanager
def lock(path: Path, doing: str, what: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock file; it is removed in the end. RunFailure if another has it and ``wait`` is false."""
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                file.seek(0)
                raise RunFailure(
                    what=doing,
                    where=what,
                    evidence=f"{path} is locked by process {file.read().strip() or '?'}",
                    cause="another rackwright command is at work on it",
                    next_command="wait for it, or end it, then run this again: it goes on from what is there",
                ) from None
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    file.truncate(0)
                    file.write(str(os.getpid()))
                    file.flush()
                    try:
                        yield
                    finally:
                        path.unlink(missing_ok=True)
                    return


def write(path: Path, content: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    temporary.chmod(mode)
    temporary.rename(path)


def make_key(path: Path, comment: str) -> None:
    """Make an ssh key pair at ``path`` and ``path.pub``, mode 0600, unless both are there."""
    public = path.with_name(path.name + ".pub")
    if path.exists() and public.exists():
        return
    path.unlink(missing_ok=True)
    public.unlink(missing_ok=True)
    run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        f"make the key {path}",
    )


def resolv_conf(spec: LabSpec) -> str:
    """The resolver configuration with the site's own name servers only."""
    servers = "".join(f"nameserver {address}\n" for address in spec.nameservers)
    return f"search {spec.domain}\n{servers}options timeout:2 attempts:2\n"


def workstation_hosts(spec: LabSpec) -> str:
    """The workstation's /etc/hosts: loopback, nodes, and the site's well-known names."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    return "\n".join([*lines, *(f"{address} {names}" for address, names in spec.hosts)]) + "\n"
