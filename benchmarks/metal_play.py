"""``playbooks/provision.yml`` for servers by the hundred: from claim to installed, and the same again; time, memory, growth.

``python benchmarks/metal_play.py --ironic DIRECTORY [--sizes 30,100] [--servers N] [--forks 32] [--inspect]``, as root.
Everything is in a network of its own that leads nowhere, with: Ironic (release 29) over TLS, SQLite, its fake hardware;
a virtual BMC for each server with factory password and certificate (all in one process); agents that call back at
once; an ssh that answers for all. The head is this machine by Ansible's local connection. The playbook is the
product's own, as it is; its first play, which installs Ironic, finds no host within ``--limit``. ``--servers``: of each
site only so many. ``--inspect``: up to the comparison with the order (``--skip-tags configure,install``). ``--once``:
without the second run.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sites import in_ranges

from metal import PORT, Agents, ironic, peak, report, spent
from rackwright.derive.model import SiteModel
from rackwright.site import load_site

CHECKOUT = Path(__file__).resolve().parents[1]
AUTHORITY = Path("/etc/rackwright/ca")
PROGRAMS = Path(sys.executable).parent
FACTORY = "as-delivered-1"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5ZzZ1UyTqvCkR0u3xQm2v4rYb1nS8dF6gH7jK9lM0p"


def apart(folder: Path) -> None:
    """Within a mount and network namespace: ``/etc`` that is written nowhere, every address of the site here."""
    for command in (
        f"mount -t tmpfs scratch {folder}",
        f"mkdir {folder}/upper {folder}/work",
        f"mount -t overlay scratch -o lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work /etc",
        "ip link set lo up",
        "ip route add local 10.64.0.0/14 dev lo",
    ):
        subprocess.run(command.split(), check=True)


def authority(model: SiteModel, folder: Path) -> str:
    """Make the site's authority and Ironic's certificate; the authority's own."""
    ask = {
        "directory": str(AUTHORITY),
        "common_name": "benchmark",
        "servers": [
            {"path": str(folder / "ironic"), "names": ["ironic"], "addresses": [str(model.head.address)]}
        ],
    }
    command = [PROGRAMS / "ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "rackwright_ca"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(ask)]
    subprocess.run(command, check=True, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    return (AUTHORITY / "ca.crt").read_text()


@contextlib.contextmanager
def bmcs(model: SiteModel, count: int, folder: Path) -> Iterator[int]:
    """A virtual BMC for each of the first GPU servers; the process id of all."""
    configs = [
        {
            "name": node.name, "service_tag": node.service_tag, "state_dir": str(folder / "bmcs" / node.name),
            "address": str(node.bmc.address), "mac": node.bmc.mac, "model": node.product, "profile": node.profile,
            "factory": {"password": FACTORY}, "hardware": {"macs": {
                {"eno1": "lom1"}.get(one.name, one.name): one.mac for one in node.interfaces if one.kind == "physical"
            }},
        }
        for node in model.gpu_workers[:count]
    ]  # fmt: skip
    (folder / "bmcs.json").write_text(json.dumps({"bmcs": configs}))
    process = subprocess.Popen(
        [sys.executable, "-m", "rackwright.lab.bmc", "--config", folder / "bmcs.json"], cwd=CHECKOUT / "src"
    )
    try:
        for config in (configs[0], configs[-1]):
            while process.poll() is None:
                with contextlib.suppress(OSError):
                    socket.create_connection((config["address"], 443), 5).close()
                    break
                time.sleep(1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def ssh(folder: Path) -> Iterator[dict[str, str]]:
    """Something at port 22 of every address, and a program that tells its key: the environment with it."""
    (folder / "bin").mkdir()
    scan = folder / "bin" / "ssh-keyscan"
    scan.write_text(f'#!/bin/sh\nfor host; do :; done\necho "$host {HOST_KEY}"\n')
    scan.chmod(0o755)
    with socket.create_server(("", 22), backlog=256) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=answer, daemon=True).start()
        yield {**os.environ, "PATH": f"{folder / 'bin'}:{PROGRAMS}:{os.environ['PATH']}"}
        listener.shutdown(socket.SHUT_RDWR)


def variables(model: SiteModel, folder: Path, ca: str) -> dict[str, Any]:
    """What a site and its head would say otherwise."""
    image = {"name": model.distribution, "file": "x.raw", "sha256": "a" * 64, "size": 1, "min_disk_gb": 1}
    read = ["p", ca, json.dumps([image])]
    return {
        "bmc_factory": {"user": "root", "password": FACTORY},
        "server_url": f"https://{model.head.address}:{PORT}",
        "server_driver": "fake-hardware",
        "server_credentials_file": str(folder / "bmc.vault.yml"),
        "server_known_hosts_file": str(folder / "known_hosts"),
        "server_read": [base64.b64encode(text.encode()).decode() for text in read],
    }


class Memory:
    """The most that a tree of processes had in memory at once, MiB, each shared page counted once."""

    def __init__(self, root: int) -> None:
        self.most, self._root, self._end = 0.0, root, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._end.wait(3):
            parents = {}
            for file in Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
            total, known = 0, {self._root}
            while more := {one for one, parent in parents.items() if parent in known} - known:
                known |= more
            for one in known:
                with contextlib.suppress(OSError):
                    lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
                    total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            self.most = max(self.most, total / 1024)

    def end(self) -> float:
        self._end.set()
        self._thread.join()
        return self.most


def play(
    site: Path, count: int, folder: Path, environment: dict[str, str], forks: int, fresh: bool, inspect: bool
) -> tuple[float, float, float]:
    """Run the playbook once: seconds, processor seconds with all modules, MiB of Ansible. Ends where a server failed."""
    command = f"ansible-playbook -i {site} playbooks/provision.yml --limit gpu_worker[0:{count - 1}] --forks {forks}"
    command += f" -e @{folder / 'vars.json'} -e server_at_once={forks}"
    command += " --skip-tags configure,install" if inspect else ""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command.split(),
            cwd=CHECKOUT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        memory = Memory(process.pid)
        try:
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    most = memory.end()
    recap = [line for line in (folder / "log").read_text().splitlines() if " ok=" in line]
    bad = [line for line in recap if "failed=0" not in line or ("changed=0" in line) == fresh]
    if process.returncode or bad or not recap:
        sys.exit("\n".join([*bad[:5], (folder / "log").read_text()[-6000:]]))
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most


def measure(asked: argparse.Namespace, size: int, folder: Path) -> dict[str, float]:
    """Both runs of the playbook, in a site of so many servers for all or some of them."""
    count, programs = min(size, asked.servers or size), asked.ironic
    site = in_ranges(folder / "site", size)
    model = load_site(site)
    ca = authority(model, folder)
    (folder / "vars.json").write_text(json.dumps(variables(model, folder, ca)))
    (folder / "password").write_text("benchmark\n")
    head = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,
    }
    (folder / "overlay.yml").write_text(json.dumps({"head": head}))
    more = f"[DEFAULT]\n[ssl]\ncert_file = {folder}/ironic.crt\nkey_file = {folder}/ironic.key\n"
    more += "[api]\nenable_ssl_api = true\nhost_ip = 0.0.0.0\n"
    url, found = f"https://{model.head.address}:{PORT}", {}
    with (
        bmcs(model, count, folder) as redfish,
        ironic(programs, more, url, ca) as engine,
        ssh(folder) as environment,
    ):
        environment["RACKWRIGHT_OVERLAY"] = str(folder / "overlay.yml")
        environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(folder / "password")
        for run in ("first run", *(() if asked.once else ("again",))):
            before = spent(engine), spent(redfish)
            with Agents(model, url, ca):
                found[run], used, most = play(
                    site, count, folder, environment, asked.forks, run == "first run", asked.inspect
                )
            found[f"processor of Ansible, {run}"] = used
            found[f"processor of Ironic, {run}"] = spent(engine) - before[0]
            found[f"processor of the virtual BMCs, {run}"] = spent(redfish) - before[1]
            found[f"MiB Ansible, {run}"] = most
        found["MiB Ironic"] = peak(engine)
    print(
        f"{count} of {size} servers: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()),
        flush=True,
    )
    return found


def main() -> None:
    """Print a table, and how each figure grows from the first size to the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ironic", type=Path, required=True, metavar="DIRECTORY")
    parser.add_argument("--sizes", default="30,100")
    parser.add_argument("--servers", type=int, default=0, help="of each site only so many")
    parser.add_argument("--forks", type=int, default=32)
    parser.add_argument("--inspect", action="store_true", help="nothing is set or installed")
    parser.add_argument("--once", action="store_true", help="without the second run")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.apart:
        command = ["unshare", "--mount", "--net", sys.executable, *sys.argv, "--apart"]
        os.execvp(command[0], command)  # noqa: S606
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        apart(Path(scratch))
        try:
            for size in sizes:
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    rows.append(measure(arguments, size, Path(folder)))
        finally:
            subprocess.run(["umount", "--lazy", "/etc", scratch], check=True)
    print(f"{os.cpu_count()} processors, {arguments.forks} servers at a time")
    report(sizes, rows)


if __name__ == "__main__":
    main()
