"""``rackwright rollout``: the phases' playbooks in order, with progress, diagnosis and resume."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rackwright.checks.run import read_results, table
from rackwright.errors import ExitCode, UsageError
from rackwright.paths import build_dir
from rackwright.rollout.history import Estimate, History, clock
from rackwright.rollout.progress import Progress
from rackwright.rollout.ready import load_ready_site
from rackwright.rollout.run import Options, Record, roll_out, terminable, until
from rackwright.rollout.timeline import PHASES, Timeline
from rackwright.site import resolve_site


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "rollout",
        help="roll a site out, phase by phase",
        description="Runs playbooks/<phase>.yml for every phase: " + ", ".join(PHASES) + ".",
    )
    command.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    command.add_argument("--until", metavar="PHASE", choices=PHASES, help="stop after this phase")
    command.add_argument("--resume", action="store_true", help="begin at the first phase that is not done")
    command.add_argument(
        "--limit", default="", metavar="HOSTS", help="only these hosts or groups, as in Ansible"
    )
    command.add_argument("--tags", default="", help="only these tags, as in Ansible")
    command.add_argument("--check", action="store_true", help="change nothing; say what would be changed")
    command.add_argument("--diff", action="store_true", help="show changes of files in the log")
    command.add_argument("--output", type=Path, metavar="DIR", help="default: build/rollouts/<site>")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Roll out; 0 when every phase passed."""
    site = resolve_site(args.site)
    model = load_ready_site(site)
    output = (args.output or build_dir() / "rollouts" / model.name).absolute()
    phases = until(args.until)
    record = Record(output, site)
    if args.resume:
        if args.limit or args.tags or args.check:
            raise UsageError("--resume goes on with whole phases", "leave out --limit, --tags and --check")
        phases = record.rest(phases)
    options = Options(site, output, phases, args.limit, args.tags, args.check, args.diff)
    repeated = bool(args.check or args.limit or args.tags or phases[0] in record.done)
    history = History(model.name, "again" if repeated else "first")
    progress = Progress(Estimate(history, phases))
    if args.resume:
        done = [phase for phase in until(args.until) if phase not in phases]
        progress.say(f"resuming at {phases[0]}" + (f"; done: {', '.join(done)}" if done else "")
                     + (f" ({record.note})" if record.note else ""))  # fmt: skip
    begin = time.monotonic()
    timeline = Timeline(time.time())

    def watch(now: Timeline) -> None:
        nonlocal timeline
        timeline = now
        progress.show(now)

    try:
        with terminable():
            roll_out(options, watch)
    finally:
        progress.finish(timeline)
        if not options.partial:
            history.record_timeline(timeline)
        show_checks(progress, output / "checks.json", timeline)
    changed = sum(phase.changed for phase in timeline.phases)
    what = "would change" if args.check else "changed"
    progress.say(
        f"{model.name}: {', '.join(phases)} done in {clock(time.monotonic() - begin)}, {what} {changed}"
    )
    return ExitCode.DONE


def show_checks(progress: Progress, path: Path, timeline: Timeline) -> None:
    """Print the table of checks when the verify phase has judged in this run."""
    if any(phase.name == "verify" for phase in timeline.phases) and path.exists():
        results = read_results(path)
        if path.stat().st_mtime >= timeline.began:
            progress.say("\n" + table(results) + "\n")
