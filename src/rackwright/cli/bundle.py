"""``rackwright bundle``: build, verify and list what a site installs."""

from __future__ import annotations

import argparse
import json
import signal
from collections import defaultdict
from pathlib import Path

from rackwright.errors import ExitCode
from rackwright.mirror.api import build_bundle, bundle_path, read_lock, verify_bundle
from rackwright.mirror.engine import say
from rackwright.mirror.lock import Entry
from rackwright.mirror.release import DEFAULT


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    command = subparsers.add_parser("bundle", help="build, verify and list what a site installs")
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build a release's bundle, or bring it up to date")
    build.add_argument("--release", default=DEFAULT)
    build.add_argument("--output", type=Path, metavar="DIR", help="default: bundles/<release> in the cache")
    build.add_argument("--refresh", action="store_true", help="fetch Debian's packages anew")
    build.add_argument(
        "--repair", action="store_true", help="check every kept result and remake damaged ones"
    )
    build.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="NAME",
        help="an operating system's image to hold besides the usual ones, e.g. ubuntu-24.04; repeat for more",
    )
    for name, text in (("verify", "check every file against the lock"), ("list", "what is in a bundle")):
        action = actions.add_parser(name, help=text)
        action.add_argument(
            "directory", type=Path, nargs="?", metavar="DIR", help="default: the cache's bundle"
        )
        action.add_argument("--format", choices=("text", "json"), default="text")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the action; its exit code."""
    if args.action == "build":
        return build_action(args)
    directory = args.directory or bundle_path()
    if args.action == "verify":
        return verify_action(directory, args.format)
    return list_action(directory, args.format)


def megabytes(size: int) -> str:
    """Bytes as ``12.3 MB``."""
    return f"{size / 1e6:,.1f} MB"


def build_action(args: argparse.Namespace) -> int:
    """Build and say where and how large. A termination signal ends it as cleanly as Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    output = args.output.absolute() if args.output else None
    path = build_bundle(
        args.release, output, say, refresh=args.refresh, repair=args.repair, extra_images=args.image
    )
    lock = read_lock(path)
    total = sum(entry.size for entry in lock.entries)
    print(f"{path}: release {lock.release}, {len(lock.entries)} files, {megabytes(total)}")
    return ExitCode.DONE


def verify_action(directory: Path, form: str) -> int:
    """Name every file that is not what the lock says."""
    problems = verify_bundle(directory)
    if form == "json":
        print(json.dumps([problem.to_dict() for problem in problems], indent=1))
    else:
        for problem in problems:
            print(problem)
        if not problems:
            count = len(read_lock(directory).entries)
            print(f"{directory}: all {count} files are as locked, the signature is good")
    return ExitCode.NOT_AS_IT_SHOULD_BE if problems else ExitCode.DONE


def list_action(directory: Path, form: str) -> int:
    """One line a component: kind, name, version, size, fidelity, source."""
    grouped: dict[tuple[str, ...], int] = defaultdict(int)
    for entry in read_lock(directory).entries:
        grouped[item_key(entry)] += entry.size
    if form == "json":
        names = ("kind", "name", "version", "fidelity", "source")
        print(
            json.dumps(
                [{**dict(zip(names, key, strict=True)), "size": n} for key, n in sorted(grouped.items())],
                indent=1,
            )
        )
        return ExitCode.DONE
    rows = [(k, n, v, megabytes(size), f, s) for (k, n, v, f, s), size in sorted(grouped.items())]
    table = [("KIND", "NAME", "VERSION", "SIZE", "FIDELITY", "SOURCE"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for row in table:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]))
    return ExitCode.DONE


def item_key(entry: Entry) -> tuple[str, ...]:
    """What makes several files one line of the list."""
    return (entry.kind, entry.name, entry.version, entry.fidelity, entry.source)
