"""``rackwright lab``: a site's nodes on this machine."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from rackwright.errors import ExitCode, UsageError
from rackwright.lab import lab, spec, workstation
from rackwright.lab.status import LabStatus, NodeStatus
from rackwright.site import load_site

Action = Callable[[argparse.Namespace], int]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command with its own subcommands."""
    parser = subparsers.add_parser("lab", help="a site's nodes on this machine: containers, or bare machines")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    up = _action(actions, "up", _up, "make the lab, or mend it: safe to run again at any time")
    up.add_argument(
        "--memory", type=_size, metavar="SIZE", help="memory limit of each node, such as 4G (default: none)"
    )
    up.add_argument(
        "--only", action="append", default=[], metavar="NODE", help="start only this node; repeatable"
    )
    up.add_argument(
        "--metal",
        action="append",
        default=[],
        metavar="NODE[,NODE...]",
        help="these are no containers but bare machines: off, with a BMC; repeatable",
    )
    down = _action(actions, "down", _down, "remove the lab with all that belongs to it", optional=True)
    down.add_argument("--all", action="store_true", help="every lab on this machine")
    down.add_argument("--hard", action="store_true", help="don't let the nodes shut down first")
    status = _action(actions, "status", _status, "what stands; without SITE: of every lab", optional=True)
    status.add_argument("--format", choices=("text", "json"), default="text")
    stop = _action(actions, "stop", _stop, "switch a node off; its disk stays")
    stop.add_argument("node", metavar="NODE")
    stop.add_argument("--hard", action="store_true", help="pull the plug instead of shutting down")
    start = _action(actions, "start", _start, "switch a node on")
    start.add_argument("node", metavar="NODE")
    silicon = _action(actions, "silicon", _silicon, "have a node's imitated NVSwitch fabric show a fault")
    silicon.add_argument("node", metavar="NODE")
    silicon.add_argument(
        "--fabric-state", metavar="STATE", help="such as 'In Progress'; without: as it should be"
    )
    shell = _action(actions, "shell", _shell, "log in to a node, or run one command there")
    shell.add_argument("node", metavar="NODE")
    shell.add_argument("command_line", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    run = _action(actions, "run", _run, "run a command where the site's addresses are reachable")
    run.add_argument("command_line", nargs=argparse.REMAINDER, metavar="-- COMMAND")


def run(args: argparse.Namespace) -> int:
    """Carry out one action; gives the exit code."""
    if os.geteuid() != 0:
        raise UsageError(
            "the lab needs root: it makes namespaces, mounts and control groups", "run it with sudo"
        )
    action: Action = args.lab_action
    return action(args)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    action: Action,
    text: str,
    optional: bool = False,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("site", metavar="SITE", nargs="?" if optional else None, help="directory or site.yml")
    parser.add_argument("--name", help="the lab's name, where it is not the site's: several labs of one site")
    parser.set_defaults(run=run, lab_action=action)
    return parser


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _name(args: argparse.Namespace) -> str:
    """The lab's name: as given, or the site's own; the site file need not be valid for that."""
    if args.name:
        return spec.check_name(args.name)
    if not args.site:
        raise UsageError("which lab?", "name its SITE, or --name NAME")
    path = Path(args.site)
    file = path / "site.yml" if path.is_dir() else path
    if not file.exists():
        raise UsageError(
            f"{file} does not exist", "SITE is a directory under inventories/ or a path to a site.yml"
        )
    try:
        data = yaml.safe_load(file.read_text())
        found = data.get("name") or data["site"]["name"]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        match = re.search(r"^\s*name:\s*([\w-]+)", file.read_text(), re.MULTILINE)
        found = match.group(1) if match else ""
    return spec.check_name(str(found))


def _up(args: argparse.Namespace) -> int:
    metal = [name for names in args.metal for name in names.split(",") if name]
    wanted = spec.from_site(load_site(args.site), args.name, metal)
    for node in args.only:
        wanted.node(node)
    lab.up(wanted, _say, args.memory, args.only)
    return ExitCode.DONE


def _down(args: argparse.Namespace) -> int:
    for name in lab.everything() if args.all else (_name(args),):
        lab.down(name, _say, args.hard)
    return ExitCode.DONE


def _status(args: argparse.Namespace) -> int:
    one = bool(args.site or args.name)
    found = [lab.status(name) for name in ((_name(args),) if one else lab.everything())]
    if args.format == "json":
        data = [status.to_dict() for status in found]
        print(json.dumps(data[0] if one else data, indent=2))
    else:
        print("\n\n".join(_text(status) for status in found) or "no lab stands")
    return ExitCode.DONE if all(status.state == "up" for status in found) else ExitCode.NOT_AS_IT_SHOULD_BE


def _text(status: LabStatus) -> str:
    lines = [f"lab {status.name}: {status.state}, namespace {status.namespace}, memory {_mib(status.memory)}"]
    width = max((len(node.name) for node in status.nodes), default=4)
    for node in status.nodes:
        ssh = "ssh answers" if node.ssh else "no ssh"
        lines.append(
            f"  {node.name:{width}}  {node.address:15}  {node.state:8}  pid {node.pid or '-':>8}  {ssh:11}  "
            f"{_mib(node.memory):>9}{_bmc(node)}"
        )
    return "\n".join(lines)


def _bmc(node: NodeStatus) -> str:
    if not node.metal:
        return ""
    return "  bare machine, BMC answers" if node.bmc else "  bare machine, no BMC"


def _mib(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**20:.0f} MiB"


def _stop(args: argparse.Namespace) -> int:
    lab.stop(_name(args), args.node, args.hard, _say)
    return ExitCode.DONE


def _start(args: argparse.Namespace) -> int:
    lab.start(_name(args), args.node, _say)
    return ExitCode.DONE


def _silicon(args: argparse.Namespace) -> int:
    lab.set_fabric(_name(args), args.node, args.fabric_state)
    return ExitCode.DONE


def _shell(args: argparse.Namespace) -> int:
    command = _command(args, needed=False)
    workstation.shell(_name(args), args.node, command)


def _run(args: argparse.Namespace) -> int:
    command = _command(args, needed=True)
    workstation.become(_name(args), command)


def _command(args: argparse.Namespace, needed: bool) -> list[str]:
    """The command to run. ``--name`` before ``--`` is ours, though argparse counts it to the rest."""
    command: list[str] = args.command_line
    if command[:1] == ["--name"] and len(command) > 1:
        args.name, command = command[1], command[2:]
    elif command and command[0].startswith("--name="):
        args.name, command = command[0].partition("=")[2], command[1:]
    command = command[1:] if command[:1] == ["--"] else command
    if needed and not command:
        raise UsageError("no command given", "rackwright lab run SITE -- COMMAND")
    return command


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMGkmg]?)(i?[Bb])?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 4G")
    return int(match.group(1)) << 10 * " KMG".index(match.group(2).upper() or " ")
