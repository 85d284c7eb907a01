"""``rackwright rehearse``: the whole of a site on this machine: bundle, lab, every phase, checks, report."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rackwright.checks.machine import memory_available
from rackwright.checks.run import table
from rackwright.cli.doctor import diagnose
from rackwright.derive.model import SiteModel
from rackwright.errors import ExitCode, RackwrightError, RunFailure
from rackwright.lab import cgroups, lab, metal_spec, network, workstation
from rackwright.lab.command import attempt
from rackwright.lab.metal import MetalFiles
from rackwright.lab.metal import require_programs as require_emulator
from rackwright.lab.spec import LabSpec, NodeSpec, from_site
from rackwright.lab.state import State
from rackwright.mirror.api import build_bundle, bundle_path
from rackwright.paths import build_dir
from rackwright.processes import terminable
from rackwright.report.data import Rehearsal, Report, Step, scrub
from rackwright.report.write import write_report
from rackwright.rollout.history import Estimate, History, clock
from rackwright.rollout.progress import Progress
from rackwright.rollout.ready import load_ready_site
from rackwright.rollout.run import Options, Record, roll_out, until
from rackwright.rollout.timeline import ALL_PHASES, Timeline
from rackwright.site import resolve_site

UNITS = (
    "kubelet",
    "containerd",
    "dnsmasq",
    "chrony",
    "nginx",
    "docker-registry",
    "haproxy",
    "keepalived",
    "ssh",
)
"""Units whose journal says why a node failed."""
SAMPLE_SECONDS = 2.0
WARM_BUNDLE_SECONDS = 5.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "rehearse",
        help="roll a site out on this machine, with nodes as containers or bare machines",
        description="Makes bundle and lab, rolls the site out, checks, reports, takes the lab down.",
    )
    command.add_argument("site", metavar="SITE", help="directory under inventories/ or a path to a site.yml")
    command.add_argument("--until", metavar="PHASE", choices=ALL_PHASES, help="stop after this phase")
    command.add_argument(
        "--keep", action="store_true", help="leave the lab standing; run again to go on in it"
    )
    command.add_argument(
        "--name", metavar="LAB", help="another name for the lab, beside one of the same site"
    )
    command.add_argument(
        "--metal",
        nargs="*",
        metavar="NODE",
        help="these begin as bare machines that are off, and get their operating system in the rehearsal; without "
        "names: all servers but the head, or as many as this machine has room for",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Rehearse; 0 when every phase and every check passed."""
    site = resolve_site(args.site)
    model = load_ready_site(site)
    metal, why = bare_machines(model, args.metal, args.name)
    spec = from_site(model, args.name, metal)
    phases = until(args.until, bool(metal))
    with Rehearsing(model, site, spec, phases, args.keep, why) as rehearsal:
        return rehearsal.run()


def bare_machines(
    model: SiteModel, named: Sequence[str] | None, lab_name: str | None = None
) -> tuple[tuple[str, ...], str]:
    """The nodes that begin as bare machines, and in words which and why; ``named`` is what ``--metal`` was given.

    None is no ``--metal``, an empty list one without names: those of a lab that is there already, as what they take
    is no longer available; else as many as there is room for. UsageError where that is none.
    """
    if named is None:
        return (), ""
    names = tuple(dict.fromkeys(name for words in named for name in words.split(",") if name))
    if names:
        return names, f"bare machines: {', '.join(names)}"
    before = State(lab_name or model.name).spec()
    there = {n.name for n in before.nodes if n.metal} if before else set()
    if there and there <= {n.name for n in model.nodes}:
        return tuple(sorted(there)), f"bare machines: {', '.join(sorted(there))} (the lab's)"
    available = memory_available(Path("/proc/meminfo").read_text())
    names, why = metal_spec.choose(model, available, len(os.sched_getaffinity(0)))
    return names, f"bare machines: {', '.join(names)} ({why})"


