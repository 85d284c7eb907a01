"""``rackwright rollout``: the phases' playbooks in order, with progress, diagnosis and resume."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rackwright.checks.run import read_results, table
from rackwright.derive.model import SiteModel
from rackwright.errors import ExitCode, UsageError
from rackwright.paths import build_dir
from rackwright.processes import terminable
from rackwright.rollout.history import Estimate, History, clock
from rackwright.rollout.progress import Progress
from rackwright.rollout.ready import load_ready_site
from rackwright.rollout.run import Options, Record, roll_out, until
from rackwright.rollout.timeline import ALL_PHASES, PHASES, Timeline
from rackwright.site import resolve_site


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "rollout",
        help="roll a site out, phase by phase",
        description="Runs playbooks/<phase>.yml for every phase: " + ", ".join(PHASES) + ".",
    )
    command.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    command.add_argument("--until", metavar="PHASE", choices=ALL_PHASES, help="stop after this phase")
    command.add_argument(
        "--metal",
        nargs="*",
        metavar="NODE",
        help="give these servers their operating system first, from power-off; without names: all but the head",
    )
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
    metal = bare_servers(model, args.metal)
    phases = until(args.until, bool(metal))
    record = Record(output, site)
    if args.resume:
        if args.limit or args.tags or args.check:
            raise UsageError("--resume goes on with whole phases", "leave out --limit, --tags and --check")
        phases = record.rest(phases)
    options = Options(site, output, phases, args.limit, args.tags, args.check, args.diff, metal=metal)
    repeated = bool(args.check or args.limit or args.tags or phases[0] in record.done)
    history = History(model.name, "again" if repeated else "first")
    progress = Progress(Estimate(history, phases))
    if args.resume:
        done = [phase for phase in until(args.until, bool(metal)) if phase not in phases]
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


def bare_servers(model: SiteModel, named: Sequence[str] | None) -> tuple[str, ...]:
    """The servers to provision; none without ``--metal``, all but the heads where it names none.

    Raises UsageError for a name that the site doesn't have, and for the head: it does the provisioning.
    """
    if named is None:
        return ()
    servers = [node.name for node in model.nodes if not node.is_head]
    names = list(dict.fromkeys(name for words in named for name in words.split(",") if name)) or servers
    wrong = [name for name in names if name not in servers]
    if wrong:
        raise UsageError(f"{', '.join(wrong)} can't be provisioned", f"the servers are: {', '.join(servers)}")
    return tuple(names)


def show_checks(progress: Progress, path: Path, timeline: Timeline) -> None:
    """Print the table of checks when the verify phase has judged in this run."""
    if any(phase.name == "verify" for phase in timeline.phases) and path.exists():
        results = read_results(path)
        if path.stat().st_mtime >= timeline.began:
            progress.say("\n" + table(results) + "\n")
