"""One node: a systemd-nspawn container with control groups, mounts and a network namespace of its own.

All its mounts are made in its private mount namespace, so they end with its last process, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from rackwright.lab import cgroups, network
from rackwright.lab.spec import LabSpec, NodeSpec
from rackwright.lab.state import State, make_key, resolv_conf, write

INIT = "/usr/local/lib/rackwright-lab/init"
#: Directories on a real file system: containerd's and etcd's can't lie on an overlay, the others grow large.
DATA = ("/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet", "/srv")
SILICON = "/etc/rackwright-silicon"
POWER_OFF = signal.SIGRTMIN + 3  # systemd: start poweroff.target
GRACE_S = 12.0


@dataclass(frozen=True)
class NodeFiles:
    """Paths of one node on disk."""

    directory: Path

    @property
    def upper(self) -> Path:
        """What the node changed in its root file system."""
        return self.directory / "upper"

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    @property
    def off(self) -> Path:
        """There while the node was switched off on purpose."""
        return self.directory / "off"

    @property
    def silicon(self) -> Path:
        return self.directory / "silicon"


def group(lab: str, node: str) -> cgroups.Group:
    """The node's control group."""
    return cgroups.group(f"rw-{lab}/{node}")


def leader(lab: str, node: str) -> int | None:
    """The host's number of the node's process 1; None if the node does not run."""
    for pid in sorted(group(lab, node).pids()):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:") and line.split()[2:] == ["1"]:
                    return pid
    return None


def is_sound(lab: LabSpec, node: NodeSpec) -> bool:
    """Whether the node runs, in the network namespace that now has its name."""
    pid = leader(lab.name, node.name)
    if pid is None:
        return False
    with contextlib.suppress(OSError):
        stat = os.stat(f"/proc/{pid}/ns/net")  # noqa: PTH116 (a link that has no path of its own)
        return stat.st_ino == network.inode(network.node_namespace(lab.name, node.name))
    return False


def prepare(lab: LabSpec, node: NodeSpec, state: State) -> NodeFiles:
    """The node's directory; its root file system gets its identity the first time, and is left alone then."""
    files = NodeFiles(state.node(node.name))
    files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_key(files.directory / "host_key", node.fqdn)
    if not files.upper.exists():
        fresh = files.directory / "upper.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o755)
        _identity(fresh, lab, node, files.directory, state)
        fresh.rename(files.upper)
    init = files.upper / INIT.lstrip("/")
    init.parent.mkdir(parents=True, exist_ok=True)
    write(init, (Path(__file__).parent / "init.sh").read_text(), 0o755)
    for path in DATA:
        (files.directory / "data" / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    if node.gpus is not None and not (files.silicon / "gpus.json").exists():
        files.silicon.mkdir(exist_ok=True)
        write_silicon(files, node.gpus)
    return files


def write_silicon(files: NodeFiles, gpus: object) -> None:
    """Put the description of the node's GPUs where the node sees it, read-only."""
    write(files.silicon / "gpus.json", json.dumps(gpus, indent=1) + "\n")


def _identity(root: Path, lab: LabSpec, node: NodeSpec, directory: Path, state: State) -> None:
    hosts = f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{node.address} {node.fqdn} {node.name}\n"
    content: tuple[tuple[str, str, int], ...] = (
        ("etc/hostname", node.name + "\n", 0o644),
        ("etc/hosts", hosts, 0o644),
        ("etc/resolv.conf", resolv_conf(lab), 0o644),
        ("etc/machine-id", node.machine_id + "\n", 0o444),
        ("etc/ssh/ssh_host_ed25519_key", (directory / "host_key").read_text(), 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", (directory / "host_key.pub").read_text(), 0o644),
        ("root/.ssh/authorized_keys", state.key.with_name(state.key.name + ".pub").read_text(), 0o600),
    )
    for name, text, mode in content:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    for private in (root / "root", root / "root/.ssh"):
        private.chmod(0o700)


def launch_script(
    node: NodeSpec, files: NodeFiles, rootfs: Path, namespace: str, procs: tuple[Path, ...]
) -> str:
    """The shell script that becomes the container: its control groups, then its root, then systemd-nspawn.

    ``volatile`` spares dpkg's many syncs; the work directory is made anew at each start, as that needs.
    nspawn's own lock files stay in a tmpfs that only it sees.
    """
    work, root = files.directory / "work", files.directory / "root"
    options = f"lowerdir={rootfs},upperdir={files.upper},workdir={work},volatile"
    binds = [f"--bind={files.directory}/data{path}:{path}" for path in DATA]
    if node.gpus is not None:
        binds.append(f"--bind-ro={files.silicon}:{SILICON}")
    nspawn = [
        *(
            "systemd-nspawn",
            "--quiet",
            f"--directory={root}",
            f"--machine={node.name}",
            f"--hostname={node.name}",
        ),
        *(f"--uuid={node.machine_id}", "--register=no", "--keep-unit", f"--kill-signal={int(POWER_OFF)}"),
        *(f"--network-namespace-path={network.NETNS / namespace}", "--capability=all"),
        *(
            "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
        ),
        *("--console=pipe", *binds, INIT),
    ]
    lines = [
        "set -eu",
        *(f"echo $$ > {shlex.quote(str(file))}" for file in procs),
        "mount -t tmpfs -o mode=0755 tmpfs /run/systemd",
        f"rm -rf {shlex.quote(str(work))}",
        f"mkdir -p {shlex.quote(str(work))} {shlex.quote(str(root))}",
        f"mount -t overlay -o {shlex.quote(options)} overlay {shlex.quote(str(root))}",
        f"exec {shlex.join(nspawn)}",
    ]
    return "#!/bin/sh\n" + "\n".join(lines) + "\n"


def launch(lab: LabSpec, node: NodeSpec, files: NodeFiles, rootfs: Path, memory_limit: int | None) -> None:
    """Start the container, in a session of its own; returns at once. Its namespace must be there."""
    own = group(lab.name, node.name)
    own.create(memory_limit, node.weight)
    namespace = network.node_namespace(lab.name, node.name)
    procs = tuple(directory / "cgroup.procs" for directory in own.directories)
    script = files.directory / "launch.sh"
    write(script, launch_script(node, files, rootfs, namespace, procs), 0o700)
    files.off.unlink(missing_ok=True)
    # Whoever runs this may be bound to one processor (Ansible's workers under Mitogen are); a machine is not.
    everywhere = ("taskset", "--cpu-list", f"0-{(os.cpu_count() or 1) - 1}")
    with files.console.open("ab") as console:
        subprocess.Popen(
            [*everywhere, "unshare", "--mount", "--propagation", "slave", "--", "sh", str(script)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            cwd="/",
            start_new_session=True,
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
                "SYSTEMD_SECCOMP": "0",
                "SYSTEMD_LOG_TARGET": "console",
            },
        )


def power_off(lab: str, node: str, hard: bool, grace_s: float = GRACE_S) -> bool:
    """End everything of the node within a bounded time: by its init if ``hard`` is false, then by force.

    True if nothing of it is left, neither process nor control group.
    """
    own = group(lab, node)
    pid = None if hard else leader(lab, node)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, POWER_OFF)
        end = time.monotonic() + grace_s
        while own.pids() and time.monotonic() < end:
            time.sleep(0.1)
    return not own.kill() and own.remove()


def console_tail(files: NodeFiles, lines: int = 5) -> str:
    """The last words of the node's console."""
    with contextlib.suppress(OSError):
        text = files.console.read_bytes()[-4000:].decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
    return ""
