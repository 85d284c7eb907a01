"""``rackwright book``: the site book, one printable page with all that people need beside the racks."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from rackwright.book.write import DOCTYPE, Book, page
from rackwright.errors import ExitCode, SiteError, UsageError
from rackwright.intent.load import shown
from rackwright.intent.own_catalogue import load_catalogue
from rackwright.paths import build_dir
from rackwright.site import resolve_site, validate


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "book",
        help="write the site book: drawings, tables, parts, on one page",
        description=(
            "Write the site book, one printable page: where --output says, or build/books/<site>.html of the "
            "checkout that this command was installed from, whatever folder you stand in."
        ),
    )
    command.add_argument(
        "site",
        metavar="SITE",
        help="path of a site.yml or its folder, or a name of the checkout's inventories/",
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="default: build/books/<site>.html in the command's checkout",
    )
    command.add_argument("--date", default="", metavar="TEXT", help="a date or state for the cover")
    command.add_argument("--open", action="store_true", help="show the page in a browser")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the book; 2 where the site has errors."""
    path = resolve_site(args.site)
    model, findings = validate(path)
    if model is None:
        raise SiteError([finding for finding in findings if finding.severity == "error"])
    catalogue, _ = load_catalogue(path, path.parent)
    output: Path = args.output or build_dir() / "books" / f"{model.name}.html"
    if output.is_file() and not output.read_bytes().startswith(DOCTYPE.encode()):
        raise UsageError(
            f"'{output}' is there already, and no site book", "name a new file, such as book.html"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    text = page(Book(model, catalogue, findings, date=args.date))
    output.write_text(text, encoding="utf-8")
    print(f"{shown(output)}: {len(model.nodes)} servers, {len(text.encode()) / 1e6:.1f} MB")
    if args.open:
        webbrowser.open(output.resolve().as_uri())
    return int(ExitCode.DONE)
