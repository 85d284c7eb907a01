"""``rackwright discover``: the BMCs on the oob network against the site."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from rackwright.derive.model import SiteModel
from rackwright.errors import ExitCode, RunFailure, UsageError
from rackwright.metal.discover import as_json, faultless, match, summary, table
from rackwright.paths import build_dir, checkout
from rackwright.site import load_site, resolve_site


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "discover",
        help="find the servers' BMCs and match them to the site",
        description="The head node asks every address of the oob network who it is (playbooks/discover.yml).",
    )
    command.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    command.add_argument("--format", choices=("text", "json"), default="text")
    command.add_argument(
        "--found", type=Path, metavar="FILE", help="match what an earlier search wrote; asks nobody"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search and match; 0 everything is in its place, 1 something isn't."""
    model = load_site(args.site)
    path = args.found or _search(model, resolve_site(args.site))
    matches = match(model, _read(path))
    if args.format == "json":
        sys.stdout.write(as_json(matches) + "\n")
    else:
        sys.stdout.write(f"{table(matches)}\n{model.name}: {summary(matches)}\n")
    return int(ExitCode.DONE if faultless(matches) else ExitCode.NOT_AS_IT_SHOULD_BE)


def _search(model: SiteModel, site: Path) -> Path:
    """Have the head look; where the answers are. Raises RunFailure."""
    folder = build_dir() / "metal" / model.name
    folder.mkdir(parents=True, exist_ok=True)
    answers, log = folder / "discovered.json", folder / "discover.log"
    answers.unlink(missing_ok=True)
    program = Path(sys.executable).parent / "ansible-playbook"
    line = [str(program) if program.exists() else "ansible-playbook", "-i", str(site)]
    line += ["--extra-vars", json.dumps({"discover_output": str(answers)})]
    line += [str(checkout() / "playbooks" / "discover.yml")]
    settings = {"ANSIBLE_CONFIG": str(checkout() / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(line, env={**os.environ, **settings}, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode or not answers.exists():
        last = [
            text for text in log.read_text(encoding="utf-8", errors="replace").splitlines() if text.strip()
        ]
        raise RunFailure(
            what="ask the addresses of the oob network",
            where=f"the head node, {model.head.name}",
            evidence="\n".join(last[-6:]) or "ansible-playbook said nothing",
            cause="the head can't be reached, or it isn't set up yet: discovery runs on it",
            next_command=f"ansible-playbook -i {site} playbooks/head.yml",
        )
    return answers


def _read(path: Path) -> list[dict[str, str]]:
    """The BMCs that a search wrote. Raises UsageError where it is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["found"]
        return [dict(one) for one in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it isn't what a search writes"
        raise UsageError(f"can't read '{path}': {said}", "leave out --found to search anew") from None
