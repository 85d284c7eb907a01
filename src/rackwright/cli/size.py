"""``rackwright size``: from models and users to servers, and to the first draft of a site file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.errors import ExitCode, UsageError
from rackwright.intent.load import shown
from rackwright.intent.own_catalogue import catalogue_files
from rackwright.sizing.sitefile import NotWritableError, site_file
from rackwright.sizing.size import Sizing, size
from rackwright.sizing.sweep import read_sweep
from rackwright.sizing.text import to_text
from rackwright.sizing.workload import Order, load_workload

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("size", help="from models and their users to servers, racks and watts")
    parser.add_argument("workload", metavar="WORKLOAD.yml", type=Path, help="docs/how-to/size-a-site.md")
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: docs/reference/schemas/size.schema.json",
    )
    parser.add_argument(
        "--sweep",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="your own Model Analyzer's metrics-model-inference.csv, in place of the design's figures; may be repeated",
    )
    parser.add_argument(
        "--site-file", type=Path, metavar="OUT", help="write a site file of the plan; never overwrites"
    )
    parser.add_argument(
        "--plan",
        metavar="NAME",
        help="which plan the site file is of (default: the one with the fewest watts)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Size; 0 done, 1 it can't be done as stated."""
    if args.plan is not None and args.site_file is None:
        raise UsageError("--plan says which plan --site-file writes", "add --site-file OUT")
    sweep = tuple(row for path in args.sweep for row in read_sweep(path))
    order = load_workload(args.workload, sweep)
    sizing = size(order)
    if args.format == "json":
        sys.stdout.write(sizing.model_dump_json(indent=2) + "\n")
    else:
        sys.stdout.write(to_text(sizing))
    if sizing.best is None:
        return int(ExitCode.NOT_AS_IT_SHOULD_BE)
    if args.site_file is not None:
        _write(args, sizing, order)
    return int(ExitCode.DONE)


def _write(args: argparse.Namespace, sizing: Sizing, order: Order) -> None:
    """The site file. Raises UsageError where it can't be written; says what it needs beside it."""
    out: Path = args.site_file
    possible = [plan.name for plan in sizing.plans if plan.possible]
    name = args.plan or sizing.best
    if name not in possible:
        raise UsageError(f"there is no plan '{name}' to write", f"possible: {', '.join(possible)}")
    if out.exists():
        raise UsageError(f"'{out}' exists already", "name another file, or remove it first")
    try:
        text = site_file(sizing.plan(name), order)
    except NotWritableError as error:
        raise UsageError(f"no site file of this plan: {error}") from None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"can't write '{out}': {error.strerror}", "name another file") from None
    print(
        f"{shown(out)}: {name}; put in the placeholders, then: rackwright validate {shown(out)}",
        file=sys.stderr,
    )
    own = catalogue_files(args.workload)
    if own and out.resolve().parent != args.workload.resolve().parent:
        print(f"copy {shown(own[0].parent)} beside it: the plan was sized with it", file=sys.stderr)