class Rehearsing:
    """One rehearsal, from the look at the machine to the lab's end."""

    def __init__(
        self,
        model: SiteModel,
        site: Path,
        spec: LabSpec,
        phases: tuple[str, ...],
        keep: bool,
        note: str = "",
    ) -> None:
        self.model, self.site, self.spec, self.phases, self.keep = model, site, spec, phases, keep
        self.output = build_dir() / "rehearsals" / spec.name
        self.note = note
        self.facts = Rehearsal(time.time(), until=phases[-1], metal=[n.name for n in spec.nodes if n.metal])
        self.timeline = Timeline(time.time())
        self.history = History(model.name)
        self._stack = contextlib.ExitStack()
        self._sampled = 0.0

    def __enter__(self) -> Rehearsing:
        self.output.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(alone(self.output / ".lock", self.spec.name))
        self._stack.enter_context(terminable())
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def run(self) -> int:
        """All steps; the report is written and the lab taken down whatever happens."""
        phases = self._prepare()
        problem: BaseException | None = None
        try:
            self._bundle()
            self._lab()
            self._roll_out(phases)
        except (RackwrightError, KeyboardInterrupt) as error:
            problem = error
        with unhurried():
            report = self._conclude(problem)
            if not self.keep:
                lab.down(self.spec.name, self.progress.say)
        if isinstance(problem, KeyboardInterrupt):
            raise problem
        self._say_result(report, problem)
        return ExitCode.DONE if report and report.result == "passed" else ExitCode.NOT_AS_IT_SHOULD_BE

    def _prepare(self) -> tuple[str, ...]:
        """Look at the machine and at what stands already; the phases that are to run."""
        standing = lab.status(self.spec.name).state != "down"
        record = Record(self.output, self.site)
        if not standing:
            record.forget()
            for old in ("timeline.json", "checks.json", "rehearsal.json", "report.json", "report.html"):
                (self.output / old).unlink(missing_ok=True)
        phases = record.rest(self.phases) if standing else self.phases
        if standing and set(self.phases) <= set(record.done):
            phases = self.phases
        if phases[0] in record.done:
            self.history = History(self.model.name, "again")
        warm = (bundle_path(self.model.release) / "lock.json").exists()
        if warm:
            self.history.assume("bundle", WARM_BUNDLE_SECONDS)
        self.progress = Progress(Estimate(self.history, ("bundle", "lab", *phases, "report")))
        if self.note:
            self.progress.say(self.note)
        if not standing:
            self._examine()
        elif phases != self.phases:
            self.progress.say(f"the lab stands: going on with {phases[0]}")
        return phases

    def _examine(self) -> None:
        if self.facts.metal:
            require_emulator()
        bad = [line for line in diagnose(self.model, len(self.facts.metal)) if not line.ok]
        if bad:
            raise RunFailure(
                what=f"rehearse {self.model.name}",
                where="this machine",
                evidence="; ".join(f"{line.name}: {line.evidence}" for line in bad),
                cause="the machine is not fit for it",
                next_command="; ".join(line.remedy for line in bad),
            )

    @contextlib.contextmanager
    def _step(self, name: str, text: str) -> Iterator[None]:
        self.progress.step(name, text)
        begin = time.time()
        try:
            yield
        finally:
            taken = time.time() - begin
            self.facts.steps.append(Step(name, round(begin - self.facts.began, 2), round(taken, 2)))
        self.history.record(name, taken)

    def _bundle(self) -> None:
        with self._step("bundle", "what the site installs"):
            build_bundle(self.model.release, progress=self.progress.say)

    def _lab(self) -> None:
        bare = len(self.facts.metal)
        what = f"{len(self.spec.nodes)} nodes" + (f", {bare} of them bare machines" if bare else "")
        with self._step("lab", what):
            lab.up(self.spec, self.progress.say)

    def _roll_out(self, phases: tuple[str, ...]) -> None:
        state = State(self.spec.name)
        name = f" --name {self.spec.name}" if self.spec.name != self.model.name else ""
        metal = f" --metal {' '.join(self.facts.metal)}" if self.facts.metal else ""
        again = f"rackwright rehearse {self.site.parent}{name} --keep{metal}"
        options = Options(self.site, self.output, phases, again=again, metal=tuple(self.facts.metal))

        def watch(timeline: Timeline) -> None:
            self.timeline = timeline
            self.progress.show(timeline)
            self._sample()

        try:
            roll_out(
                options,
                watch,
                wrap=lambda line: workstation.command_line(state, self.spec, line),
                env=workstation.environment(state),
            )
        finally:
            self.progress.finish(self.timeline)
            self.history.record_timeline(self.timeline)

    def _sample(self) -> None:
        if time.monotonic() - self._sampled >= SAMPLE_SECONDS:
            self._sampled = time.monotonic()
            used = cgroups.group(f"rw-{self.spec.name}").memory() or 0
            self.facts.memory_peak = max(self.facts.memory_peak or 0, used)

    def _conclude(self, problem: BaseException | None) -> Report | None:
        """Fetch what explains a failure, then write the report."""
        if problem is not None:
            self.facts.failure = scrub(str(problem)) or type(problem).__name__
            self._fetch_logs()
        self.facts.seconds = round(time.time() - self.facts.began, 1)
        self.facts.write(self.output / "rehearsal.json")
        with self._step("report", "writing"):
            return write_report(self.model, self.output, bundle_path(self.model.release) / "lock.json")

    def _fetch_logs(self) -> None:
        """The last of the journal of every node on which something failed; of all when none can be named."""
        state = State(self.spec.name)
        failed = {failure.host for failure in self.timeline.failures}
        nodes = [node for node in self.spec.nodes if node.name in failed] or list(self.spec.nodes)
        journal = ["journalctl", "--no-pager", "-b", "-n", "400", "-o", "short-iso"]
        for unit in UNITS:
            journal += ["-u", unit]
        for node in nodes:
            if not network.exists(self.spec.namespace):
                return
            login = [*network.enter(self.spec.namespace), *state.ssh(node, "-o", "ConnectTimeout=3")]
            self._keep_console(state, node)
            said = attempt([*login, "--", *journal], timeout_s=20)
            if said.returncode == 0:
                (self.output / "logs" / f"{node.name}.journal.log").write_text(scrub(said.stdout))

    def _keep_console(self, state: State, node: NodeSpec) -> None:
        """Of a bare machine, what it and its BMC said: also when it never got as far as a journal."""
        files = MetalFiles(state.node(node.name))
        for path, kept in ((files.console, "console.log"), (files.bmc / "events.jsonl", "bmc-events.jsonl")):
            if node.metal and path.exists():
                text = path.read_bytes()[-200_000:].decode(errors="replace")
                (self.output / "logs" / f"{node.name}.{kept}").write_text(scrub(text))

    def _say_result(self, report: Report | None, problem: BaseException | None) -> None:
        if report and report.checks and any(phase.name == "verify" for phase in self.timeline.phases):
            self.progress.say("\n" + table(report.checks))
        if problem is not None:
            self.progress.say(f"\n{problem}")
        peak = f", memory peak {self.facts.memory_peak / 2**30:.1f} GiB" if self.facts.memory_peak else ""
        result = report.result if report else "failed"
        self.progress.say(f"\n{self.model.name} {result} in {clock(self.facts.seconds)}{peak}")
        self.progress.say(f"report: {self.output / 'report.html'}")
        if self.keep:
            self.progress.say(
                f"the lab stands; take it down with: rackwright lab down --name {self.spec.name}"
            )


@contextlib.contextmanager
def alone(path: Path, name: str) -> Iterator[None]:
    """Hold the rehearsal of one lab for one process; RunFailure when another has it."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailure(
                what=f"rehearse in lab {name}",
                where=str(path.parent),
                evidence=f"{path} is locked",
                cause="another rehearsal of it is running",
                next_command="wait for it, or use another lab: --name NAME",
            ) from None
        yield


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Put off interrupts while the report is written and the lab taken down."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
