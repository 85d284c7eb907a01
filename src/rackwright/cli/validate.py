"""``rackwright validate``: every fault of a site's files that can be seen at once."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from rackwright.errors import ExitCode
from rackwright.intent.load import shown
from rackwright.site import resolve_site, validate


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("validate", help="check a site's files and show every fault at its place")
    parser.add_argument(
        "site", metavar="SITE", help="a directory under inventories/, or the path of a site.yml"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: docs/reference/schemas/validate.schema.json",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 2 where there is an error among them, else 0."""
    path = resolve_site(args.site)
    model, findings = validate(path)
    if args.format == "json":
        print(json.dumps([finding.to_dict() for finding in findings], indent=2))
        return int(ExitCode.DONE if model is not None else ExitCode.INPUT_WRONG)
    for finding in findings:
        print(finding, file=sys.stderr)
    errors = sum(finding.severity == "error" for finding in findings)
    counts = ", ".join(
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((errors, "error"), (len(findings) - errors, "warning"))
        if number
    )
    if model is None:
        print(f"{shown(path)}: {counts}", file=sys.stderr)
        return int(ExitCode.INPUT_WRONG)
    if model.waived:
        counts = f"{counts}, {len(model.waived)} waived" if counts else f"{len(model.waived)} waived"
    served = f"{len(model.serving)} served model{'' if len(model.serving) == 1 else 's'}"
    what = f"{len(model.nodes)} servers, {len(model.switches)} switches, {served}"
    print(f"{shown(path)}: valid: {what}, release {model.release}{f'; {counts}' if counts else ''}")
    return int(ExitCode.DONE)
