"""Waivers: what they hide, where they stay visible, and what they never hide."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.site import validate

MINIMAL = (checkout() / "inventories/minimal/site.yml").read_text(encoding="utf-8")
ONE_SWITCH = MINIMAL.replace(
    "switch: leaf-b, port: ethernet1/1/2}", "switch: leaf-a, port: ethernet1/1/40}"
).replace("switch: leaf-b, port: ethernet1/1/3}", "switch: leaf-a, port: ethernet1/1/41}")
WHY = "reason: the second switch is on order"


def waived(*waivers: str) -> Path:
    lines = "".join(f"  - {{rule: {waiver}, {WHY}}}\n" for waiver in waivers)
    path = Path("site.yml")
    path.write_text(f"{ONE_SWITCH}\nwaive:\n{lines}", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_waived_warning_is_in_the_model_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    path = waived("cabling-redundancy, at: servers.r660-2")
    model, findings = validate(path)
    assert model is not None
    assert [(one.rule, one.path, one.reason) for one in model.waived] == [
        ("cabling-redundancy", "servers.r660-2.ports.ocp2.switch", "the second switch is on order")
    ]
    assert "both cables of r660-2's bond go to leaf-a" in model.waived[0].message
    assert [finding.path for finding in findings] == ["servers.r660-3.ports.ocp2.switch"]

    assert main(["validate", "site.yml"]) == 0
    assert capsys.readouterr().out.endswith("; 1 warning, 1 waived\n")


def test_a_waiver_without_a_place_is_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    model, findings = validate(waived("cabling-redundancy"))
    assert model is not None
    assert len(model.waived) == 2
    assert findings == []
    main(["validate", "site.yml"])
    assert capsys.readouterr().out.endswith("; 2 waived\n")


@pytest.mark.parametrize("at", ["servers.r660-2.ports", "servers", "servers.r660-2.ports.ocp2.switch"])
def test_the_place_is_a_path_or_its_beginning(at: str) -> None:
    model, _ = validate(waived(f"cabling-redundancy, at: {at}"))
    assert model is not None
    assert model.waived


def test_the_beginning_of_a_name_is_no_place() -> None:
    model, findings = validate(waived("cabling-redundancy, at: servers.r660"))
    assert model is not None
    assert model.waived == ()
    assert [finding.rule for finding in findings].count("unused-waiver") == 1


def test_an_error_stays_an_error() -> None:
    text = ONE_SWITCH.replace("name: r660-3", "name: r660-2")
    Path("site.yml").write_text(f"{text}\nwaive:\n  - {{rule: duplicate-name, {WHY}}}\n", encoding="utf-8")
    model, findings = validate("site.yml")
    assert model is None
    assert {"duplicate-name", "waived-error"} <= {finding.rule for finding in findings}


def test_with_an_error_in_the_site_no_waiver_is_called_unused() -> None:
    text = MINIMAL.replace("model: capitals-gpt", "model: llama-3-7b")
    Path("site.yml").write_text(f"{text}\nwaive:\n  - {{rule: model-not-shipped, {WHY}}}\n", encoding="utf-8")
    _, findings = validate("site.yml")
    assert [finding.rule for finding in findings] == ["unknown-model"]
