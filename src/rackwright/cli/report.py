"""``rackwright report``: write the last rollout's or rehearsal's report anew, and say what is in it."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from rackwright.checks.run import table
from rackwright.errors import ExitCode, UsageError
from rackwright.mirror.api import bundle_path
from rackwright.paths import build_dir
from rackwright.report.write import write_report
from rackwright.rollout.history import clock
from rackwright.rollout.progress import summary
from rackwright.site import load_site


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser("report", help="the report of the last rollout or rehearsal of a site")
    command.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="where it ran; default: the later one in build/"
    )
    command.add_argument("--open", action="store_true", help="show the page in a browser")
    command.set_defaults(run=run)


def latest(name: str) -> Path:
    """The directory of the site's last rollout or rehearsal; UsageError when there was none."""
    kinds = [build_dir() / kind / name for kind in ("rehearsals", "rollouts")]
    ran = [path for path in kinds if (path / "timeline.json").exists() or (path / "rehearsal.json").exists()]
    if not ran:
        raise UsageError(f"{name} was not rolled out or rehearsed here yet", f"rackwright rehearse {name}")
    return max(ran, key=lambda path: path.stat().st_mtime)


def run(args: argparse.Namespace) -> int:
    """Write the report; 1 when what it reports failed."""
    model = load_site(args.site)
    output = (args.output or latest(model.name)).absolute()
    report = write_report(model, output, bundle_path(model.release) / "lock.json")
    for phase in report.timeline.phases:
        print(summary(phase))
    if report.checks:
        print("\n" + table(report.checks))
    print(f"\n{model.name} {report.result} in {clock(report.seconds)}\n{output / 'report.html'}")
    if args.open:
        webbrowser.open((output / "report.html").as_uri())
    return ExitCode.DONE if report.result == "passed" else ExitCode.NOT_AS_IT_SHOULD_BE
