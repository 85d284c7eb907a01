"""Servers in Ironic by the hundred: enrolment, inspection, the same again, conformance; time, memory, growth.

``python benchmarks/metal.py --ironic DIRECTORY [--sizes 100,1000] [--workers 16]``. Starts an Ironic of its own
(``ironic`` and ``ironic-dbsync`` in DIRECTORY, such as a virtual environment's bin; release 29) with SQLite and its
fake hardware, which answers at once: what is measured is the flow's and Ironic's own work for each server. Every size
begins with an empty Ironic. The hardware to compare is that of faultless servers, as the tests have it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sites import in_ranges

from rackwright.derive.model import Node, SiteModel
from rackwright.metal.conformance import compare
from rackwright.metal.declared import Account, Options, declare
from rackwright.metal.flow import Flow
from rackwright.metal.ironic import Ironic, IronicError
from rackwright.metal.settings import Settings
from rackwright.metal.walk import Walker
from rackwright.site import load_site

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "metal"))
import found_hardware

PORT = 16386
SETTINGS = Settings({}, None, "uefi", False, {})
OPTIONS = Options(f"http://127.0.0.1:{PORT + 1}", "fake-hardware")
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
"""


@contextlib.contextmanager
def ironic(programs: Path) -> Iterator[int]:
    """A fresh Ironic; its process id."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "ironic.conf")
        file.write_text(CONFIGURATION.format(folder=directory, port=PORT))
        words = ["--config-file", str(file)]
        subprocess.run([programs / "ironic-dbsync", *words, "create_schema"], check=True, capture_output=True)
        process = subprocess.Popen(
            [programs / "ironic", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            api = Ironic(f"http://127.0.0.1:{PORT}", busy=60)
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


def timed(work: Callable[[Node], object], nodes: Sequence[Node], workers: int) -> float:
    """Seconds for all nodes, so many at a time."""
    begin = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, nodes):
            pass
    return time.monotonic() - begin


def spent(process: int) -> float:
    """Seconds of processor time of a process; waiting for others doesn't count."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(model: SiteModel, workers: int, process: int) -> dict[str, float]:
    """Seconds of each part, and MiB at the peak of this program and of Ironic."""
    nodes = [node for node in model.nodes if node.is_gpu_worker]
    own = threading.local()

    def lead(node: Node) -> int:
        if not hasattr(own, "api"):
            own.api = Ironic(f"http://127.0.0.1:{PORT}")
        wanted = declare(model, node, SETTINGS, Account("root", "p" * 20), OPTIONS)
        flow = Flow(Walker(own.api, wanted.uuid), wanted)
        return len(flow.enrolled().changes) + len(flow.inspected().changes)

    before = spent(process)
    found: dict[str, float] = {"enrol and inspect": timed(lead, nodes, workers)}
    found["again"] = timed(lead, nodes, workers)
    found["processor of Ironic for both"] = spent(process) - before
    begin = time.process_time()
    for node in nodes:
        assert not any(one.blocks for one in compare(model, node, found_hardware.agent(node), (), {}))
    found["conformance"] = time.process_time() - begin
    found["MiB here"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = Path(f"/proc/{process}/status").read_text()
    found["MiB Ironic"] = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024
    return found


def main() -> None:
    """Print a table, and how each figure grows from the first size to the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ironic", type=Path, required=True, metavar="DIRECTORY")
    parser.add_argument("--sizes", default="100,1000")
    parser.add_argument("--workers", type=int, default=16)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, ironic(arguments.ironic) as process:
            begin = time.monotonic()
            model = load_site(in_ranges(Path(folder), size))
            loaded = time.monotonic() - begin
            rows.append({"load the site": loaded, **measure(model, arguments.workers, process)})
        print(f"{size:5} servers: " + ", ".join(f"{name} {value:.2f}" for name, value in rows[-1].items()))
    print(
        f"{os.cpu_count()} processors, {arguments.workers} servers at a time; {sizes[-1] / sizes[0]:g} times the servers:"
    )
    print("  " + ", ".join(f"{name} {rows[-1][name] / rows[0][name]:.1f} times" for name in rows[0]))


if __name__ == "__main__":
    main()
