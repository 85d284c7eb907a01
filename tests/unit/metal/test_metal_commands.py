"""``rackwright discover`` and ``rackwright conformance``: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from found_hardware import agent, redfish

from rackwright.cli.main import main
from rackwright.metal.collected import Collected, keep, read
from rackwright.paths import checkout
from rackwright.site import load_site

SITE = load_site("reference")
COMPONENTS = [{"component": "bmc", "current_version": "7.10.70.00"}]


def collect(folder: Path, *names: str, gpus: int = 0) -> None:
    """Faultless servers; ``gpus`` of each are gone."""
    for name in names:
        node = SITE.node(name)
        stated = redfish(node)
        for path in sorted(path for path in stated if "/PCIeDevices/" in path)[:gpus]:
            del stated[path]
        keep(folder, name, Collected(agent(node), COMPONENTS, stated))


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    collect(tmp_path, "xe9680-1")
    found = read(tmp_path, "xe9680-1")
    assert found == Collected(agent(SITE.node("xe9680-1")), COMPONENTS, redfish(SITE.node("xe9680-1")))
    assert read(tmp_path, "xe9680-2") is None
    assert [path.name for path in tmp_path.iterdir()] == ["xe9680-1.json"]


def test_conformance_of_good_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect(tmp_path, "r660-2", "xe9680-1")
    assert main(["conformance", "reference", "--from", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 servers: 2 as ordered\nnot inspected yet: r660-3, ")


def test_conformance_of_a_wrong_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect(tmp_path, "xe9680-1", gpus=1)
    assert main(["conformance", "reference", "xe9680-1", "--from", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "7 x NVIDIA H100 80GB HBM3" in said
    assert said.endswith("1 servers: 0 as ordered, 1 held back (xe9680-1)\n")
    assert main(["conformance", "reference", "xe9680-1", "--from", str(tmp_path), "--format", "json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["check"], one["severity"], one["blocks"]) == ("gpus", "blocking", True)


def test_a_sites_own_options_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site"
    shutil.copytree(checkout() / "inventories/reference", site, ignore=shutil.ignore_patterns("intended"))
    (site / "group_vars").mkdir(exist_ok=True)
    options = {"server_accepted": {"gpus": "one is at the maker's"}}
    (site / "group_vars/all.yml").write_text(json.dumps(options))
    collect(tmp_path / "found", "xe9680-1", gpus=1)
    line = ["conformance", str(site / "site.yml"), "xe9680-1", "--from", str(tmp_path / "found")]
    assert main(line) == 0
    assert "accepted: one is at the maker's" in capsys.readouterr().out
    (site / "group_vars/all.yml").write_text(json.dumps({"server_accepted": {"gpu": "?"}}))
    assert main(line) == 2
    assert "xe9680-1: 'gpu' is no check of conformance" in capsys.readouterr().err


def test_variables_that_the_vault_keeps(tmp_path: Path) -> None:
    """Whole files that are encrypted: read with the password, left out without, refused with a wrong one."""
    site, folder = tmp_path / "site", tmp_path / "found"
    shutil.copytree(checkout() / "inventories/reference", site, ignore=shutil.ignore_patterns("intended"))
    vault = site / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text("server_accepted: {gpus: one is at the maker's}\n")
    for name, word in (("right", "one"), ("wrong", "two")):
        (tmp_path / name).write_text(word)
    programs = Path(sys.executable).parent
    encrypt = [programs / "ansible-vault", "encrypt", "--vault-password-file", tmp_path / "right", vault]
    subprocess.run(encrypt, check=True, capture_output=True)
    collect(folder, "xe9680-1", gpus=1)
    line = [sys.executable, "-m", "rackwright.cli.main", "conformance", site / "site.yml", "--from", folder]

    def run(password: str) -> tuple[int, str]:
        named = {"ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / password)} if password else {}
        done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **named})
        return done.returncode, done.stdout + done.stderr

    code, said = run("right")
    assert (code, "accepted: one is at the maker's" in said) == (0, True)
    code, said = run("")
    assert (code, "1 held back" in said) == (1, True)
    code, said = run("wrong")
    assert (code, "Traceback" in said, "can't be read" in said) == (2, False, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["xe9680-1"], "nothing was collected of xe9680-1"),
        (["xe9680-9"], "has no server xe9680-9"),
        ([], "nothing was collected"),
    ],
)
def test_conformance_called_wrongly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["conformance", "reference", *words, "--from", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_spoilt_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "xe9680-1.json").write_text("[]")
    assert main(["conformance", "reference", "xe9680-1", "--from", str(tmp_path)]) == 2
    assert "is no inventory that provisioning collected" in capsys.readouterr().err


def found(path: Path, without: str = "") -> Path:
    bmcs = [
        {"address": str(node.bmc.address), "mac": node.bmc.mac, "service_tag": node.service_tag,
         "product": "Integrated Dell Remote Access Controller", "fingerprint": "ab", "state": "factory"}
        for node in SITE.nodes
        if node.name != without
    ]  # fmt: skip
    path.write_text(json.dumps({"found": bmcs}))
    return path


def test_discovery_of_a_whole_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", "reference", "--found", str(found(tmp_path / "a.json"))]) == 0
    assert capsys.readouterr().out.endswith(f"reference: {len(SITE.nodes)} known\n")


def test_discovery_with_one_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = found(tmp_path / "a.json", "xe8640-1")
    assert main(["discover", "reference", "--found", str(path), "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["node"] for one in told if one["verdict"] == "missing"] == ["xe8640-1"]


@pytest.mark.parametrize("text", ["", "[]", '{"found": [1]}'])
def test_what_no_search_wrote_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    assert main(["discover", "reference", "--found", str(tmp_path / "a.json")]) == 2
    assert "can't read" in capsys.readouterr().err
