"""Provisioning as a phase: only where servers are named for it, and one bad server is told of by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rackwright.cli.rollout import bare_servers
from rackwright.errors import UsageError
from rackwright.paths import checkout
from rackwright.rollout.diagnosis import diagnose_servers
from rackwright.rollout.run import Options, Record, command_line, failure, until
from rackwright.rollout.timeline import ALL_PHASES, PHASES, Failure, Timeline
from rackwright.site import load_site

PARTS = {
    "what": "install its operating system (no DHCP answer)", "where": "r660-2 (rack a)", "evidence": "seen\nmore",
    "cause": "the cable", "next_command": "look\nwhen mended: again",
}  # fmt: skip


def failed(host: str, phase: str = "provision", **parts: str) -> Failure:
    reason: dict[str, Any] = {"results": [{"msg": "failed: …", "failure": {**PARTS, **parts}}]}
    return Failure(phase, "server: Install", "rackwright_server", host, "failed", reason)


def test_the_phase_stands_after_the_head_and_only_where_it_is_asked_for() -> None:
    assert "provision" not in until(None) == PHASES
    assert until(None, metal=True) == ALL_PHASES == ("head", "provision", *PHASES[1:])
    assert until("provision", metal=True) == ("head", "provision")
    with pytest.raises(UsageError, match="--metal"):
        until("provision")


def test_the_playbook_gets_the_servers_and_forks_enough(tmp_path: Path) -> None:
    plain = command_line(Options(Path("site.yml"), tmp_path))
    assert "--forks" not in plain and "provision_servers" not in " ".join(plain)
    names = tuple(f"s{number}" for number in range(40))
    line = command_line(Options(Path("site.yml"), tmp_path, until(None, True), metal=names))
    extra = json.loads(line[line.index("--extra-vars") + 1])
    assert extra["provision_servers"] == ",".join(names)
    assert line[line.index("--forks") + 1] == "40"
    playbooks = [Path(word).stem for word in line if word.endswith(".yml") and word != "site.yml"]
    assert playbooks[:3] == ["head", "provision", "nodes"]


def test_servers_are_named_or_all_but_the_head() -> None:
    model = load_site(checkout() / "inventories" / "minimal")
    assert bare_servers(model, None) == ()
    assert bare_servers(model, []) == ("r660-2", "r660-3", "r760xa-1", "r760xa-2")
    assert bare_servers(model, ["r660-3,r660-2", "r660-2"]) == ("r660-3", "r660-2")
    with pytest.raises(UsageError, match="r660-1"):
        bare_servers(model, ["r660-1"])


def test_one_failed_server_keeps_its_own_words() -> None:
    told = diagnose_servers([failed("r660-2")], "rackwright rollout s --resume", "log")
    assert (told.what, told.cause) == (PARTS["what"], "the cable")
    assert "or: rackwright rollout s --resume" in told.next_command


def test_several_are_told_one_by_one_though_later_phases_went_on(tmp_path: Path) -> None:
    timeline = Timeline(0.0)
    timeline.add({"event": "playbook", "time": 1, "name": "provision"})
    timeline.failures += [
        failed("r660-2"),
        failed("r660-3", cause="the disk", next_command="rackwright conformance"),
    ]
    timeline.add({"event": "playbook", "time": 2, "name": "nodes"})
    told = failure(Options(tmp_path / "site.yml", tmp_path), timeline, 2, tmp_path / "log")
    assert told.what == "provision: 2 servers" and told.where == "r660-2, r660-3"
    for words in ("r660-2: install", "the cable", "the disk", "next: look", "next: rackwright conformance"):
        assert words in told.evidence


def test_a_server_without_parts_is_told_by_its_message() -> None:
    bare = Failure(
        "provision", "server: Enrol", "rackwright_server", "r660-2", "failed", {"results": [{"msg": "x"}]}
    )
    assert "x" in diagnose_servers([bare], "again", "log").evidence


def test_the_record_knows_the_phase(tmp_path: Path) -> None:
    site = tmp_path / "site.yml"
    site.write_text("x")
    record = Record(tmp_path, site)
    for phase in ("head", "provision", "nodes"):
        record.mark(phase)
    assert record.done == ("head", "provision", "nodes")
    assert record.rest(until(None, True))[0] == "kubernetes" == record.rest(until(None))[0]


def test_what_a_long_task_is_at_is_kept_until_its_result() -> None:
    timeline = Timeline(0.0)
    timeline.add({"event": "playbook", "time": 1, "name": "provision"})
    timeline.add({"event": "task", "time": 1, "task": "t", "name": "Install", "role": "server"})
    timeline.add({"event": "said", "time": 2, "task": "t", "host": "r660-2", "text": "deploy: deploying"})
    assert timeline.said == {"r660-2": "deploy: deploying"}
    timeline.add(
        {"event": "result", "time": 3, "task": "t", "host": "r660-2", "status": "ok", "changed": True}
    )
    assert timeline.said == {}
