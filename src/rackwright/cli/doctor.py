"""``rackwright doctor``: whether this machine is fit to rehearse a site."""

from __future__ import annotations

import argparse

from rackwright.checks.machine import Fitness, examine
from rackwright.derive.model import SiteModel
from rackwright.errors import ExitCode
from rackwright.lab import metal_spec
from rackwright.mirror.api import bundle_path
from rackwright.paths import cache_dir
from rackwright.site import load_site

DEFAULT_SITE = "reference"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser("doctor", help="is this machine fit to rehearse a site")
    command.add_argument(
        "site", metavar="SITE", nargs="?", default=DEFAULT_SITE, help=f"default: {DEFAULT_SITE}"
    )
    command.set_defaults(run=run)


def diagnose(model: SiteModel, machines: int = 0) -> list[Fitness]:
    """Every line for this site on this machine; so many of its nodes are emulated machines."""
    bundle = (bundle_path(model.release) / "lock.json").exists()
    each = (metal_spec.MEMORY_MIB + metal_spec.OVERHEAD_MIB) * metal_spec.MIB
    return list(examine(cache_dir(), len(model.nodes), bundle, machines, each))


def run(args: argparse.Namespace) -> int:
    """Print a line for each thing looked at; 1 when one of them is not as it must be."""
    model = load_site(args.site)
    lines = diagnose(model)
    for line in lines:
        print(f"{'ok' if line.ok else 'FAILED':<7}{line.name:<11}{line.evidence}")
        if not line.ok:
            print(f"{'':<18}next: {line.remedy}")
    bad = sum(not line.ok for line in lines)
    print(f"\n{f'{bad} of {len(lines)} are not as they must be' if bad else 'fit'} to rehearse {model.name}"
          f" ({len(model.nodes)} nodes)")  # fmt: skip
    return ExitCode.NOT_AS_IT_SHOULD_BE if bad else ExitCode.DONE
