"""What the bundle's step cache saves: seconds of a cold and a warm build of a few steps; the bundle's size.

The cold build has empty step and Go build caches; modules are taken from the real cache. Usage (a built
bundle):

    python benchmarks/bundle.py [--steps deb-runc,image-etcd,image-pause]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from rackwright.mirror.api import bundle_path, read_lock
from rackwright.mirror.engine import Engine
from rackwright.mirror.plan import make_plan
from rackwright.mirror.release import DEFAULT, read_release
from rackwright.mirror.signing import SigningKey
from rackwright.mirror.step import Step
from rackwright.paths import cache_dir, checkout


def with_needs(steps: tuple[Step, ...], wanted: set[str]) -> list[Step]:
    """The wanted steps and all that they need, in order."""
    by_name = {step.name: step for step in steps}
    names: set[str] = set()
    while wanted:
        names |= wanted
        wanted = {need for name in wanted for need in by_name[name].needs} - names
    return [step for step in steps if step.name in names]


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", default="deb-runc,image-etcd,image-pause")
    wanted = set(arguments.parse_args().steps.split(","))
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory)
        (cache / "go").mkdir()
        (cache / "go" / "mod").symlink_to(cache_dir() / "go" / "mod")
        plan = make_plan(read_release(DEFAULT), checkout() / "packaging", SigningKey(cache / "keys"))
        steps = with_needs(plan.steps, wanted)
        seconds = []
        for _ in range(2):
            started = time.monotonic()
            Engine(cache, lambda line: None).run(steps)
            seconds.append(time.monotonic() - started)
    cold, warm = seconds
    print(f"{len(steps)} steps: cold {cold:.1f} s, warm {warm * 1000:.1f} ms, ratio {warm / cold:.1e}")
    lock = read_lock(bundle_path())
    print(f"bundle: {len(lock.entries)} files, {sum(entry.size for entry in lock.entries) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
