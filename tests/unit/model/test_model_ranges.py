"""Ranges: what they stand for, and what is said at which place where they can't stand for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.intent.fields import FieldError
from rackwright.intent.series import address_after, mac_after, series, tag_after
from rackwright.paths import checkout
from rackwright.site import load_site, validate

ROWS = checkout() / "inventories/rows"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu-{08..11}", ["gpu-08", "gpu-09", "gpu-10", "gpu-11"]),
        ("{1..9..4}", ["1", "5", "9"]),
        ("r{a..c}", ["ra", "rb", "rc"]),
        ("{x,y}{1..2}", ["x1", "x2", "y1", "y2"]),
        ("leaf-{rack}{a,b}", ["leaf-{rack}a", "leaf-{rack}b"]),
        ("one", ["one"]),
    ],
)
def test_series_are_written_out_as_by_a_shell(text: str, expected: list[str]) -> None:
    assert series(text) == expected


@pytest.mark.parametrize(
    "text", ["{3..1}", "{1..b}", "{rak}", "{1..2", "{}", "{1...3}", "{1..99999999}", "{1..999}{1..999}"]
)
def test_what_is_no_series_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(FieldError) as raised:
        series(text)
    assert raised.value.hint


def test_counting_on() -> None:
    from ipaddress import IPv4Address

    assert address_after(IPv4Address("10.0.0.255"), 1) == "10.0.1.0"
    assert address_after(IPv4Address("255.255.255.255"), 1) is None
    assert mac_after("B0:7b:25:00:ff:ff", 1) == "b0:7b:25:01:00:00"
    assert mac_after("b0:7b:25:ff:ff:ff", 1) is None
    assert tag_after("1RW000Z", 1) == "1RW0010"
    assert tag_after("ZZZZZZZ", 1) is None


def test_rows() -> None:
    model = load_site("rows")
    assert len(model.gpu_workers) == 1024
    assert len({node.rack for node in model.nodes}) == 115
    first, last = model.node("r760xa-001"), model.node("r760xa-768")
    assert (first.rack, first.unit, str(first.address)) == ("d01", 3, "10.64.3.1")
    assert (last.rack, last.unit, str(last.address)) == ("g16", 36, "10.64.6.0")
    assert last.service_tag == "3RW00LB"
    peers = {port.peer for switch in model.switches for port in switch.ports if switch.rack == "g16"}
    assert {"r760xa-768:ocp1", "r760xa-768:ocp2", "leaf-g16b:ethernet1/1/53"} <= peers
    # As the factory ships it: the tag and the addresses of the line, not counted on.
    lines = (ROWS / "hardware.csv").read_text(encoding="utf-8").splitlines()
    name, tag, bmc, *_ = lines[17].split(",")
    assert (model.node(name).service_tag, model.node(name).bmc.mac) == (tag, bmc)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the rows site, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("site.yml", "hardware.csv"):
        (tmp_path / name).write_text((ROWS / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def faults(directory: Path, *changes: tuple[str, str], file: str = "site.yml") -> list[tuple[str, str]]:
    """``file:line:column`` and message of what is found after the changes; they are all of them errors."""
    path = directory / file
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    model, findings = validate(Path("site.yml"))
    assert model is None
    assert all(finding.hint for finding in findings)
    return [(f"{f.file}:{f.line}:{f.column}", f.message) for f in findings]


def place(directory: Path, text: str, file: str = "site.yml") -> str:
    """Where ``text`` begins."""
    lines = (directory / file).read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, start=1) if text in line)
    return f"{file}:{number}:{lines[number - 1].index(text) + 1}"


def test_a_wrong_first_address_is_one_finding_at_its_own_place(rows: Path) -> None:
    found = faults(rows, ("management: 10.64.3.1,", "management: 10.65.3.1,"))
    assert found == [
        (
            place(rows, "10.65.3.1"),
            "10.65.3.1 of r760xa-001 on management isn't in the management network 10.64.0.0/20; "
            "and 767 more of the range, to r760xa-768",
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("r760xa-{001..768}", "r760xa-{001..760}", "r760xa-{", "760 names for 768 places: 64 racks with 12 units each"),
        ("r760xa-{001..768}", "gpu-{rak}-{n}", "gpu-{", "'{rak}' is not a placeholder"),
        ("r760xa-{001..768}", "gpu-{slot}", "gpu-{slot}", "'gpu-1' and 11 other names would be given twice"),
        ("r760xa-{001..768}", "gpu-{3..1}", "gpu-{", "'{3..1}' ends before it begins"),
        ("oob: 10.64.59.1", "oob: 255.255.255.1", "255.", "the addresses run out after 255 of 768 machines"),
        ("service_tag: 3RW0000", "service_tag: ZZZZZZZ", "ZZZ", "the service tags run out after 1 of 768"),
        ("units: 3..36..3", "units: [3, 53]", "53]", "'units' must be at most 52, not '53'"),
        ("units: 3..36..3", "units: all", "all", "'units': 'all' is not a list of rack units"),
        ("service_tag: 3RW0000", "gpus: {product: l40, count: 4}", "r760xa-{", "hardware.csv has no line for r760xa-001"),
        ("management: 10.64.3.1", "management: 10.64.3", "10.64.3,", "'management' must be an IPv4 address"),
    ],
)  # fmt: skip
def test_a_faulty_range_is_one_finding_at_its_field(
    rows: Path, old: str, new: str, at: str, message: str
) -> None:
    ((where, said),) = faults(rows, (old, new))
    assert where == place(rows, at)
    assert said.startswith(message)


def test_faults_of_several_ranges_and_of_the_table_at_once(rows: Path) -> None:
    table = (rows / "hardware.csv").read_text(encoding="utf-8").splitlines()
    cells = table[9].split(",")
    table[9] = ",".join([cells[0], cells[1], "zz", *cells[3:]])
    del table[20]
    (rows / "hardware.csv").write_text("\n".join([*table, table[-1]]) + "\n", encoding="utf-8")
    found = faults(
        rows,
        ("interlinks: [ethernet1/1/53, ethernet1/1/54]", "interlinks: [ethernet1/1/53, ethernet1/1/57]"),
        ("racks: m{2..3}", "racks: m{2..4}"),
    )
    assert [where for where, _ in found] == [
        f"hardware.csv:{len(table) + 1}:1",
        place(rows, "ethernet1/1/57"),
        place(rows, "r660-{2..3}"),
        place(rows, "xe9680-{01..64}"),
    ]
    assert found[3][1] == "hardware.csv has no line for xe9680-20"


def test_a_wrong_cell_is_shown_in_the_table(rows: Path) -> None:
    text = (rows / "hardware.csv").read_text(encoding="utf-8").splitlines()
    cells = text[9].split(",")
    changed = ",".join([*cells[:2], "zz", *cells[3:]])
    ((where, message),) = faults(rows, (text[9], changed), file="hardware.csv")
    assert where == f"hardware.csv:10:{len(','.join(cells[:2])) + 2}"
    assert message == "'mac': 'zz' is not a MAC address (xe9680-09)"


def test_a_missing_column_and_an_empty_cell(rows: Path) -> None:
    found = faults(rows, ("lom1", "lom9"), file="hardware.csv")
    assert found == [("hardware.csv:1:1", "the file has no column 'lom1'")]
    text = (rows / "hardware.csv").read_text(encoding="utf-8").replace("lom9", "lom1").splitlines()
    cells = text[3].split(",")
    found = faults(
        rows, ("lom9", "lom1"), (text[3], ",".join([cells[0], "", *cells[2:]])), file="hardware.csv"
    )
    assert found == [(f"hardware.csv:4:{len(cells[0]) + 2}", "xe9680-03 has no 'service_tag'")]


def test_no_table(rows: Path) -> None:
    (rows / "hardware.csv").unlink()
    found = faults(rows, ("hardware: hardware.csv", "hardware: hardwear.csv"))
    assert found[0] == (place(rows, "hardwear.csv"), "there is no file 'hardwear.csv' beside the site file")


def test_the_table_is_part_of_the_site(rows: Path) -> None:
    before = load_site(Path("site.yml"))
    table = rows / "hardware.csv"
    table.write_text(
        table.read_text(encoding="utf-8").replace(before.node("xe9680-01").service_tag, "NEWTAG1")
    )
    assert load_site(Path("site.yml")).node("xe9680-01").service_tag == "NEWTAG1"


def test_a_table_saved_by_a_spreadsheet(rows: Path) -> None:
    table = rows / "hardware.csv"
    text = "\ufeff" + table.read_text(encoding="utf-8").replace(",", ";").replace("\n", "\r\n")
    table.write_bytes(text.encode())
    assert validate(Path("site.yml"))[0] is not None


def test_ranges_may_stand_in_a_file_of_racks(rows: Path) -> None:
    text = (rows / "site.yml").read_text(encoding="utf-8")
    begin, end = text.index("  - names: r760xa-"), text.index("serving:\n")
    (rows / "site.yml").write_text(text[:begin] + text[end:], encoding="utf-8")
    (rows / "racks").mkdir()
    part = rows / "racks/d-to-g.yml"
    part.write_text("---\nserver_ranges:\n" + text[begin:end], encoding="utf-8")
    here, rows_site = load_site(Path("site.yml")).to_dict(), load_site("rows").to_dict()
    assert {**here, "path": ""} == {**rows_site, "path": ""}
    found = faults(rows, ("10.64.19.1", "10.64.39.1"), file="racks/d-to-g.yml")
    assert [where for where, _ in found] == [place(rows, "10.64.39.1", "racks/d-to-g.yml")] * len(found)


def test_uplinks_join_every_leaf_with_two_spines() -> None:
    model = load_site("rows")
    ends = {(c.a.device, c.a.port): (c.b.device, c.b.port, c.speed_gbps) for c in model.cables}
    # Four leaves to a port of 400 Gbit/s; the pair of a rack goes to the same ports of different spines.
    assert ends["leaf-a01a", "ethernet1/1/55"] == ("spine-1", "ethernet1/1/1:1", 100)
    assert ends["leaf-a01a", "ethernet1/1/56"] == ("spine-3", "ethernet1/1/1:1", 100)
    assert ends["leaf-a01b", "ethernet1/1/55"] == ("spine-2", "ethernet1/1/1:1", 100)
    assert ends["leaf-g16b", "ethernet1/1/56"] == ("spine-4", "ethernet1/1/28:4", 100)
    assert ends["leaf-m3a", "ethernet1/1/55"] == ("spine-1", "ethernet1/1/29:3", 100)
    above: dict[str, set[str]] = {}
    for (near, _), (far, _, _) in ends.items():
        if near.startswith("leaf-") and far.startswith("spine-"):
            above.setdefault(near, set()).add(far)
    assert len(above) == 230
    assert {len(spines) for spines in above.values()} == {2}
    spine = next(switch for switch in model.switches if switch.name == "spine-2")
    assert {port.name: port.peer for port in spine.ports}["ethernet1/1/13:2"] == "leaf-d02b:ethernet1/1/55"
    # 115 leaves in parts of 29 ports, two to the other spine of its rack, and three free ones: 400 and 2 x 10.
    assert sum(port.peer is not None for port in spine.ports) == 117


def test_a_value_for_each_rack(rows: Path) -> None:
    found = faults(rows, ('port: "ethernet1/1/29:{1..3}"', 'port: "ethernet1/1/29:{1..4}"'))
    assert [message for _, message in found] == [
        "'ethernet1/1/29:{1..4}' gives 4 values for 3 racks of 2, 6 in all"
    ]


def test_servers_written_out_singly_get_their_values_from_the_table(rows: Path) -> None:
    site, table = rows / "site.yml", rows / "hardware.csv"
    before = load_site("rows").node("r660-1")
    text = site.read_text(encoding="utf-8")
    for value in ("1RW0000", '"b0:7b:25:00:00:00"', '"b8:3f:d2:00:00:01"'):
        text = text.replace(f": {value}", ":", 1)
    site.write_text(text, encoding="utf-8")
    assert [f.rule for f in validate(Path("site.yml"))[1]] == ["no-value"] * 3
    line = "r660-1,1RW0000,b0:7b:25:00:00:00,b0:7b:25:00:00:99,b8:3f:d2:00:00:99,b8:3f:d2:00:00:01\n"
    table.write_text(table.read_text(encoding="utf-8") + line, encoding="utf-8")
    # What it states by itself stays: lom1 and ocp1.
    assert load_site(Path("site.yml")).node("r660-1") == before
    # A fault of such a value is shown where it stands.
    found = faults(rows, ("r660-1,1RW0000,b0:7b:25:00:00:00", "r660-1,1RW0000,b0:7b"), file="hardware.csv")
    number = len(table.read_text(encoding="utf-8").splitlines())
    assert found == [(f"hardware.csv:{number}:16", "'mac': 'b0:7b' is not a MAC address")]


def test_lines_of_nobody_are_one_warning(rows: Path) -> None:
    table = rows / "hardware.csv"
    text = table.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    cells = ",b0:7b:25:77:00:00,b0:7b:25:77:00:01,b8:3f:d2:77:00:00,b8:3f:d2:77:00:01\n"
    table.write_text(text + "xe9680-65,7SDF001" + cells, encoding="utf-8")
    model, (one,) = validate(Path("site.yml"))
    assert model is not None
    assert (one.severity, f"{one.file}:{one.line}") == ("warning", f"hardware.csv:{lines + 1}")
    assert one.message == "the line of 'xe9680-65' is of no server of the site"
    table.write_text(text + "".join(f"xe9680-{n},7SDF0{n}{cells}" for n in (65, 66, 67)), encoding="utf-8")
    (one,) = validate(Path("site.yml"))[1]
    assert one.message.endswith(f"; 2 more are of none, to line {lines + 3} ('xe9680-67')")


@pytest.mark.parametrize(
    "text", ["w{1.." + "9" * 5000 + "}", "w{\uff11..\uff13}"], ids=["too long", "wide digits"]
)
def test_a_series_counts_in_plain_digits(text: str) -> None:
    with pytest.raises(FieldError, match="is not a series"):
        series(text)
