"""Servers of one profile with different GPUs, in ranges: where models go, and waivers of what ranges share."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.serving.plan import candidates
from rackwright.site import load_site, validate

HOW_TO = checkout() / "docs/how-to/write-a-site.md"
SERVED = re.compile(r"    - \{name: capitals.*\n")
L40S = "server_ranges.l40-{1..2}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The how-to's site with placeholders for what the factory hasn't delivered yet."""
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```yaml\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    path = tmp_path / "site.yml"
    path.write_text(found.group(1))
    names = ["ctl-1", "ctl-2", "ctl-3", "h100-1", "h100-2", "l40-1", "l40-2", "xe8640-1", "xe8640-2"]
    names += ["xe9680-1", "xe9680-2", "xe9680-3"]
    lines = ["Name,Service Tag,iDRAC MAC,LOM1 MAC,OCP1 MAC,OCP2 MAC"]
    for number, name in enumerate(names, start=1):
        macs = ",".join(f"02:00:00:00:{number:02x}:{port:02x}" for port in range(4))
        lines.append(f"{name},PLH{number:04},{macs}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    assert main(["import", "csv", "list.csv", "site.yml", "--write"]) == 0
    return path


def serve(site: Path, rest: str, *waivers: str) -> None:
    text = SERVED.sub(f"    - {{name: capitals, model: capitals-gpt, {rest}}}\n", site.read_text())
    lines = "".join(f"  - {{{waiver}, reason: planned before the delivery}}\n" for waiver in waivers)
    site.write_text(f"{text}\nwaive:\n{lines}" if lines else text)


@pytest.mark.parametrize("before", ["with its list", "before the delivery"])
@pytest.mark.parametrize("gpu", ["", ", gpu: l40", ", gpu: h100-pcie", ", gpu: h100-sxm", ", gpu: h100"])
@pytest.mark.parametrize("gpus", [1, 2, 3, 4, 8])
def test_no_selection_of_gpus_ends_in_a_traceback(
    site: Path, gpu: str, gpus: int, before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(site, f"replicas: 1, gpus: {gpus}, profiles: [r760xa]{gpu}")
    if before == "before the delivery":
        (site.parent / "hardware.csv").unlink()
    assert main(["validate", "site.yml"]) in (0, 2)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert ("[tensor-parallel]" in said.err) == (gpus == 3)
    assert "[replica-linked]" not in said.err or gpus in (2, 4)


def test_a_model_goes_to_the_gpus_that_it_names(site: Path) -> None:
    for gpu, wanted in (("", {"h100", "l40"}), (", gpu: l40", {"l40"}), (", gpu: h100-pcie", {"h100"})):
        serve(site, f"replicas: 2, gpus: 1, profiles: [r760xa]{gpu}")
        model = load_site(site)
        (served,) = model.serving
        assert {node.name.split("-")[0] for node in candidates(model, served)} == wanted
        assert main(["render", str(site), "--output", str(site.parent / f"out{gpu[-4:]}")]) == 0
        (path,) = (site.parent / f"out{gpu[-4:]}").rglob("kubernetes/serving.yaml")
        pods = [one for one in yaml.safe_load_all(path.read_text()) if one and one["kind"] == "Deployment"]
        node = pods[0]["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
        (term,) = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        labels = {one["key"]: one["values"] for one in term["matchExpressions"]}
        silicon = {n.gpus.label for n in candidates(model, served) if n.gpus}
        assert labels.get("nvidia.com/gpu.product", sorted(silicon)) == sorted(silicon)
        assert ("nvidia.com/gpu.product" in labels) == bool(gpu)


def test_the_pages_two_lines_accept_all_placeholders(site: Path) -> None:
    """As many as the page says; nothing else is open."""
    before = Counter(one.rule for one in validate(site)[1])
    assert before == {"local-mac": 48, "service-tag-placeholder": 12}
    assert f"here {before.total()} times" in HOW_TO.read_text(encoding="utf-8")
    waived = re.search(r"```yaml\n(waive:\n  - {rule: local-mac.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    assert waived
    site.write_text(site.read_text() + waived.group(1))
    model, findings = validate(site)
    assert model is not None
    assert findings == []
    assert len(model.waived) == before.total()


@pytest.mark.parametrize("at", [L40S, f"{L40S}.service_tag", "servers.l40-*", "server_ranges.l40*"])
def test_a_range_is_waived_as_a_whole(site: Path, at: str) -> None:
    serve(site, "replicas: 2, gpus: 1, profiles: [r760xa], gpu: l40")
    before = [one for one in validate(site)[1] if one.rule == "service-tag-placeholder"]
    serve(
        site,
        "replicas: 2, gpus: 1, profiles: [r760xa], gpu: l40",
        f"rule: service-tag-placeholder, at: '{at}'",
    )
    model, findings = validate(site)
    assert model is not None
    assert sorted(one.path for one in model.waived) == [
        "servers.l40-1.service_tag",
        "servers.l40-2.service_tag",
    ]
    after = [one for one in findings if one.rule == "service-tag-placeholder"]
    assert len(after) < len(before) or len(before) == 0
    assert "unused-waiver" not in {one.rule for one in findings}


def test_a_part_of_a_range_is_waived_by_itself(site: Path) -> None:
    rule = "rule: service-tag-placeholder, at: servers.l40-1"
    serve(site, "replicas: 2, gpus: 1, profiles: [r760xa], gpu: l40", rule)
    model, findings = validate(site)
    assert model is not None
    assert [one.path for one in model.waived] == ["servers.l40-1.service_tag"]
    assert any("l40-2" in one.message for one in findings if one.rule == "service-tag-placeholder")


def test_the_path_of_what_a_range_shares_is_one_that_a_waiver_takes(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cables = '{switch: leaf-b, port: "ethernet1/1/{8..9}"}'
    text = site.read_text()
    assert cables in text
    site.write_text(text.replace(cables, '{switch: leaf-a, port: "ethernet1/1/{38..39}"}'))
    capsys.readouterr()
    assert main(["validate", "site.yml", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (shared,) = [one for one in found if one["rule"] == "cabling-redundancy"]
    assert "1 more of the range" in shared["message"]
    assert shared["path"] == "server_ranges.xe8640-{1..2}.ports.ocp2.switch"
    waiver = f"rule: cabling-redundancy, at: '{shared['path']}'"
    serve(site, "replicas: 2, gpus: 1, profiles: [r760xa], gpu: l40", waiver)
    model, findings = validate(site)
    assert model is not None
    assert len(model.waived) == 2
    assert not {"cabling-redundancy", "unused-waiver"} & {one.rule for one in findings}
