"""``rackwright render``: write every file that any machine will get, or check that they are current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.errors import ExitCode
from rackwright.render.intended import (
    DIGESTS,
    compare,
    digests,
    intended_files,
    intended_folder,
    writable_folder,
    write,
)

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("render", help="write every file that any machine of the site will get")
    parser.add_argument("site", metavar="SITE", help="directory under inventories/, or path of a site.yml")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: intended/ beside the site file")
    parser.add_argument(
        "--digests",
        action="store_true",
        help=f"for a large site: write {DIGESTS} only, a line for each artefact; kept where it stands",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 and show the differences, if any"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render; 0 done (with --check: all current), 1 differences."""
    output = intended_folder(args.site, args.output)
    if args.output is not None and not args.check:
        writable_folder(output)
    brief = args.digests or (output / DIGESTS).is_file()
    files = {DIGESTS: digests(args.site)} if brief else intended_files(args.site)
    if not args.check:
        changed = write(output, files)
        print(f"{len(files)} files under {output}, {changed} changed")
        return int(ExitCode.DONE)
    differences = compare(output, files)
    for difference in differences:
        sys.stdout.write(difference)
    if differences:
        print(f"{len(differences)} of {len(files)} files under {output} are not current")
        print(f"next: rackwright render {args.site}")
        if brief:
            print("to see what changed: rackwright render SITE --output DIR before and after, then diff -r")
        return int(ExitCode.NOT_AS_IT_SHOULD_BE)
    print(f"{len(files)} files under {output} are current")
    return int(ExitCode.DONE)
