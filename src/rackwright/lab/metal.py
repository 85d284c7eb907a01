"""One bare machine: its virtual BMC, and behind that the emulated machine, in control groups of their own.

The BMC (``rackwright.lab.bmc``) stands at its address in the node's network namespace, and alone starts and stops the
machine, whose taps are in the lab's (``metal_network``). The lab switches the mains on and off, no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rackwright.errors import UsageError
from rackwright.lab import network, node
from rackwright.lab.bmc.qmp import Qmp
from rackwright.lab.metal_spec import MIB, OVERHEAD_MIB, MachineSpec
from rackwright.lab.spec import LabSpec, NodeSpec
from rackwright.lab.state import State, write

#: Programs and firmware that emulated machines need, and Debian's packages of them.
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}
FIRMWARE = {"/usr/share/OVMF": "ovmf"}
MODULE = "rackwright.lab.bmc"
EMULATOR = "qemu-system-x86_64"
GPUS = "opt/rackwright/gpus"
PORT = 443
CLONE_NEWNET = 0x40000000
GRACE_S = 8.0
#: Between what a machine takes as a rule and what it is ended at.
SLACK_MIB = 512
SHUTDOWN_S = 60.0


@dataclass(frozen=True)
class MetalFiles:
    """Paths of one bare machine on disk."""

    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "bmc.json"

    @property
    def bmc(self) -> Path:
        """The BMC's own state: accounts, certificates, disks, firmware variables, ``events.jsonl``."""
        return self.directory / "bmc"

    @property
    def log(self) -> Path:
        return self.directory / "bmc.log"

    @property
    def console(self) -> Path:
        """What the machine wrote to its serial port, in all its starts."""
        return self.bmc / "machine/console.log"

    @property
    def monitor(self) -> Path:
        """The emulator's own socket, for one at a time: the BMC's as long as that runs."""
        return self.bmc / "machine/qmp"


def require_programs() -> None:
    """UsageError that names the packages that are missing."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for path, package in FIRMWARE.items() if not Path(path).is_dir()}
    if missing:
        raise UsageError(
            f"emulated machines need packages that are not installed: {', '.join(sorted(missing))}",
            f"apt-get install {' '.join(sorted(missing))}",
        )


def machine_of(n: NodeSpec) -> MachineSpec:
    """The node's machine; ValueError for a container."""
    if n.machine is None:
        raise ValueError(f"{n.name} is a container")
    return n.machine


def address(n: NodeSpec) -> str:
    """The BMC's address."""
    link = n.links[0]
    return str(link.address.ip) if link.address is not None else ""


def config(lab: LabSpec, n: NodeSpec, state: State) -> dict[str, Any]:
    """The virtual BMC's configuration; the factory's password is in it."""
    machine, files = machine_of(n), MetalFiles(state.node(n.name))
    link = n.links[0]
    silicon = node.NodeFiles(files.directory).silicon / "gpus.json"
    procs = [str(d / "cgroup.procs") for d in node.group(lab.name, n.name).directories]
    return {
        "name": n.name,
        "service_tag": n.service_tag,
        "address": address(n),
        "port": PORT,
        "mac": link.mac,
        "model": machine.product,
        "profile": machine.profile,
        "state_dir": str(files.bmc),
        "factory": state.factory(),
        "hardware": dict(machine.hardware),
        "machine": {
            "kind": "qemu",
            "netns": lab.namespace,
            "cpus": machine.cpus,
            "memory_mib": machine.memory_mib,
            "taps": [
                {"name": p.tap, "mac": p.mac, "port": p.name, "speed_mbps": p.speed_gbps * 1000}
                for p in machine.ports
            ],
            "disks": [{"size_gb": d.size_gb, "kind": d.kind, "raid": d.raid} for d in machine.disks],
            "cgroup_procs": procs,
            "fw_cfg": [{"name": GPUS, "file": str(silicon)}] if n.gpus is not None else [],
        },
    }


def prepare(lab: LabSpec, n: NodeSpec, state: State) -> MetalFiles:
    """The machine's directory with its BMC's configuration; disks and the BMC's state are left alone."""
    files = MetalFiles(state.node(n.name))
    files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.bmc.mkdir(mode=0o700, exist_ok=True)
    own = node.NodeFiles(files.directory)
    if n.gpus is not None and not (own.silicon / "gpus.json").exists():
        own.silicon.mkdir(exist_ok=True)
        node.write_silicon(own, n.gpus)
    write(files.config, json.dumps(config(lab, n, state), indent=1) + "\n", 0o600)
    return files


def bmc_pid(lab: str, name: str) -> int | None:
    """The BMC's process; None if it doesn't run."""
    return _find(lab, name, lambda words: MODULE in words)


def machine_pid(lab: str, name: str) -> int | None:
    """The emulator's process: there is one while the machine has power."""
    return _find(lab, name, lambda words: words[0].rpartition("/")[2] == EMULATOR)


