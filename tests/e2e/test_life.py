"""The life of one cluster, in order: looked at, interrupted, finished, run again, hurt, healed.

Each test builds on the one before.
"""

from __future__ import annotations

import json
import re
import threading
import time

import pytest

from .conftest import CHECKOUT, ArgumentWatch, Lab, process_running

pytestmark = pytest.mark.lab

ALLOWED_API_GAP = 30.0  # seconds, from the issue's own promise


def test_check_mode_of_the_first_phase_on_bare_nodes(lab: Lab) -> None:
    play = lab.playbook("--check", "--diff", playbook="playbooks/head.yml")
    assert play.rc == 0, play.output[-3000:]
    assert "+++ after" in play.output


def test_killed_while_the_bundle_is_carried(lab: Lab) -> None:
    head = lab.model.head.name

    def half_there() -> bool:
        size = lab.shell(head, "du -sm /srv/rackwright 2>/dev/null | cut -f1 || true").strip()
        return bool(size) and int(size) > 100

    lab.killed_playbook(half_there, "playbooks/site.yml")
    assert lab.playbook(playbook="playbooks/head.yml").rc == 0


def test_killed_inside_kubeadm_init(lab: Lab) -> None:
    assert lab.playbook(playbook="playbooks/nodes.yml").rc == 0
    lab.killed_playbook(process_running("kubeadm", "init", "--config"), "playbooks/kubernetes.yml")


def test_killed_inside_a_control_plane_join(lab: Lab) -> None:
    lab.killed_playbook(process_running("kubeadm", "join", "--config"), "playbooks/kubernetes.yml")


def test_the_interrupted_run_completes(lab: Lab) -> None:
    """By the command that a site engineer has for it; the runs before and after are plain ansible-playbook."""
    done = lab.rollout()
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert re.search(r"all \d+ checks passed", done.stdout)
    members = lab.etcd_members()
    assert sorted(str(member["name"]) for member in members) == sorted(
        n.name for n in lab.model.control_planes
    )
    assert not any(member.get("isLearner") for member in members)


@pytest.mark.parametrize("mode", [[], ["--check", "--diff"]], ids=["again", "check mode"])
def test_a_second_run_changes_nothing(lab: Lab, mode: list[str]) -> None:
    play = lab.playbook(*mode)
    assert play.rc == 0, play.output[-5000:]
    assert set(play.changed) >= {node.name for node in lab.model.nodes}
    assert {host: count for host, count in play.changed.items() if count} == {}


class Traffic:
    """Asks the published endpoint again and again, and remembers when it answered rightly."""

    def __init__(self, lab: Lab) -> None:
        self.answered: list[float] = []
        self.failed: list[tuple[float, str]] = []
        self._stop = threading.Event()
        served = lab.model.serving[0]
        question = json.dumps({"text_input": "What's the capital of Texas?", "max_tokens": 64})
        self._command = [
            "curl", "-sS", "--max-time", "5", "-d", question,
            f"http://{served.vip}:{served.http_port}/v2/models/{served.name}/generate",
        ]  # fmt: skip
        self._lab = lab
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def _loop(self) -> None:
        while not self._stop.is_set():
            done = self._lab.run(*self._command)
            if "Austin" in done.stdout:
                self.answered.append(time.monotonic())
            else:
                self.failed.append((time.monotonic(), done.stdout + done.stderr))
            time.sleep(0.3)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def count(self, *, before: float = float("inf"), after: float = 0.0) -> int:
        """How many right answers came between two moments of the monotonic clock."""
        return sum(after < moment < before for moment in self.answered)

    def wait_for(self, answers: int, after: float, limit_s: float) -> None:
        """Until so many right answers came after a moment; AssertionError when they don't within the limit."""
        deadline = max(after, time.monotonic()) + limit_s
        while self.count(after=after) < answers:
            seen = self.count(after=after)
            assert time.monotonic() < deadline, f"{seen} answers in {limit_s} s; failures: {self.failed[-3:]}"
            time.sleep(0.2)

    def longest_gap(self) -> float:
        """Seconds between two right answers, at the worst."""
        return max(
            (b - a for a, b in zip(self.answered, self.answered[1:], strict=False)), default=float("inf")
        )


