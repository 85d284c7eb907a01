"""Rules by themselves, where a broken site isn't enough to show them."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path

import pytest

from rackwright import catalog
from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.rules import release
from rackwright.site import validate

REFERENCE = (checkout() / "inventories/reference/site.yml").read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(release, "today", lambda: datetime.date(2026, 11, 23))
    path = Path("site.yml")
    path.write_text(REFERENCE, encoding="utf-8")
    return path


@pytest.mark.parametrize("component", ["kubernetes", "gpu_operator", "gpu_driver", "triton"])
def test_versions_that_did_not_run_together_are_named(
    component: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release with one other version than in its tests: the design of a release, not of a site."""
    good = catalog.releases()["2026.11"]
    facts = {**good.components[component], "version": "0.0.1"}
    other = good.model_copy(update={"components": {**good.components, component: facts}})
    monkeypatch.setattr(catalog, "releases", lambda: {"2026.11": other})
    _, findings = validate(site)
    assert [finding.rule for finding in findings] == ["release-combination"]
    assert f"tested: {component} {good.components[component]['version']}" in findings[0].hint
    assert "--image" not in findings[0].hint


def test_the_day_of_an_end_of_life_is_still_alive(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = catalog.releases()["2026.11"].components["kubernetes"]["end_of_life"]
    for day, rules in ((end, []), (end + datetime.timedelta(days=1), ["component-ended"])):
        monkeypatch.setattr(release, "today", functools.partial(datetime.date, day.year, day.month, day.day))
        assert [finding.rule for finding in validate(site)[1]] == rules


def test_a_secret_is_never_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("group_vars").mkdir()
    Path("group_vars/all.yml").write_text("bmc_password: hunter22-is-the-word\n", encoding="utf-8")
    Path("secrets.yml").write_text("idrac: hunter22-is-the-word\n", encoding="utf-8")
    assert main(["validate", "site.yml"]) == 2
    out, err = capsys.readouterr()
    assert "group_vars/all.yml:1:15" in err
    assert "secrets.yml:1:1" in err
    assert "hunter22" not in out + err


@pytest.mark.parametrize(
    "text",
    [
        "bmc_password: '{{ vault_bmc_password }}'\n",
        "bmc_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3636\n",
        "tls_private_key: /etc/ssl/private/site.key\n",
        "baseline_sshd_password_authentication: false\n",
        "registry_use_token: true\nregistry_token:\n",
        "not: [yaml\n",
        "$ANSIBLE_VAULT;1.1;AES256\n36613962\n",
    ],
    ids=["reference", "vault", "a file's name", "an option", "a switch", "no YAML", "encrypted"],
)
def test_what_is_no_secret_in_clear(text: str, site: Path) -> None:
    Path("group_vars").mkdir()
    Path("group_vars/all.yml").write_text(text, encoding="utf-8")
    Path("group_vars/vault").write_text("$ANSIBLE_VAULT;1.1;AES256\n3661\n", encoding="utf-8")
    assert validate(site)[1] == []


def test_a_binary_file_beside_the_site_is_no_matter(site: Path) -> None:
    Path("logo.yml").write_bytes(bytes(range(256)))
    assert validate(site)[1] == []


def test_a_fault_of_every_server_of_a_large_site_is_told_once_a_range(site: Path) -> None:
    """1,026 wrong cables; their hints are looked for in a bounded way."""
    rows = (checkout() / "inventories/rows/site.yml").read_text(encoding="utf-8")
    site.write_text(rows.replace('switch: "leaf-{rack}b"', 'switch: "leaf-{rack}c"'), encoding="utf-8")
    hardware = checkout() / "inventories/rows/hardware.csv"
    Path("hardware.csv").write_bytes(hardware.read_bytes())
    _, findings = validate(site)
    wrong = [finding for finding in findings if finding.rule == "cable-end"]
    assert [finding.message.rpartition("; and ")[2] for finding in wrong] == [
        "1 more of the range, to r660-3",
        "63 more of the range, to xe9680-64",
        "191 more of the range, to xe8640-192",
        "767 more of the range, to r760xa-768",
    ]