def _find(lab: str, name: str, matches: Any) -> int | None:
    for pid in sorted(node.group(lab, name).pids()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if matches(words):
                return pid
    return None


def bmc_is_sound(lab: LabSpec, n: NodeSpec) -> bool:
    """Whether the BMC runs, in the namespace that now has the node's name."""
    pid = bmc_pid(lab.name, n.name)
    own = network.inode(network.node_namespace(lab.name, n.name))
    return pid is not None and _namespace(pid) == own


def machine_is_sound(lab: LabSpec, n: NodeSpec) -> bool:
    """Whether the machine is off, or has its ports in the namespace that now is the lab's."""
    pid = machine_pid(lab.name, n.name)
    return pid is None or _namespace(pid) == network.inode(lab.namespace)


def _namespace(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 (a link that has no path of its own)
    return None


def launch_script(n: NodeSpec, files: MetalFiles, namespace: str, procs: tuple[Path, ...]) -> str:
    """The shell script that becomes the BMC: its control groups, then its network, then the server."""
    serve = [sys.executable, "-m", MODULE, "--config", str(files.config)]
    lines = [
        "set -eu",
        *(f"echo $$ > {shlex.quote(str(file))}" for file in procs),
        f"exec {shlex.join([*network.enter(namespace), *serve])}",
    ]
    return "#!/bin/sh\n" + "\n".join(lines) + "\n"


def launch(lab: LabSpec, n: NodeSpec, files: MetalFiles) -> None:
    """Give the server mains: its BMC starts, in a session of its own; returns at once. Its namespace must be there."""
    own = node.group(lab.name, n.name)
    own.create((machine_of(n).memory_mib + OVERHEAD_MIB + SLACK_MIB) * MIB, n.weight)
    procs = tuple(directory / "cgroup.procs" for directory in own.directories)
    script = files.directory / "launch.sh"
    write(script, launch_script(n, files, network.node_namespace(lab.name, n.name), procs), 0o700)
    node.NodeFiles(files.directory).off.unlink(missing_ok=True)
    everywhere = ("taskset", "--cpu-list", f"0-{(os.cpu_count() or 1) - 1}")
    with files.log.open("ab") as log:
        subprocess.Popen(
            [*everywhere, "sh", str(script)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )


def end_bmc(lab: str, name: str, limit_s: float = GRACE_S) -> None:
    """End the BMC alone; a machine that has power goes on, as one whose BMC restarts does."""
    pid = bmc_pid(lab, name)
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + limit_s
        while pid is not None and time.monotonic() < end:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            time.sleep(0.1)
            pid = bmc_pid(lab, name)


def shut_down(lab: LabSpec, state: State, n: NodeSpec, limit_s: float = SHUTDOWN_S) -> None:
    """Press the power button and give the operating system ``limit_s`` seconds; the BMC is ended before."""
    end_bmc(lab.name, n.name)
    stopped = threading.Event()

    def heard(event: str, _data: object) -> None:
        if event in ("SHUTDOWN", "GONE"):
            stopped.set()

    with contextlib.suppress(OSError):
        monitor = Qmp(MetalFiles(state.node(n.name)).monitor, heard)
        with contextlib.closing(monitor):
            monitor.ask("system_powerdown")
            stopped.wait(limit_s)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread in a network namespace: sockets opened there stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, (network.NETNS / namespace).open() as other:
        if libc.setns(other.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"enter the network namespace {namespace}")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def service_root(lab: LabSpec, n: NodeSpec, timeout_s: float = 3.0) -> dict[str, Any] | None:
    """The BMC's ``/redfish/v1``, which anybody may read; None if it doesn't answer.

    Its certificate is not looked at: this only asks whether somebody is there, from the lab's own namespace.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET /redfish/v1 HTTP/1.1\r\nHost: {address(n)}\r\nConnection: close\r\n\r\n"
    try:
        with inside(lab.namespace):
            plain = socket.create_connection((address(n), PORT), timeout_s)
        with plain, context.wrap_socket(plain) as secure:
            secure.sendall(request.encode())
            answer = b""
            while part := secure.recv(65536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        if head.split()[1] != b"200":
            return None
        found: dict[str, Any] = json.loads(body)
    except (OSError, ValueError, IndexError):
        return None
    return found


def answers(lab: LabSpec, n: NodeSpec, limit_s: float) -> bool:
    """Whether the BMC answers within ``limit_s`` seconds, or as long as its process lives."""
    begun = time.monotonic()
    while service_root(lab, n) is None:
        waited = time.monotonic() - begun
        if waited >= limit_s or (waited > node.GRACE_S and bmc_pid(lab.name, n.name) is None):
            return False
        time.sleep(0.3)
    return True


def log_tail(files: MetalFiles, lines: int = 5) -> str:
    """The last words of the BMC's process."""
    with contextlib.suppress(OSError):
        text = files.log.read_bytes()[-4000:].decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
    return ""
