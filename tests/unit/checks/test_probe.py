"""The module that runs on the nodes, and the client for names it is sent, run as programs."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rackwright.checks import CLUSTER, all_checks, ask_dns
from rackwright.checks.run import commands_for
from rackwright.derive.model import SiteModel
from rackwright.paths import checkout

MODULE = checkout() / "plugins" / "modules" / "rackwright_probe.py"


def probe(commands: list[dict[str, Any]], check: bool = False) -> dict[str, Any]:
    """Run the module as Ansible would; its outputs."""
    arguments = {"commands": commands, "_ansible_check_mode": check}
    wrapped = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    done = subprocess.run(
        [sys.executable, str(MODULE)], input=wrapped, capture_output=True, text=True, check=False
    )
    result = json.loads(done.stdout)
    assert result["changed"] is False
    return dict(result["outputs"])


def test_a_failing_or_missing_command_is_a_result() -> None:
    outputs = probe([{"key": "no", "argv": ["false"]}, {"key": "gone", "argv": ["/no/such/program"]}])
    assert outputs["no"]["rc"] == 1
    assert outputs["gone"]["rc"] == -1
    assert "No such file" in outputs["gone"]["stderr"]


def test_a_command_that_hangs_is_ended() -> None:
    outputs = probe([{"key": "slow", "argv": ["sh", "-c", "sleep 60 & wait"], "timeout": 0.3}])
    assert outputs["slow"]["rc"] == -1
    assert "no end within 0.3 s" in outputs["slow"]["stderr"]
    assert outputs["slow"]["seconds"] < 5


def test_commands_of_a_lane_run_in_order_and_share_a_scratch_directory() -> None:
    outputs = probe(
        [
            {"key": "write", "argv": ["sh", "-c", "sleep 0.2; echo word > {tmp}/file"], "lane": "a"},
            {"key": "read", "argv": ["cat", "{tmp}/file"], "lane": "a"},
        ]
    )
    assert outputs["read"]["stdout"] == "word\n"


def test_a_command_runs_for_every_line_of_another() -> None:
    outputs = probe([{"key": "list", "argv": ["printf", "a one\\nb two\\n"], "each": ["echo", "{1}", "{0}"]}])
    assert outputs["list/a"]["stdout"] == "one a\n"
    assert outputs["list/b"]["stdout"] == "two b\n"


def test_nothing_is_altered_in_check_mode(tmp_path: Path) -> None:
    commands = [{"key": "make", "argv": ["touch", str(tmp_path / "made")], "alters": True}]
    assert probe(commands, check=True) == {}
    assert not (tmp_path / "made").exists()
    probe(commands)
    assert (tmp_path / "made").exists()


def test_each_place_is_asked_each_question_once(reference: SiteModel) -> None:
    checks = all_checks(reference)
    for place in (CLUSTER, *(node.name for node in reference.nodes)):
        keys = [command["key"] for command in commands_for(checks, place)]
        assert len(keys) == len(set(keys)) > 5


def test_with_patience_every_limit_is_longer_also_those_that_commands_keep_themselves(
    reference: SiteModel,
) -> None:
    checks = all_checks(reference)
    usual, patient = ({c["key"]: c for c in commands_for(checks, CLUSTER, factor)} for factor in (1.0, 4.0))
    assert usual.keys() == patient.keys()
    assert all(patient[key]["timeout"] == 4 * usual[key]["timeout"] for key in usual)
    assert "--timeout=45s" in usual["probe-written"]["argv"]
    assert "--timeout=180s" in patient["probe-written"]["argv"]
    assert "--request-timeout=20s" in usual["nvidia-smi"]["argv"]
    assert "--request-timeout=80s" in patient["nvidia-smi"]["argv"]


def test_only_the_probe_of_the_cluster_alters_anything(reference: SiteModel) -> None:
    checks = all_checks(reference)
    for node in reference.nodes:
        assert not any(command["alters"] for command in commands_for(checks, node.name))
    lane = [command for command in commands_for(checks, CLUSTER) if command["alters"]]
    assert {command["lane"] for command in lane} == {"probe-namespace"}
    assert "delete" in lane[-1]["argv"]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name server that knows ``a.example`` (through an alias) and nothing else; its address."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", 0))
    port = line.getsockname()[1]
    real = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda s, a: real(s, (a[0], port) if a[1] == 53 else a))

    def serve() -> None:
        for _ in range(2):
            packet, peer = line.recvfrom(512)
            asked = packet[12:]
            known = b"alias" in packet
            head = packet[:2] + struct.pack(">HHHHH", 0x8180, 1, 2 if known else 0, 0, 0)
            target = b"\x01a\x07example\x00"
            alias = b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 0, len(target)) + target
            record = target + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton("10.0.0.1")
            line.sendto(head + asked + (alias + record if known else b""), peer)

    threading.Thread(target=serve, daemon=True).start()
    return "127.0.0.1"


def test_names_are_asked_for_and_aliases_told(answering: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_dns.main([answering, "alias.example", "A", "b.example", "A"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "alias.example. 0 IN CNAME a.example.",
        "a.example. 0 IN A 10.0.0.1",
        ";; b.example: no such name",
    ]


def test_a_dead_name_server_is_given_up_soon(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_dns.main(["127.0.0.1", "a.example", "A", "b.example", "A", "c.example", "A"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2
