"""Servers in Ironic by the hundred: claim, enrolment, inspection with conformance, the same again; time, memory, growth.

``python benchmarks/metal.py --ironic DIRECTORY [--sizes 100,1000] [--workers 8]``. Starts an Ironic of its own
(``python`` and ``ironic-dbsync`` in DIRECTORY, such as a virtual environment's bin; release 29) with SQLite and its
fake hardware, which answers at once; only its inspection waits for an agent, as that of real hardware does, and what
agents find of faultless servers is sent by this program. So it is the flow's and Ironic's own work for each server
that is measured, and no BMC. Every size begins with an empty Ironic. The stages are those of
``playbooks/provision.yml``, led here without Ansible: ``metal_play.py`` runs the playbook itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib, VaultSecret
from sites import in_ranges

from rackwright.derive.model import Node, SiteModel
from rackwright.metal import collected
from rackwright.metal.conformance import compare
from rackwright.metal.declared import node_uuid
from rackwright.metal.ironic import Ironic, IronicError
from rackwright.metal.stages import Given, Server
from rackwright.site import load_site

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "metal"))
import found_hardware

PORT = 16386
STAGES = ("claimed", "enrolled", "inspected")
PROGRAM = """\
from ironic.cmd import singleprocess
from ironic.drivers.modules import fake
from ironic.drivers.modules.inspector import agent
fake.FakeInspect = agent.AgentInspect
singleprocess.main()
"""
CONFIGURATION = """\
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
enabled_hardware_types = fake-hardware
enabled_boot_interfaces = fake
enabled_deploy_interfaces = fake
enabled_inspect_interfaces = fake
enabled_management_interfaces = fake
enabled_power_interfaces = fake
enabled_bios_interfaces = fake
enabled_raid_interfaces = fake
enabled_vendor_interfaces = fake
enabled_console_interfaces = fake
enabled_rescue_interfaces = fake
enabled_firmware_interfaces = fake
enabled_network_interfaces = noop
enabled_storage_interfaces = noop
state_path = {folder}
host = benchmark
my_ip = 127.0.0.1
log_file = {folder}/ironic.log
default_log_levels = eventlet.wsgi.server=WARNING,ironic=WARNING
[database]
connection = sqlite:///{folder}/ironic.db
[api]
host_ip = 127.0.0.1
port = {port}
[conductor]
automated_clean = false
[dhcp]
dhcp_provider = none
[inspector]
add_ports = disabled
hooks = $default_hooks,parse-lldp
keep_ports = all
power_off = false
require_managed_boot = false
[inventory]
data_backend = database
"""


@contextlib.contextmanager
def ironic(
    programs: Path, more: str = "", url: str = f"http://127.0.0.1:{PORT}", ca: str = ""
) -> Iterator[int]:
    """A fresh Ironic; its process id. ``more``: further configuration."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "ironic.conf")
        file.write_text(CONFIGURATION.format(folder=directory, port=PORT) + more)
        words = ["--config-file", str(file)]
        subprocess.run([programs / "ironic-dbsync", *words, "create_schema"], check=True, capture_output=True)
        process = subprocess.Popen(
            [programs / "python", "-c", PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            api = Ironic(url, ca=ca, busy=60)
            until = time.monotonic() + 60
            while True:
                try:
                    api.nodes()
                    break
                except IronicError:
                    if time.monotonic() > until or process.poll() is not None:
                        raise
                    time.sleep(0.5)
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)


class Agents(Ironic):
    """What calls back from the servers: tells Ironic what it finds, once that waits for it."""

    def __init__(self, model: SiteModel, url: str = f"http://127.0.0.1:{PORT}", ca: str = "") -> None:
        super().__init__(url, ca=ca)
        self._nodes = {node_uuid(node): node for node in model.nodes}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seconds = 0.0

    def __enter__(self) -> Agents:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        told: set[str] = set()
        while not self._end.wait(0.2):
            waiting = self._ask("GET", "/v1/nodes?provision_state=inspect+wait&fields=uuid")["nodes"]
            for uuid in {str(node["uuid"]) for node in waiting} - told:
                told.add(uuid)
                found = found_hardware.agent(self._nodes[uuid])
                data = {"inventory": found["inventory"], **found["plugin_data"]}
                self._ask("POST", f"/v1/continue_inspection?node_uuid={uuid}", data)
            self.seconds = time.thread_time()


class Bmcs:
    """What the module on the head says of BMCs: each takes its password, and states a faultless server."""

    def __init__(self) -> None:
        self._passwords: dict[str, str] = {}
        self.seconds = 0.0

    def ask(self, node: Node, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        begin = time.thread_time()
        answer: dict[str, Any] = {"stated": found_hardware.redfish(node)}
        if arguments["operation"] == "claim":
            known = self._passwords.get(node.name) == arguments["password"]
            self._passwords[node.name] = arguments["password"]
            answer = {"changes": [] if known else ["password: replaced"]}
        self.seconds += time.thread_time() - begin
        return answer


def spent(process: int) -> float:
    """Seconds of processor time of a process; waiting for others doesn't count."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(process: int) -> float:
    """MiB that a process had in memory at most."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024


def counted() -> Counter[str]:
    """From now on every request to Ironic, but the agents', by its method."""
    asked: Counter[str] = Counter()
    exchange = Ironic._exchange

    def counting(self: Ironic, method: str, *words: Any) -> tuple[int, str]:
        if not isinstance(self, Agents):
            asked[method] += 1
        return exchange(self, method, *words)

    Ironic._exchange = counting  # type: ignore[method-assign,assignment]
    return asked


def measure(
    model: SiteModel, workers: int, process: int, folder: Path, asked: Counter[str]
) -> dict[str, float]:
    """Prints a line for each stage; wall and processor seconds of both runs and of conformance, MiB at the peaks."""
    nodes = [node for node in model.nodes if node.is_gpu_worker]
    vault, bmcs = VaultLib([("default", VaultSecret(b"benchmark"))]), Bmcs()
    given = Given(
        f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 1}", str(folder / "bmc.vault.yml"), str(folder / "known"),
        {"password": "p", "ca": "", "images": ""}, driver="fake-hardware",
    )  # fmt: skip
    figures: dict[str, float] = {}

    def lead(node: Node, stage: str) -> bool:
        server = Server(model, node, given, vault, lambda _, arguments: bmcs.ask(node, arguments))
        return bool(server.perform(stage)["changed"])

    print(
        f"{len(nodes)} servers: stage, s, processor s here, processor s of Ironic, requests to it for each server"
    )
    with Agents(model) as agents:
        for run in ("first run", "again"):
            for name in ("", "processor "):
                figures[name + run] = 0.0
            for stage in STAGES:
                asked.clear()
                begin = time.monotonic()
                own = time.process_time() - agents.seconds - bmcs.seconds
                theirs = spent(process)
                with ThreadPoolExecutor(workers) as pool:
                    changed = sum(pool.map(lead, nodes, [stage] * len(nodes)))
                wall = time.monotonic() - begin
                own = time.process_time() - agents.seconds - bmcs.seconds - own
                theirs = spent(process) - theirs
                assert changed == (len(nodes) if run == "first run" else 0), f"{stage}: {changed} changed"
                each = ", ".join(
                    f"{method} {count / len(nodes):.1f}" for method, count in sorted(asked.items())
                )
                print(f"  {run}, {stage}: {wall:.1f}, {own:.1f}, {theirs:.1f}, {each or 'none'}", flush=True)
                figures[run] += wall
                figures[f"processor {run}"] += own + theirs
    begin = time.process_time()
    for node in nodes:
        seen = collected.read(collected.folder_of(model), node.name)
        assert seen is not None and seen.inventory
        assert not any(
            one.blocks for one in compare(model, node, seen.inventory, seen.components, seen.stated)
        )
    figures["conformance"] = time.process_time() - begin
    figures["MiB here"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["MiB Ironic"] = peak(process)
    return figures


def report(sizes: list[int], rows: list[dict[str, float]]) -> None:
    """Each figure by size, and how it grows from the first size to the last."""
    for size, row in zip(sizes, rows, strict=True):
        print(f"{size:5} servers: " + ", ".join(f"{name} {value:.2f}" for name, value in row.items()))
    print(f"{sizes[-1] / sizes[0]:g} times the servers (goal: at most 11 times the time):")
    print("  " + ", ".join(f"{name} {rows[-1][name] / rows[0][name]:.1f} times" for name in rows[0]))
    if "again" in rows[0]:
        print(
            "again, of the first run: " + ", ".join(f"{row['again'] / row['first run']:.2f}" for row in rows)
        )


def main() -> None:
    """Print tables, and how each figure grows from the first size to the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ironic", type=Path, required=True, metavar="DIRECTORY")
    parser.add_argument("--sizes", default="100,1000")
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    sizes = [int(size) for size in arguments.sizes.split(",")]
    asked = counted()
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, ironic(arguments.ironic) as process:
            begin = time.process_time()
            model = load_site(in_ranges(Path(folder), size))
            loaded = time.process_time() - begin
            rows.append(
                {"load the site": loaded, **measure(model, arguments.workers, process, Path(folder), asked)}
            )
    print(f"{os.cpu_count()} processors, {arguments.workers} servers at a time")
    report(sizes, rows)


if __name__ == "__main__":
    main()
