"""Reading a site's files: positions, parts under racks/, odd YAML, and the page made from the grammar."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright import catalog
from rackwright.errors import SiteError, UsageError
from rackwright.intent.document import read_document
from rackwright.intent.load import load_intent
from rackwright.paths import checkout
from rackwright.rules.engine import KNOWN, RULES
from rackwright.rules.reference import rules_reference, site_reference
from rackwright.site import load_site, resolve_site, validate

REFERENCE = (checkout() / "inventories/reference/site.yml").read_text(encoding="utf-8")
CUT = REFERENCE.index("  - name: xe9680-1\n")
END = REFERENCE.index("serving:\n")


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reference site with its last two servers in a file of racks/."""
    monkeypatch.chdir(tmp_path)
    Path("racks").mkdir()
    Path("site.yml").write_text(REFERENCE[:CUT] + REFERENCE[END:], encoding="utf-8")
    rack = Path("racks/extra.yml")
    rack.write_text("---\nservers:\n" + REFERENCE[CUT:END], encoding="utf-8")
    return rack


def test_a_site_split_into_files_is_the_same_site(split: Path) -> None:
    whole, parts = load_site("reference").to_dict(), load_site(Path("site.yml")).to_dict()
    assert {**parts, "path": ""} == {**whole, "path": ""}


def test_positions_are_true_in_a_part(split: Path) -> None:
    text = split.read_text(encoding="utf-8")
    text = text.replace("unit: 8", "unit: eight", 1).replace("10.40.0.42", "10.40.0.21")
    split.write_text(text, encoding="utf-8")
    _, findings = validate(Path("site.yml"))
    unit = text[: text.index("unit: eight")].count("\n") + 1
    address = text[: text.index("10.40.0.21")].count("\n") + 1
    assert [(f.file, f.line, f.rule) for f in findings] == [
        ("racks/extra.yml", unit, "wrong-type"),
        ("site.yml", 89, "duplicate-address"),
    ]
    assert findings[0].path == "servers.xe9680-1.unit"
    assert f"(racks/extra.yml, line {address})" in findings[1].message


