"""Validate, derive and render sites of 100, 1,000 and 4,000 GPU servers: processor time, memory, and how both grow.

``python benchmarks/scale.py [--rounds N]``. Every measurement is a process of its own on one core; of the rounds
the quickest counts. Rendering gives the digest of every file, as ``rackwright render --digests`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (100, 1000, 4000)
KINDS = ("ranges", "written out", "ranges, group_vars")


def measure(site: str) -> dict[str, float]:
    """Seconds of processor time of each phase, and MiB at the peak, in this process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    started = time.process_time()
    from rackwright.site import load_site

    load_site(site)
    validated = time.process_time()
    from rackwright.render.intended import digests

    text = digests(site)
    rendered = time.process_time()
    files = sum(int(line.split()[1]) for line in text.splitlines() if not line.startswith("#"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "validate": validated - started,
        "render": rendered - validated,
        "total": rendered - started,
        "memory": peak,
        "files": files,
    }


def best(site: Path, rounds: int) -> dict[str, float]:
    """The quickest of several processes."""
    results = []
    for _ in range(rounds):
        arguments = [sys.executable, __file__, "--measure", str(site)]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout))
    return min(results, key=lambda result: result["total"])


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", metavar="SITE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    from sites import in_ranges, with_group_vars, written_out

    found: dict[tuple[str, int], dict[str, float]] = {}
    print("| site | GPU servers | validate + derive s | render s | total s | peak MiB | files |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            ranges = in_ranges(Path(folder) / f"ranges-{size}", size)
            sites = {
                "ranges": ranges,
                "written out": written_out(Path(folder) / f"out-{size}", ranges),
                "ranges, group_vars": with_group_vars(in_ranges(Path(folder) / f"vars-{size}", size)),
            }
            for kind, site in sites.items():
                one = found[kind, size] = best(site, arguments.rounds)
                print(
                    f"| {kind} | {size} | {one['validate']:.2f} | {one['render']:.2f} | {one['total']:.2f} "
                    f"| {one['memory']:.0f} | {one['files']:.0f} |",
                    flush=True,
                )
    for kind in KINDS:
        ratio = found[kind, SIZES[2]]["total"] / found[kind, SIZES[1]]["total"]
        print(f"{kind}: time(4,000) / time(1,000) = {ratio:.2f}")


if __name__ == "__main__":
    main()
