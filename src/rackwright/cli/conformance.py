"""``rackwright conformance``: the servers' hardware against what was ordered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.errors import ExitCode, UsageError
from rackwright.metal.collected import Collected, folder_of, read
from rackwright.metal.conformance import Difference, as_json, compare, table
from rackwright.render.inventory import host_variables
from rackwright.site import load_site


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "conformance",
        help="compare the servers' hardware with what was ordered",
        description="Reads what playbooks/provision.yml collected of the servers. Exits with 1 when something blocks.",
    )
    command.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    command.add_argument("nodes", metavar="NODE", nargs="*", help="default: every server that was inspected")
    command.add_argument("--format", choices=("text", "json"), default="text")
    command.add_argument(
        "--from", dest="folder", type=Path, metavar="DIR", help="default: build/metal/<site>/hardware"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare; 0 nothing blocks, 1 something does."""
    model = load_site(args.site)
    folder = args.folder or folder_of(model)
    nodes = _nodes(model, args.nodes)
    collected = {node.name: read(folder, node.name) for node in nodes}
    seen = [node for node in nodes if collected[node.name] is not None]
    absent = [node.name for node in nodes if collected[node.name] is None]
    if not seen or (args.nodes and absent):
        raise UsageError(
            f"nothing was collected of {', '.join(absent)} in '{folder}'",
            f"inspect them first: ansible-playbook -i {args.site} playbooks/provision.yml",
        )
    variables = host_variables(Path(model.path))
    differences = [
        one for node in seen for one in judge(model, node, collected[node.name], variables[node.name])
    ]
    if args.format == "json":
        sys.stdout.write(as_json(differences) + "\n")
    else:
        sys.stdout.write(table(differences))
        _say(seen, absent, differences)
    return int(ExitCode.NOT_AS_IT_SHOULD_BE if any(one.blocks for one in differences) else ExitCode.DONE)


def judge(
    model: SiteModel, node: Node, collected: Collected | None, variables: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """The differences of a server under its own options. Raises UsageError where one of them is none."""
    given = {name: variables.get(f"server_{name}") for name in ("accepted", "severity", "firmware")}
    known = collected or Collected()
    try:
        return compare(
            model,
            node,
            known.inventory,
            known.components,
            known.stated,
            given["accepted"],
            given["severity"],
            given["firmware"],
        )
    except ValueError as error:
        raise UsageError(
            f"{node.name}: {error}", "see server_accepted and server_severity in docs/reference/roles.md"
        ) from None


def _nodes(model: SiteModel, names: list[str]) -> list[Node]:
    known = {node.name: node for node in model.nodes}
    strange = [name for name in names if name not in known]
    if strange:
        raise UsageError(f"{model.name} has no server {', '.join(strange)}", f"it has: {', '.join(known)}")
    return [known[name] for name in names] if names else [node for node in model.nodes if not node.is_head]


def _say(seen: list[Node], absent: list[str], differences: list[Difference]) -> None:
    """The last lines: how many are as ordered, and which weren't looked at."""
    wrong = {one.node for one in differences if one.blocks}
    other = {one.node for one in differences} - wrong
    parts = [f"{len(seen)} servers: {len(seen) - len(wrong) - len(other)} as ordered"]
    parts += [f"{len(other)} with warnings"] if other else []
    parts += [f"{len(wrong)} held back ({', '.join(sorted(wrong))})"] if wrong else []
    print(("\n" if differences else "") + ", ".join(parts))
    if absent:
        print(f"not inspected yet: {', '.join(absent)}")