@pytest.mark.parametrize("victim", [0, 1, 2], ids=["head node", "second", "third"])
def test_any_control_plane_may_be_lost(lab: Lab, victim: int) -> None:
    node = lab.model.control_planes[victim]
    helper = next(n for n in lab.model.control_planes if n is not node)
    try:
        with Traffic(lab) as traffic:
            time.sleep(3)
            stopped = time.monotonic()
            lab.power("stop", node.name)
            ready = "kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw=/readyz --request-timeout=3s"
            answered = None
            while time.monotonic() - stopped < 90:
                done = lab.rackwright(
                    "lab", "shell", lab.site, helper.name, "--name", lab.name, "--", ready, check=False
                )
                if done.returncode == 0 and "ok" in done.stdout:
                    answered = time.monotonic()
                    break
                time.sleep(0.5)
            assert answered is not None, "the API through the VIP did not come back in 90 s"
            assert answered - stopped <= ALLOWED_API_GAP
            # How many answers a second this machine gives says nothing; that they go on coming, and how long none came, does.
            traffic.wait_for(5, after=max(answered, stopped + 15), limit_s=ALLOWED_API_GAP)
        assert traffic.count(before=stopped) > 0, "the endpoint did not answer before the loss"
        assert traffic.longest_gap() < ALLOWED_API_GAP, traffic.failed[-3:]
        print(
            f"{node.name} lost: API back after {answered - stopped:.1f} s, inference gap {traffic.longest_gap():.1f} s"
        )
    finally:
        lab.power("start", node.name)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        states = lab.kubectl("get", "nodes", "--no-headers", node=helper.name)
        if not re.search(r"NotReady", states) and lab.etcd_healthy(helper.name) == 3:
            break
        time.sleep(2)
    assert "NotReady" not in states
    assert lab.etcd_healthy(helper.name) == 3, "two of three are no majority to lose one of"


def test_healed_cluster_passes_every_check(lab: Lab) -> None:
    """Within three minutes of the last loss: what ran on the lost nodes needs a while to be itself again."""
    deadline = time.monotonic() + 180
    while (play := lab.playbook(playbook="playbooks/verify.yml")).rc != 0 and time.monotonic() < deadline:
        time.sleep(5)
    assert play.rc == 0, play.output[-5000:]


def test_no_secret_where_it_does_not_belong(lab: Lab, arguments: ArgumentWatch) -> None:
    """The site's real secrets, read from the nodes, are in no file, log or report here, nor in a process's arguments."""
    head = lab.model.head.name
    secrets = {
        "site CA key": lab.shell(head, "sed -n 2p /etc/rackwright/ca/ca.key"),
        "cluster CA key": lab.shell(head, "sed -n 3p /etc/kubernetes/pki/ca.key"),
        "service account key": lab.shell(head, "sed -n 3p /etc/kubernetes/pki/sa.key"),
        "admin client key": lab.shell(
            head, "sed -n 's/.*client-key-data: //p' /etc/kubernetes/admin.conf | cut -c1-80"
        ),
        "secrets at rest": lab.shell(
            head, "sed -n 's/.*secret: //p' /etc/kubernetes/rackwright/encryption.yaml"
        ),
    }
    needles = {name: value.strip().encode() for name, value in secrets.items() if len(value.strip()) >= 6}
    assert set(needles) == set(secrets), "a secret was not found where it is kept"
    found = []
    for path in CHECKOUT.rglob("*"):
        if not path.is_file() or {".venv", ".git"} & set(path.relative_to(CHECKOUT).parts):
            continue
        content = path.read_bytes()
        found += [
            f"{name} in {path.relative_to(CHECKOUT)}" for name, value in needles.items() if value in content
        ]
    found += [
        f"{name} in arguments"
        for name, value in needles.items()
        for a in arguments.seen
        if value.decode() in a
    ]
    token = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")  # kubeadm's bootstrap token
    found += [f"bootstrap token in: {a[:60]}" for a in arguments.seen if token.search(a)]
    found += [
        f"certificate key in: {a[:60]}" for a in arguments.seen if re.search(r"certificate-key[ =]\S{64}", a)
    ]
    assert found == []
    assert len(arguments.seen) > 100, "the watch saw too little to say anything"
