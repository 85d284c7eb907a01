"""``rackwright import``: take over what is written down elsewhere: factory lists, NetBox."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rackwright import catalog
from rackwright.errors import ExitCode, SiteError, UsageError
from rackwright.importing.netbox import site_of
from rackwright.importing.netbox_export import read_export
from rackwright.importing.site_text import site_text
from rackwright.importing.take_over import Change, plan
from rackwright.intent.load import shown
from rackwright.intent.own_catalogue import load_catalogue
from rackwright.site import FILE, resolve_site, validate


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "import", help="take over service tags, MACs, or a whole site from NetBox"
    )
    kinds = command.add_subparsers(dest="kind", metavar="KIND", required=True)
    listed = kinds.add_parser("csv", help="write a factory's service tags and MACs into a site's files")
    listed.add_argument("file", metavar="FILE", type=Path, help="the factory's list, with a line of headers")
    listed.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    listed.add_argument("--write", action="store_true", help="change the files; without it only show how")
    listed.add_argument(
        "--in-order",
        action="store_true",
        help="give the lines of each model to the servers of that profile, in the order of the site file",
    )
    listed.set_defaults(run=run_csv)
    netbox = kinds.add_parser("netbox", help="write a site file from what NetBox's REST API gives")
    netbox.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="saved answers, or all in one file"
    )
    netbox.add_argument("--output", metavar="DIR", type=Path, required=True, help="the new site's directory")
    netbox.set_defaults(run=run_netbox)


def run_csv(args: argparse.Namespace) -> int:
    """Show, or make, the changes; 2 where the list or the site has faults."""
    made = plan(resolve_site(args.site), args.file, args.in_order)
    for warning in made.warnings:
        print(warning, file=sys.stderr)
    for change in made.changes:
        sys.stdout.write(change.diff())
    if made.unused:
        print(f"columns without a meaning here: {', '.join(made.unused)}")
    for port, count in sorted(made.left_out.items()):
        print(f"{port}: in the list for {count} servers, not in the site file: left out")
    said = f"{args.file}: {made.servers} servers"
    if not made.changes:
        print(f"{said}; nothing to change")
    elif args.write:
        for change in made.changes:
            _replace(change)
        print(f"{said}; changed {', '.join(shown(change.path) for change in made.changes)}")
        print(f"next: rackwright validate {args.site}")
    else:
        print(f"{said}; nothing is written yet: the same command with --write does it")
    return int(ExitCode.DONE)


def run_netbox(args: argparse.Namespace) -> int:
    """Write the site file; 1 where something of it is missing or wrong, 2 where the export is of no use."""
    export = read_export(args.files)
    errors = [finding for finding in export.findings if finding.severity == "error"]
    if errors:
        raise SiteError(errors)
    # Products of the site's own may lie in catalog/ there already.
    catalogue, faults = load_catalogue(args.output / FILE, args.output)
    if faults:
        raise SiteError(faults)
    site = site_of(export, catalogue)
    errors = [finding for finding in export.findings if finding.severity == "error"]
    if errors:
        raise SiteError(errors)
    release = max(name for name, one in catalog.releases().items() if one.status == "current")
    text, path = site_text(site, release), args.output / FILE
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise UsageError(f"{path} is there already", "name another directory: nothing is written over")
    args.output.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    model, findings = validate(path)
    for finding in (*export.findings, *findings):
        print(finding, file=sys.stderr)
    print(f"{shown(path)}: {len(site.servers)} servers, {len(site.switches)} switches")
    if model is None:
        print(f"next: fill in what is missing, then rackwright validate {args.output}")
        return int(ExitCode.NOT_AS_IT_SHOULD_BE)
    return int(ExitCode.DONE)


def _replace(change: Change) -> None:
    """All of the file or nothing, with its mode."""
    scratch = change.path.with_name(f".{change.path.name}.import")
    scratch.write_bytes(change.after.encode())
    if change.path.exists():
        scratch.chmod(change.path.stat().st_mode & 0o777)
    scratch.replace(change.path)
