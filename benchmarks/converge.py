"""From "OS ready" to "all nodes Ready": Rackwright against the same commands typed by hand on the same nodes.

Prints seconds, the ratio, a no-op run against the first one, memory, and which tasks the time goes to.
Usage (root, a built bundle):

    python benchmarks/converge.py [--site inventories/minimal] [--rounds 1]

The head node (mirror, registry, DNS) is loaded before either clock starts. By hand leaves out what only Rackwright does there
(haproxy and keepalived, sshd, time, sysctl), and waits for the same end: every node Ready.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

from rackwright.derive.model import SiteModel
from rackwright.paths import cache_dir
from rackwright.render.places import ca_anchor
from rackwright.site import load_site

CHECKOUT = Path(__file__).resolve().parents[1]
RACKWRIGHT = [sys.executable, "-m", "rackwright.cli.main"]
NAME = "bench"
#: Tasks of the same playbook that come once every node can be Ready, and have no counterpart by hand.
BEYOND = ("storage_class :", "metrics_server :")


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a command and return its output; ends the benchmark when it fails."""
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        sys.exit(
            f"{' '.join(command)[:200]}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
        )
    return done.stdout


def playbooks(site: str, *names: str) -> tuple[float, str]:
    """Seconds and output of plain ansible-playbook on the lab."""
    started = time.monotonic()
    output = run(
        *RACKWRIGHT, "lab", "run", site, "--name", NAME, "--",
        "env", "ANSIBLE_CALLBACKS_ENABLED=ansible.posix.profile_tasks", "PROFILE_TASKS_TASK_OUTPUT_LIMIT=all",
        "ansible-playbook", "-i", f"{site}/site.yml", *(f"playbooks/{name}.yml" for name in names),
    )  # fmt: skip
    return time.monotonic() - started, output


def profile(output: str) -> dict[str, float]:
    """Seconds by task, from the summary of ansible.posix.profile_tasks: ``role : task ------ 12.34s``."""
    found = (re.fullmatch(r"(\S.*?) -{3,} *([0-9.]+)s", line) for line in output.splitlines())
    return {match[1]: float(match[2]) for match in found if match}


def by_hand(site: str, model: SiteModel) -> float:
    """Seconds that the hand-typed commands take."""
    overlay_path = cache_dir() / "labs" / NAME / "overlay.yml"
    overlay = yaml.safe_load(overlay_path.read_text())["all"]
    options = f"-i {overlay['ansible_ssh_private_key_file']} {overlay['ansible_ssh_common_args']}"
    options += " -o ControlMaster=auto -o ControlPath=/tmp/rw-bench-%C -o ControlPersist=60 -o LogLevel=ERROR"
    first, *others = model.control_planes

    def named(nodes: list[object]) -> str:
        return ",".join(f"{node.name}={node.address}" for node in nodes)  # type: ignore[attr-defined]

    with tempfile.TemporaryDirectory() as rendered:
        run(
            *RACKWRIGHT,
            "lab",
            "run",
            site,
            "--name",
            NAME,
            "--",
            *RACKWRIGHT,
            "render",
            site,
            "--output",
            rendered,
        )
        for source, target in (
            ("/srv/rackwright/mirror/apt/rackwright.gpg", "rackwright.gpg"),
            ("/etc/rackwright/ca/ca.crt", "ca.crt"),
        ):
            command = [
                *RACKWRIGHT,
                "lab",
                "run",
                site,
                "--name",
                NAME,
                "--",
                "ssh",
                *options.split(),
                f"root@{first.address}",
                "cat",
                source,
            ]
            (Path(rendered) / target).write_bytes(
                subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True).stdout
            )
        started = time.monotonic()
        run(
            *RACKWRIGHT, "lab", "run", site, "--name", NAME, "--",
            "bash", "benchmarks/by_hand.sh", rendered, options,
            named([first]), named(list(others)), named(list(model.gpu_workers)),
            str(model.api_vip), f"https://{model.mirror_fqdn}/charts/cilium-{model.versions['cilium']}.tgz", ca_anchor(model),
        )  # fmt: skip
        return time.monotonic() - started


def fresh(site: str) -> None:
    """Nodes as just provisioned, with the head node loaded."""
    run(*RACKWRIGHT, "lab", "down", site, "--name", NAME)
    run(*RACKWRIGHT, "lab", "up", site, "--name", NAME)
    playbooks(site, "head")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--site", default="inventories/minimal")
    arguments.add_argument("--rounds", type=int, default=1)
    chosen = arguments.parse_args()
    site, model = chosen.site, load_site(chosen.site)
    ours: list[float] = []
    again: list[float] = []
    hand: list[float] = []
    more: list[float] = []
    where: Counter[str] = Counter()
    memory = 0
    try:
        for _ in range(chosen.rounds):
            fresh(site)
            seconds, output = playbooks(site, "nodes", "kubernetes")
            tasks = profile(output)
            where.update(tasks)
            beyond = sum(took for task, took in tasks.items() if task.startswith(BEYOND))
            more.append(beyond)
            ours.append(seconds - beyond)
            again.append(playbooks(site, "nodes", "kubernetes")[0])
            status = json.loads(run(*RACKWRIGHT, "lab", "status", site, "--name", NAME, "--format", "json"))
            memory = max(memory, int(status.get("memory_bytes", 0)))
            fresh(site)
            hand.append(by_hand(site, model))
    finally:
        subprocess.run(
            [*RACKWRIGHT, "lab", "down", site, "--name", NAME], cwd=CHECKOUT, check=False, capture_output=True
        )
    first, second, baseline, beyond = (statistics.median(values) for values in (ours, again, hand, more))
    print(f"{model.name}: {len(model.nodes)} nodes, {chosen.rounds} round(s), medians")
    print(
        f"  OS ready → all nodes Ready   Rackwright {first:6.1f} s   by hand {baseline:6.1f} s   ratio {first / baseline:.2f}"
    )
    print(f"  storage class, metrics       {beyond:6.1f} s   in Rackwright's playbook, not in the ratio")
    whole = first + beyond
    print(
        f"  the same again (no change)   {second:6.1f} s   {second / whole:.2f} of the first run ({whole:.1f} s)"
    )
    print(f"  memory of all nodes          {memory / 2**20:.0f} MiB")
    print("  where the first run's time goes:")
    for task, seconds in where.most_common(12):
        print(f"    {seconds:6.1f} s  {task}")


if __name__ == "__main__":
    main()
