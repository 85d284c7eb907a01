"""``rackwright rules``: what is checked in a site, why, and how to mend it."""

from __future__ import annotations

import argparse
import json
import textwrap

from rackwright.errors import ExitCode, UsageError
from rackwright.intent.explain import did_you_mean
from rackwright.rules.base import Described
from rackwright.rules.engine import DESCRIBED, KNOWN

WIDTH = 110


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("rules", help="what is checked in a site, why, and how to mend it")
    parser.add_argument("id", nargs="?", metavar="ID", help="explain this rule only")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the rules, or explain one; UsageError where there is none of that id."""
    if args.id is not None and args.id not in KNOWN:
        raise UsageError(f"there is no rule '{args.id}'", did_you_mean(args.id, KNOWN))
    if args.format == "json":
        chosen = [
            {"subject": subject, **_plain(rule)}
            for subject, rules in DESCRIBED.items()
            for rule in rules
            if args.id in (None, rule.id)
        ]
        print(json.dumps(chosen, indent=2))
    elif args.id is not None:
        for name, text in _plain(KNOWN[args.id]).items():
            print(textwrap.fill(f"{name + ':':10}{text}", WIDTH, subsequent_indent=" " * 10))
    else:
        _list()
    return int(ExitCode.DONE)


def _plain(rule: type[Described]) -> dict[str, str]:
    names = ("id", "severity", "what", "why", "mend", "source")
    return {name: str(getattr(rule, name)) for name in names}


def _list() -> None:
    wide = max(len(name) for name in KNOWN)
    for subject, rules in DESCRIBED.items():
        print(f"\n{subject}")
        for rule in rules:
            print(f"  {rule.id:{wide}}  {rule.severity:7}  {rule.what}")
    warnings = sum(rule.severity == "warning" for rule in KNOWN.values())
    print(
        f"\n{len(KNOWN)} rules: {len(KNOWN) - warnings} errors, {warnings} warnings; rackwright rules ID explains one"
    )
