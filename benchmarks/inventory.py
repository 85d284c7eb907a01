"""``ansible-inventory --list``: the site as inventory against a static YAML file of equal content.

``python benchmarks/inventory.py [--rounds N]``. The static file is the plugin's own listing, written as YAML: same
groups, same hosts, same variables. Processor seconds of the whole command on one core, both by turns; of the rounds
the quickest counts. That the two listings are equal is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from sites import in_ranges, written_out

from rackwright.paths import checkout

SIZES = (100, 1000)
SETTINGS = {
    "ANSIBLE_CONFIG": str(checkout() / "ansible.cfg"),
    "ANSIBLE_INVENTORY_ENABLED": "rackwright_site,yaml",
    "PYTHONPATH": str(checkout() / "src"),
}


def listing(inventory: Path) -> tuple[float, dict[str, Any]]:
    """Processor seconds of ``ansible-inventory --list``, and what it prints."""
    program = Path(sys.executable).with_name("ansible-inventory")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, str(program), "-i", str(inventory), "--list"],
        check=True,
        capture_output=True,
        cwd=checkout(),
        env={**os.environ, **SETTINGS},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(done.stdout)


def static(listed: dict[str, Any]) -> dict[str, Any]:
    """A listing as a YAML inventory: every host's variables with the host, as ``--list`` has them."""
    hosts = listed["_meta"]["hostvars"]
    groups = {name: group for name, group in listed.items() if name not in ("_meta", "all")}
    children = {name: {"hosts": dict.fromkeys(group.get("hosts", ()))} for name, group in groups.items()}
    return {"all": {"hosts": hosts, "children": children}}


def compact(listed: dict[str, Any]) -> dict[str, Any]:
    """The same with what all hosts have in common said once, as a careful person would write it."""
    whole = static(listed)
    hosts = whole["all"]["hosts"]
    first = next(iter(hosts.values()))
    common = {k: v for k, v in first.items() if all(host.get(k) == v for host in hosts.values())}
    whole["all"]["vars"] = common
    whole["all"]["hosts"] = {
        name: {k: v for k, v in host.items() if k not in common} for name, host in hosts.items()
    }
    return whole


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(
        "| GPU servers | site in ranges s | site written out s | static YAML s | ratio in ranges | ratio written out |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in SIZES:
            ranges = in_ranges(folder / f"ranges-{size}", size)
            out = written_out(folder / f"out-{size}", ranges)
            content = compact(listing(out)[1])
            table = folder / f"static-{size}.yml"
            dumper = type("Plain", (yaml.CSafeDumper,), {"ignore_aliases": lambda self, data: True})
            table.write_text(yaml.dump(content, Dumper=dumper, width=200), encoding="utf-8")
            seconds: dict[Path, float] = {}
            for _ in range(rounds):
                listings = {}
                for inventory in (ranges, out, table):
                    taken, listings[inventory] = listing(inventory)
                    seconds[inventory] = min(taken, seconds.get(inventory, taken))
                for listed in (listings[table], listings[out]):
                    listed["all"]["children"].sort()
                assert listings[table] == listings[out], "the static file has another content"
            ours, theirs, plain = seconds[ranges], seconds[out], seconds[table]
            print(
                f"| {size} | {ours:.2f} | {theirs:.2f} | {plain:.2f} | {ours / plain:.2f} | {theirs / plain:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
