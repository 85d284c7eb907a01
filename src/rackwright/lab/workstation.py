"""The engineer's place in a lab: a command in its namespace, with the site's names and the lab's overlay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NoReturn

from rackwright.errors import UsageError
from rackwright.lab import network
from rackwright.lab.spec import LabSpec
from rackwright.lab.state import State

#: In a mount namespace of its own: names are the site's there, and only there.
SCRIPT = 'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'


def command_line(state: State, spec: LabSpec, argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` in the lab."""
    files = (str(state.resolv_conf), str(state.hosts))
    inner = [
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "--",
        "sh",
        "-c",
        SCRIPT,
        "rackwright-lab",
        *files,
    ]
    return [*network.enter(spec.namespace), *inner, *argv]


def environment(state: State) -> dict[str, str]:
    """This process's environment, and the overlay; with bare machines the lab's vault password unless the user has one,
    and patience: an emulated machine takes its time to start Ansible's interpreter.
    """
    metal = (
        {"ANSIBLE_VAULT_PASSWORD_FILE": str(state.vault_password), "ANSIBLE_TIMEOUT": "120"}
        if state.vault_password.exists()
        else {}
    )
    return {**metal, **os.environ, "RACKWRIGHT_OVERLAY": str(state.overlay)}


def become(name: str, argv: Sequence[str]) -> NoReturn:
    """Become ``argv`` in the lab: its exit status and signals are the command's own."""
    state = State(name)
    spec = state.existing()
    _require(spec)
    line = command_line(state, spec, argv)
    os.execvpe(line[0], line, environment(state))  # noqa: S606 (no shell is wanted)


def shell(name: str, node: str, argv: Sequence[str]) -> NoReturn:
    """Become an ssh session on a node, or one command there."""
    state = State(name)
    spec = state.existing()
    _require(spec)
    options = () if argv else ("-t",)
    become(
        name,
        [*state.ssh(spec.node(node), *options), "--", *argv]
        if argv
        else state.ssh(spec.node(node), *options),
    )


def _require(spec: LabSpec) -> None:
    if not network.exists(spec.namespace):
        raise UsageError(f"lab {spec.name} does not stand", f"rackwright lab up {spec.site}")