def test_a_part_may_hold_only_machines(split: Path) -> None:
    split.write_text(split.read_text(encoding="utf-8") + "\nkubernetes: {}\nserver: []\n", encoding="utf-8")
    with pytest.raises(SiteError) as raised:
        load_site(Path("site.yml"))
    messages = [finding.message for finding in raised.value.findings]
    assert messages == ["'kubernetes' is not a field of the site", "'server' is not a field of the site"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file holds no 'key: value' lines"),
        ("- a\n- b\n", "the file holds no 'key: value' lines"),
        ("site: &s\n  name: *s\n", "an alias refers to what encloses it"),
        ("site: *nobody\n", "found undefined alias 'nobody'"),
        ("? [a, b]\n: c\n", "a key must be one word"),
        ("site: \x00\n", "this is not YAML"),
        ("site: !!python/object:os.system x\n", ""),
    ],
)
def test_odd_yaml(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "site.yml"
    path.write_text(text, encoding="utf-8")
    findings = read_document(path, "site.yml").findings
    assert (findings[0].message if findings else "").startswith(message)
    assert bool(findings) == bool(message)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_bytes(b"---\nsite: caf\xe9\n")
    (finding,) = read_document(path, "site.yml").findings
    assert (finding.line, finding.column, finding.message) == (2, 10, "the file is not UTF-8 text")


def test_values_mean_what_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text("a: 2026.10\nb: 10:20:30:40:50:60\nc: no\nd: 012\ne:\nf: ''\n", encoding="utf-8")
    data = read_document(path, "site.yml").data
    assert data == {"a": "2026.10", "b": "10:20:30:40:50:60", "c": "no", "d": "012", "e": None, "f": ""}


def test_an_unquoted_release_is_the_release(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text(REFERENCE.replace('release: "2026.11"', "release: 2026.11"), encoding="utf-8")
    assert load_site(path).release == "2026.11"


def test_what_a_site_may_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = checkout() / "inventories/minimal/site.yml"
    assert resolve_site("minimal") == expected
    assert resolve_site("inventories/minimal") == expected
    assert resolve_site(expected) == expected
    with pytest.raises(UsageError, match="no site at") as raised:
        resolve_site(tmp_path)
    assert f"name one of {checkout() / 'inventories'}: " in raised.value.hint


def test_a_bare_name_is_one_of_the_commands_own_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another clone's folder the message says where it looked, and what to write."""
    monkeypatch.chdir(tmp_path)
    Path("inventories/dc9").mkdir(parents=True)
    Path("inventories/dc9/site.yml").write_text(REFERENCE, encoding="utf-8")
    with pytest.raises(UsageError, match="no site at 'dc9'") as raised:
        resolve_site("dc9")
    assert "give its path, inventories/dc9" in raised.value.hint
    assert str(checkout() / "inventories") in raised.value.message
    assert resolve_site("inventories/dc9") == Path("inventories/dc9/site.yml")


ODD = [
    "",
    "[]",
    "{a: b}",
    "- x",
    "10.40.0.11",
    "10.40.0.0/16",
    "0.0.0.0/0",
    "10.40.1.0-10.40.1.255",
    "99999999999",
]
WORDS = [
    "r660",
    "xe9680",
    "[head]",
    "[r660, r760xa]",
    "leaf-a",
    "ethernet1/1/1",
    "llama-2-70b",
    "a",
    "64",
    "é",
]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_field_ends_in_findings_or_a_model(data: st.DataObject) -> None:
    lines = REFERENCE.splitlines()
    stated = [number for number, line in enumerate(lines) if ": " in line]
    for number in data.draw(st.lists(st.sampled_from(stated), min_size=1, max_size=3)):
        key, _, _ = lines[number].partition(": ")
        lines[number] = f"{key}: {data.draw(st.sampled_from(ODD + WORDS))}"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "site.yml"
        path.write_text("\n".join(lines), encoding="utf-8")
        model, findings = validate(path)
    assert (model is None) == any(finding.severity == "error" for finding in findings)
    assert all(1 <= finding.line <= len(lines) + 1 and finding.message for finding in findings)


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(split: Path) -> None:
    first = load_site(Path("site.yml"))
    assert load_site(Path("site.yml")) is first
    split.write_text(split.read_text(encoding="utf-8").replace("unit: 8", "unit: 2"), encoding="utf-8")
    assert load_site(Path("site.yml")).node("xe9680-1").unit == 2


def test_warnings_do_not_make_a_site_invalid(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text(
        REFERENCE.replace("switch: leaf-b, port: ethernet1/1/1}", "switch: leaf-a, port: ethernet1/1/40}")
    )
    model, findings = validate(path)
    assert model is not None
    assert [(f.rule, f.severity) for f in findings] == [("cabling-redundancy", "warning")]


def test_rules_have_ids_of_their_own_and_say_everything() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in KNOWN.values():
        assert all(text.endswith(".") for text in (rule.what, rule.why, rule.mend)), rule.id


def test_the_reference_pages_are_current() -> None:
    for name, text in (("site.md", site_reference()), ("rules.md", rules_reference())):
        page = (checkout() / "docs/reference" / name).read_text(encoding="utf-8")
        assert page == text, "run: python -m rackwright.rules.reference"


def test_own_products_stand_beside_the_site(tmp_path: Path) -> None:
    """A site's own server and GPU, without touching the package; its fault is shown at its place."""
    site = tmp_path / "site.yml"
    site.write_text(REFERENCE, encoding="utf-8")
    (tmp_path / "catalog").mkdir()
    own = tmp_path / "catalog" / "gpus.yml"
    own.write_text(
        "big-gpu:\n"
        "  product: {value: Big GPU, source: quote 4711}\n"
        "  form_factor: {value: PCIe, source: quote 4711}\n"
        "  memory_gb: {value: 96, source: quote 4711}\n"
        "  memory_mib: {value: 98304, source: quote 4711}\n"
        "  power_w: {value: 400, source: quote 4711}\n"
        "  mig_instances: {value: 0}\n"
    )
    _, findings = load_intent(site)
    assert [str(finding).splitlines()[0] for finding in findings] == [
        f"{own}:7:18: error: 'mig_instances': a fact of the catalogue is written as "
        "{value: …, source: …} [bad-value]"
    ]
    own.write_text(own.read_text().replace("{value: 0}", "{value: 0, source: quote 4711}"))
    intent, findings = load_intent(site)
    assert not findings
    assert intent.catalogue.gpus["big-gpu"].memory_gb == 96
    assert set(catalog.builtin().gpus) < set(intent.catalogue.gpus)
