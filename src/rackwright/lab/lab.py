"""Bringing labs up, looking at them, and taking them down: each may be interrupted anywhere and run again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rackwright.errors import RunFailure, UsageError
from rackwright.lab import cgroups, hostlimits, metal, metal_network, network, node, rootfs
from rackwright.lab.command import attempt
from rackwright.lab.spec import LabSpec, NodeSpec
from rackwright.lab.state import State, names
from rackwright.lab.status import LabStatus, NodeStatus

Say = Callable[[str], None]
AT_ONCE = 4
SSH_LIMIT_S = 45.0
BMC_LIMIT_S = 30.0
CONTAINER_LIMIT_S = 5.0  # by then a container has its process 1, or never gets it


#: The programs that a lab is made with, and Debian's packages of them.
PROGRAMS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
}


def require_programs() -> None:
    """UsageError that names every missing program's package."""
    missing = {program: package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        raise UsageError(
            f"the lab needs programs that are not installed: {', '.join(missing)}",
            f"scripts/setup, or: apt-get install {' '.join(sorted(set(missing.values())))}",
        )


def up(spec: LabSpec, say: Say, memory_limit: int | None = None, only: Sequence[str] = ()) -> State:
    """Make the lab as ``spec`` says, from whatever is there.

    Returns when every container lets us log in, and the BMC of every bare machine answers; those stay off.
    ``memory_limit`` is per node, in bytes. ``only`` names the nodes to start, default all.
    RunFailure names the node that did not come up.
    """
    require_programs()
    if any(n.metal for n in spec.nodes):
        metal.require_programs()
    state = State(spec.name)
    started = time.monotonic()
    with state.locked("bring the lab up"):
        base = _base(state) if _pin(state).exists() else rootfs.ensure(rootfs.Recipe(), say)
        before = state.spec()
        state.prepare(spec)
        _pin(state).write_text(base.parent.name + "\n")
        hostlimits.raise_limits(say)
        wanted = {n.name for n in spec.nodes if before is None or not _turned(before, n)}
        for stray in sorted(_known_nodes(spec.name, state) - wanted):
            say(f"{stray} is no longer what it was: removing it")
            _erase_node(spec, state, stray)
        network.ensure_lab(spec)
        metal_network.ensure(spec)
        nodes = [n for n in spec.nodes if not only or n.name in only]
        for n in spec.nodes:
            if n.metal:
                metal.prepare(spec, n, state)
            else:
                node.prepare(spec, n, state)
            if before is not None and any(n.name == o.name and n.gpus != o.gpus for o in before.nodes):
                node.write_silicon(node.NodeFiles(state.node(n.name)), n.gpus)
        state.write_known_hosts(spec)
        _start_all(spec, state, nodes, base, memory_limit, say)
    say(f"lab {spec.name} is up: {len(nodes)} nodes in {time.monotonic() - started:.0f} s")
    return state


def _turned(before: LabSpec, n: NodeSpec) -> bool:
    """Whether a node was a container and is to be a bare machine, or the other way round."""
    return any(n.name == old.name and n.metal != old.metal for old in before.nodes)


def _pin(state: State) -> Path:
    """The file that names the root file system that the nodes started on; it must not change under them."""
    return state.directory / "rootfs"


def _base(state: State) -> Path:
    """The root file system that the lab's nodes are based on; RunFailure if it is gone."""
    base = rootfs.path_of(_pin(state).read_text().strip())
    if not base.is_dir():
        raise RunFailure(
            what="start a node",
            where=f"lab {state.name}",
            evidence=f"{base} does not exist",
            cause="the cache was cleared while the lab stood",
            next_command=f"rackwright lab down --name {state.name}, then rackwright lab up",
        )
    return base


def _known_nodes(lab: str, state: State) -> set[str]:
    """The nodes that there are traces of, on disk or in the kernel."""
    found = set(state.nodes())
    found |= {n.partition(".")[2] for n in network.namespaces(lab) if "." in n}
    for directory in cgroups.group(f"rw-{lab}").directories:
        if directory.is_dir():
            found |= {p.name for p in directory.iterdir() if p.is_dir()}
    return found


def _start_all(
    spec: LabSpec, state: State, nodes: Sequence[NodeSpec], base: Path, memory_limit: int | None, say: Say
) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lab") as pool:
        waiting = {pool.submit(_start, spec, state, n, base, memory_limit): n for n in nodes}
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                seconds, how = future.result()
                left = (time.monotonic() - begun) / done * (len(nodes) - done)
                rest = f", about {left:.0f} s left" if done < len(nodes) else ""
                what = "BMC" if waiting[future].metal else "ssh"
                say(
                    f"[{done:2}/{len(nodes)}] {waiting[future].name} {how}, {what} after {seconds:.1f} s{rest}"
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(
    spec: LabSpec, state: State, n: NodeSpec, base: Path, memory_limit: int | None
) -> tuple[float, str]:
    """Have one node running, cabled and reachable; returns the seconds that took, and how."""
    if n.metal:
        return _give_mains(spec, state, n)
    begun = time.monotonic()
    if node.is_sound(spec, n):
        mended = network.ensure_node(spec, n)
        # Only a node that stays mute is power-cycled: it may just be busy.
        if answers(spec, state, n, limit_s=SSH_LIMIT_S):
            return time.monotonic() - begun, "cabled again" if mended else "was up"
    existed = (state.node(n.name) / "console.log").exists()
    _boot(spec, state, n, base, memory_limit)
    if not answers(spec, state, n, limit_s=SSH_LIMIT_S):
        files = node.NodeFiles(state.node(n.name))
        running = node.leader(spec.name, n.name) is not None
        raise RunFailure(
            what=f"log in to {n.name} by ssh within {SSH_LIMIT_S:.0f} s of its start",
            where=f"lab {spec.name}, {n.address}",
            evidence=f"{'it runs' if running else 'it does not run'}; console: {node.console_tail(files)}",
            cause="the machine is too busy" if running else "the container did not start",
            next_command=f"less {files.console}; then rackwright lab up again",
        )
    return time.monotonic() - begun, "started again" if existed else "started"


def _boot(spec: LabSpec, state: State, n: NodeSpec, base: Path, memory_limit: int | None) -> None:
    """Start a node from nothing: what may be left of it goes first, its network too, as on a power cycle."""
    files = node.prepare(spec, n, state)
    if not node.power_off(spec.name, n.name, hard=True):
        raise _stuck(f"start {n.name}", spec.name, n.name)
    network.remove_node(spec, n.name, [link.port for link in n.links])
    network.ensure_node(spec, n)
    node.launch(spec, n, files, base, memory_limit)


def _give_mains(spec: LabSpec, state: State, n: NodeSpec) -> tuple[float, str]:
    """Have a bare machine's BMC running, cabled and answering; the machine itself stays as it is."""
    begun = time.monotonic()
    sound = metal.machine_is_sound(spec, n)
    mended = network.ensure_node(spec, n)
    if sound and metal.bmc_is_sound(spec, n) and metal.answers(spec, n, limit_s=BMC_LIMIT_S):
        return time.monotonic() - begun, "cabled again" if mended else "was there"
    if sound:
        metal.end_bmc(spec.name, n.name)
    elif not node.power_off(spec.name, n.name, hard=True):
        raise _stuck(f"start {n.name}", spec.name, n.name)
    files = metal.prepare(spec, n, state)
    metal.launch(spec, n, files)
    if not metal.answers(spec, n, limit_s=BMC_LIMIT_S):
        raise RunFailure(
            what=f"reach the virtual BMC of {n.name} within {BMC_LIMIT_S:.0f} s of its start",
            where=f"lab {spec.name}, https://{metal.address(n)}/redfish/v1",
            evidence=f"{'it runs' if metal.bmc_pid(spec.name, n.name) else 'it does not run'}; it said: "
            f"{metal.log_tail(files) or 'nothing'}",
            cause="see the evidence",
            next_command=f"less {files.log}; then rackwright lab up again",
        )
    return time.monotonic() - begun, "has mains"


def answers(spec: LabSpec, state: State, n: NodeSpec, limit_s: float, connect_s: int = 8) -> bool:
    """Whether the node lets us log in, within ``limit_s`` seconds or as long as its container or machine lives."""
    login = [
        *network.enter(spec.namespace),
        *state.ssh(n, "-o", f"ConnectTimeout={connect_s}", "-o", "ControlPath=none"),
    ]
    begun = time.monotonic()
    while attempt([*login, "true"], timeout_s=20).returncode != 0:
        waited = time.monotonic() - begun
        alive = metal.machine_pid if n.metal else node.leader
        ended = waited > CONTAINER_LIMIT_S and alive(spec.name, n.name) is None
        if waited >= limit_s or ended:
            return False
        time.sleep(0.4)
    return True


def start(name: str, node_name: str, say: Say) -> None:
    """Switch a node on. A bare machine gets its mains: its BMC answers, and may be told to switch it on."""
    state = State(name)
    spec = state.existing()
    with state.locked(f"switch {node_name} on"):
        network.ensure_lab(spec)
        metal_network.ensure(spec)
        n = spec.node(node_name)
        seconds, how = _start(spec, state, n, _base(state), None)
    say(f"{node_name} {how}, {'BMC' if n.metal else 'ssh'} after {seconds:.1f} s")


def stop(name: str, node_name: str, hard: bool, say: Say) -> None:
    """Switch a node off: ``hard`` pulls the plug, else it has some time to shut down. Its disk stays.

    A bare machine loses its mains, its BMC too.
    """
    state = State(name)
    spec = state.existing()
    n = spec.node(node_name)
    begun = time.monotonic()
    with state.locked(f"switch {node_name} off"):
        (state.node(node_name) / "off").touch()
        if hard:
            network.remove_node(spec, n.name, [link.port for link in n.links])
        elif n.metal:
            metal.shut_down(spec, state, n)
        if not node.power_off(name, node_name, hard):
            raise _stuck(f"switch {node_name} off", name, node_name)
        network.remove_node(spec, n.name, [link.port for link in n.links])
    say(f"{node_name} is off after {time.monotonic() - begun:.1f} s")


def set_fabric(name: str, node_name: str, fabric_state: str | None) -> None:
    """Have a node's NVSwitch fabric show a state (a fault), or with None what the site gives it."""
    state = State(name)
    gpus = state.existing().node(node_name).gpus
    if gpus is None or gpus["fabric"] is None:
        raise UsageError(f"{node_name} has no NVSwitch fabric")
    fabric = gpus["fabric"] if fabric_state is None else {"state": fabric_state, "status": "N/A"}
    node.write_silicon(node.NodeFiles(state.node(node_name)), {**gpus, "fabric": fabric})


def status(name: str) -> LabStatus:
    """What there is of a lab, by the kernel's word."""
    state = State(name)
    spec = state.spec()
    if spec is None:
        remains = bool(
            network.namespaces(name) or cgroups.group(f"rw-{name}").pids() or state.directory.exists()
        )
        return LabStatus(name, "", f"rw-{name}", "partial" if remains else "down", None, ())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        nodes = tuple(pool.map(lambda n: _node_status(spec, state, n), spec.nodes))
    sound = all(n.sound for n in nodes) and network.exists(spec.namespace)
    alive = any(n.pid for n in nodes) or network.exists(spec.namespace)
    memory = cgroups.group(f"rw-{name}").memory()
    return LabStatus(
        name, spec.site, spec.namespace, "up" if sound else "partial" if alive else "down", memory, nodes
    )


def _node_status(spec: LabSpec, state: State, n: NodeSpec) -> NodeStatus:
    if n.metal:
        return _metal_status(spec, state, n)
    pid = node.leader(spec.name, n.name)
    reachable = pid is not None and network.exists(spec.namespace) and answers(spec, state, n, limit_s=0)
    off = node.NodeFiles(state.node(n.name)).off.exists()
    what = "running" if pid is not None else "stopped" if off else "dead"
    memory = node.group(spec.name, n.name).memory() if pid is not None else None
    return NodeStatus(n.name, str(n.address), pid, what, reachable, memory)


def _metal_status(spec: LabSpec, state: State, n: NodeSpec) -> NodeStatus:
    bmc, machine = metal.bmc_pid(spec.name, n.name), metal.machine_pid(spec.name, n.name)
    there = network.exists(spec.namespace)
    off = node.NodeFiles(state.node(n.name)).off.exists()
    what = "stopped" if off else "dead" if bmc is None else "off" if machine is None else "running"
    reachable = there and machine is not None and answers(spec, state, n, limit_s=0, connect_s=2)
    told = there and bmc is not None and metal.service_root(spec, n) is not None
    memory = node.group(spec.name, n.name).memory() if bmc is not None else None
    return NodeStatus(n.name, str(n.address), machine or bmc, what, reachable, memory, True, told)


def down(name: str, say: Say, hard: bool = False) -> None:
    """Remove a lab with all that belongs to it, within a bounded time; nothing happens if there is none."""
    state = State(name)
    begun = time.monotonic()
    with state.locked("take the lab down"):
        known = sorted(_known_nodes(name, state))
        with ThreadPoolExecutor(max(1, len(known))) as pool:
            gone = list(pool.map(lambda n: node.power_off(name, n, hard), known))
        _end_strangers(name)
        for namespace in network.namespaces(name):
            network.delete(namespace)
        stuck = [
            n for n, ok in zip(known, gone, strict=True) if not ok and not node.power_off(name, n, hard=True)
        ]
        if stuck or not cgroups.group(f"rw-{name}").remove():
            raise _stuck("take the lab down", name, ", ".join(stuck) or "the lab's control group")
        state.delete()
    if not everything():
        hostlimits.restore_limits(say)
        network.forget_directory()
    say(f"lab {name} is down after {time.monotonic() - begun:.1f} s")


def everything() -> tuple[str, ...]:
    """The names of all labs that there is anything of."""
    found = set(names()) | network.labs()
    for hierarchy in cgroups.mounted():
        found |= {p.name.removeprefix("rw-") for p in hierarchy.root.glob("rw-*") if p.is_dir()}
    return tuple(sorted(found))


def _erase_node(spec: LabSpec, state: State, name: str) -> None:
    if not node.power_off(spec.name, name, hard=True):
        raise _stuck(f"remove {name}", spec.name, name)
    network.delete(network.node_namespace(spec.name, name))
    shutil.rmtree(state.node(name), ignore_errors=True)


def _end_strangers(name: str) -> None:
    """End what else runs in the lab's namespaces (ssh's control masters), but not this command."""
    own = _ancestors()
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = {p for ns in network.namespaces(name) for p in network.processes(ns)} - own
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if left:
            time.sleep(0.5)


def _ancestors() -> set[int]:
    chain, pid = set(), os.getpid()
    while pid > 1:
        chain.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return chain


def _stuck(doing: str, lab: str, what: str) -> RunFailure:
    left = sorted(cgroups.group(f"rw-{lab}").pids())[:10]
    return RunFailure(
        what=doing,
        where=f"lab {lab}, {what}",
        evidence=f"still there after SIGKILL: processes {left}"
        if left
        else "a control group can't be removed",
        cause="the kernel waits for a device or a file system on their behalf",
        next_command=f"rackwright lab down --name {lab}",
    )
