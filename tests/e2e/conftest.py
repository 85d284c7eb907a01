"""A standing lab for the end-to-end tests, driven only through the commands that a user has."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rackwright.derive.model import SiteModel
from rackwright.site import load_site

CHECKOUT = Path(__file__).resolve().parents[2]
RACKWRIGHT = [sys.executable, "-m", "rackwright.cli.main"]
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Play:
    """What one ansible-playbook run said."""

    rc: int
    output: str
    changed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, rc: int, output: str) -> Play:
        """Read the recap: host → number of changed tasks."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
        return cls(rc, plain, {host: int(changed) for host, _, changed, *_ in RECAP.findall(plain)})


class Lab:
    """One lab of a site under a name of its own."""

    def __init__(self, site: str, name: str) -> None:
        self.site = site
        self.name = name
        self.model: SiteModel = load_site(str(CHECKOUT / site))

    def rackwright(
        self, *words: str, timeout: float = 1800, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one rackwright command; raises when it fails and ``check`` is set."""
        done = subprocess.run(
            [*RACKWRIGHT, *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"rackwright {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def up(self) -> None:
        self.rackwright("lab", "up", self.site, "--name", self.name)

    def down(self) -> None:
        self.rackwright("lab", "down", self.site, "--name", self.name)

    def inside(self, *command: str) -> list[str]:
        """The argument list that runs ``command`` where the site's addresses are reachable."""
        return [*RACKWRIGHT, "lab", "run", self.site, "--name", self.name, "--", *command]

    def run(self, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run ``command`` from the engineer's workstation of this lab."""
        return subprocess.run(
            self.inside(*command), cwd=CHECKOUT, capture_output=True, text=True, timeout=timeout, check=False
        )

    def shell(self, node: str, command: str, timeout: float = 120) -> str:
        """Output of a shell command on a node; raises when it fails."""
        done = self.rackwright(
            "lab", "shell", self.site, node, "--name", self.name, "--", command, timeout=timeout
        )
        return done.stdout

    def power(self, what: str, node: str) -> None:
        """``stop`` (at once, as a cut cable does) or ``start`` a node."""
        self.rackwright("lab", what, self.site, node, "--name", self.name)

    def playbook(self, *words: str, playbook: str = "playbooks/site.yml") -> Play:
        """A plain ansible-playbook run on the site file."""
        done = self.run("ansible-playbook", "-i", f"{self.site}/site.yml", playbook, *words, timeout=1800)
        return Play.parse(done.returncode, done.stdout + done.stderr)

    def rollout(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``rackwright rollout`` of the site, as from the engineer's workstation."""
        output = CHECKOUT / "build" / "e2e" / f"rollout-{self.name}"
        return self.run(*RACKWRIGHT, "rollout", self.site, "--output", str(output), *words, timeout=1800)

    def killed_playbook(self, moment: Callable[[], bool], playbook: str, timeout: float = 600) -> None:
        """Start a playbook and kill -9 everything of it at the first time that ``moment`` is true."""
        log = CHECKOUT / "build" / "e2e" / f"killed-{self.name}-{time.monotonic_ns()}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            running = subprocess.Popen(
                self.inside("ansible-playbook", "-i", f"{self.site}/site.yml", playbook),
                cwd=CHECKOUT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            deadline = time.monotonic() + timeout
            while not moment():
                if running.poll() is not None:
                    raise AssertionError(f"the run ended before the moment came:\n{log.read_text()[-3000:]}")
                if time.monotonic() > deadline:
                    os.killpg(running.pid, signal.SIGKILL)
                    raise AssertionError("the moment to kill never came")
                time.sleep(0.05)
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def kubectl(self, *words: str, node: str | None = None, timeout: float = 60) -> str:
        """kubectl on a control plane (the first, unless named)."""
        where = node or self.model.control_planes[0].name
        return self.shell(
            where, "kubectl --kubeconfig /etc/kubernetes/admin.conf " + " ".join(words), timeout
        )

    def _etcd(self, node: str | None, words: str) -> str:
        pki = "/etc/kubernetes/pki/etcd"
        return self.shell(
            node or self.model.control_planes[0].name,
            "etcdctl --endpoints=https://127.0.0.1:2379 "
            f"--cacert={pki}/ca.crt --cert={pki}/server.crt --key={pki}/server.key {words}",
        )

    def etcd_members(self, node: str | None = None) -> list[dict[str, object]]:
        """The members as etcd itself tells them."""
        members: list[dict[str, object]] = json.loads(self._etcd(node, "member list -w json"))["members"]
        return members

    def etcd_healthy(self, node: str | None = None) -> int:
        """How many members take part: asked from one, each commits a proposal of its own."""
        answer = self._etcd(node, "endpoint health --cluster -w json 2>/dev/null || true")
        return sum(bool(member["health"]) for member in json.loads(answer or "[]"))


def process_running(*words: str) -> Callable[[], bool]:
    """A moment: some process on this machine (the nodes' are seen from here too) has all ``words`` in its arguments."""

    def moment() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if all(word in arguments for word in words) and "ansible-playbook" not in arguments:
                return True
        return False

    return moment


class ArgumentWatch:
    """Remembers the arguments of every process that it sees on this machine, those of the nodes among them."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        known: set[str] = set()
        while not self._stop.wait(0.15):
            pids = {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()}
            for pid in pids - known:
                try:
                    self.seen.add(
                        Path(f"/proc/{pid}/cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace")
                    )
                except OSError:
                    continue
            known = pids

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="session", autouse=True)
def arguments() -> Iterator[ArgumentWatch]:
    """Watches process arguments from the first test to the last."""
    watch = ArgumentWatch()
    yield watch
    watch.stop()


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The minimal site: three control planes, two GPU servers; fresh at the start, gone at the end."""
    standing = Lab("inventories/minimal", os.environ.get("RACKWRIGHT_E2E_NAME", "e2e"))
    if "RACKWRIGHT_E2E_KEEP" not in os.environ:
        standing.down()
    standing.up()
    yield standing
    if "RACKWRIGHT_E2E_KEEP" not in os.environ:
        standing.down()
