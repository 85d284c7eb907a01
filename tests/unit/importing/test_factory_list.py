"""Factory lists: whatever the columns are called, every value ends at its place, and every fault at its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from rackwright.catalog import FOLDER
from rackwright.cli.main import main
from rackwright.importing.names import HEADERS, MACS, field_of, mac
from rackwright.paths import checkout
from rackwright.site import load_site

SITE = checkout() / "inventories/minimal/site.yml"
NAMES = ("r660-1", "r660-2", "r660-3", "r760xa-1", "r760xa-2")
TAGS = ("ABCDE01", "1234567", "12E4567", "5QS72L4", "6QS72L4")


def address(number: int, port: int) -> str:
    return f"b0:7b:25:99:{number:02x}:{port:02x}"


NOTATIONS = {
    "colons": lambda text: text,
    "capitals": lambda text: text.upper(),
    "hyphens": lambda text: text.replace(":", "-").upper(),
    "dots": lambda text: ".".join(text.replace(":", "")[at : at + 4] for at in (0, 4, 8)),
    "bare": lambda text: text.replace(":", "").upper(),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "minimal").mkdir()
    return Path(shutil.copy(SITE, tmp_path / "minimal/site.yml"))


def listed(folder: Path, *lines: str, encoding: str = "utf-8") -> str:
    path = folder / "list.csv"
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return str(path)


def expected() -> str:
    """The site's text with the new values put in by hand: line by line, the rest untouched."""
    text = SITE.read_text()
    stated = yaml.safe_load(text)["servers"]
    for number, (server, tag) in enumerate(zip(stated, TAGS, strict=True)):
        # Quotes only where a reader of YAML would see a number.
        said = tag if tag[0].isalpha() or tag.endswith("QS72L4") else f'"{tag}"'
        text = text.replace(f"service_tag: {server['service_tag']}", f"service_tag: {said}")
        text = text.replace(server["bmc"]["mac"], address(number, 0))
        for place, port in enumerate(("lom1", "ocp1", "ocp2"), start=1):
            text = text.replace(server["ports"][port]["mac"], address(number, place))
    return text


HEADINGS = {
    "plain": "Name,Service Tag,iDRAC MAC,LOM1 MAC,OCP1 MAC,OCP2 MAC",
    "factory": "HOST NAME,SVCTAG,iDRAC9 MAC Address,NIC.Embedded.1-1-1,NIC.Integrated.1-1-1,NIC.Integrated.1-2-1",
    "short": "server,tag,bmc,lom1,ocp1,ocp2",
    "long": "Device Name,Serial Number,BMC MAC,LOM Port 1 MAC,Integrated NIC 1 Port 1 MAC,Integrated NIC 1 Port 2 MAC",
    "iDRAC's": "System Name,Dell Service Tag,iDRAC.Embedded.1 MAC,NIC.Embedded.1-1 Permanent MAC Address,"
    "NIC.Integrated.1-1 MAC,NIC.Integrated.1-2 MAC",
    "OS": "Host,S/N,OOB MAC,eno1 MAC,ocp1 mac-address,OCP Port 2 MAC",
}


def rows(notation: str = "colons") -> list[list[str]]:
    said = NOTATIONS[notation]
    return [
        [name, tag, *(said(address(number, port)) for port in range(4))]
        for number, (name, tag) in enumerate(zip(NAMES, TAGS, strict=True))
    ]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_heading_and_separator(site: Path, heading: str, separator: str) -> None:
    lines = [HEADINGS[heading].replace(",", separator), *(separator.join(row) for row in rows())]
    assert main(["import", "csv", listed(site.parent, *lines), str(site), "--write"]) == 0
    assert site.read_text() == expected()


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_notation_and_encoding(site: Path, notation: str, encoding: str) -> None:
    lines = [HEADINGS["plain"], *(",".join(f'"{cell}"' for cell in row) for row in rows(notation))]
    assert main(["import", "csv", listed(site.parent, *lines, encoding=encoding), str(site), "--write"]) == 0
    assert site.read_text() == expected()


@pytest.mark.parametrize("field", HEADERS)
def test_every_documented_header_is_accepted(field: str) -> None:
    page = (checkout() / "docs/how-to/import-what-you-have.md").read_text()
    for header in HEADERS[field]:
        assert field_of(header) == field_of(header.upper()) == field, header
        assert header in page, header
        if field in MACS and header != "bmc_mac":
            assert field_of(f"{header} MAC") == field_of(f"{header} MAC Address") == field, header


def test_slots_are_the_second_adapter_and_foreign_columns_are_nothing() -> None:
    assert field_of("NIC.Slot.3-1-1 MAC") == "nic1"
    assert field_of("NIC.Slot.31-2 MAC Address") == "nic2"
    assert [field_of(word) for word in ("Order Number", "Ship Date", "MAC", "Tag MAC", "NIC.Slot.3-4")] == [
        None
    ] * 5
    assert mac("b0:7b:25-00-00-01") is None


def test_a_second_run_changes_nothing(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = listed(site.parent, HEADINGS["plain"], *(",".join(row) for row in rows()))
    before = site.read_bytes()
    assert main(["import", "csv", path, str(site)]) == 0
    shown = capsys.readouterr().out
    assert site.read_bytes() == before
    assert {"-    service_tag: L1M6HP4", "+    service_tag: ABCDE01"} <= set(shown.splitlines())
    assert "--write" in shown
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    once = site.read_bytes()
    capsys.readouterr()
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert site.read_bytes() == once
    assert load_site(site).node("r660-2").service_tag == "1234567"


def test_layout_stays_whatever_it_is(site: Path) -> None:
    """Single quotes, block style, comments, an empty value, CRLF and a byte order mark."""
    text = SITE.read_text().replace('mac: "b0:7b:25:40:0b:00"', "mac: 'b0:7b:25:40:0b:00'  ")
    text = text.replace("service_tag: KFSBGL4", "service_tag:   # comes with the delivery")
    text = text.replace("service_tag: YGC97T4", "service_tag: YGC97T4   # on the tag")
    raw = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    site.write_bytes(raw)
    path = listed(site.parent, HEADINGS["plain"], *(",".join(row) for row in rows()))
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    made = site.read_bytes()
    assert made.startswith(b"\xef\xbb\xbf")
    assert made.count(b"\r\n") == made.count(b"\n") == raw.count(b"\n")
    assert b"mac: 'b0:7b:25:99:00:00'  }" in made
    assert b'service_tag: "1234567"   # comes with the delivery' in made
    assert b'service_tag: "12E4567"   # on the tag' in made
    assert load_site(site).node("r660-1").bmc.mac == "b0:7b:25:99:00:00"


def test_values_of_files_in_racks_are_written_there(site: Path) -> None:
    text = site.read_text()
    begin, end = text.index("  - name: r760xa-1"), text.index("serving:")
    (site.parent / "racks").mkdir()
    part = site.parent / "racks/a.yml"
    part.write_text("# rack a\nservers:\n" + text[begin:end])
    site.write_text(text[:begin] + text[end:])
    path = listed(site.parent, "Rack,U,SVCTAG,iDRAC MAC", "A,34,NEWTAG1,b0-7b-25-99-03-00", "a,U39,NEWTAG2,")
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    assert "service_tag: NEWTAG1" in part.read_text()
    assert part.read_text().startswith("# rack a\n")
    assert "NEWTAG1" not in site.read_text()
    assert load_site(site).node("r660-1").service_tag == "NEWTAG2"


def test_tags_that_the_site_knows_find_their_servers(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = listed(site.parent, "Service Tag,iDRAC MAC,Colour", "yGc97T4,b0:7b:25:99:00:01,blue")
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    assert load_site(site).node("r660-3").bmc.mac == "b0:7b:25:99:00:01"
    said = capsys.readouterr()
    assert "columns without a meaning here: Colour" in said.out
    assert said.err.count("it stays as it is") == 4
    assert f"site.yml:{SITE.read_text().splitlines().index('  - name: r660-1') + 1}:11: warning" in said.err


def test_in_order_by_profile(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (
        "Model,SVCTAG",
        "PowerEdge R760xa,GPUTAG1",
        "R760XA,GPUTAG2",
        "Dell PowerEdge R660,CPUTAG1",
        "R660,CPUTAG2",
        "r660,CPUTAG3",
    )
    path = listed(site.parent, *lines)
    assert main(["import", "csv", path, str(site)]) == 2
    assert "--in-order" in capsys.readouterr().err
    assert main(["import", "csv", path, str(site), "--in-order", "--write"]) == 0
    made = load_site(site)
    tags = [made.node(name).service_tag for name in NAMES]
    assert tags == ["CPUTAG1", "CPUTAG2", "CPUTAG3", "GPUTAG1", "GPUTAG2"]


FAULTS = {
    "a name that the site lacks": (
        ("Name,SVCTAG", "r660-1,AAAAAA1", "r660-9,AAAAAA2"),
        "3:1",
        "no server 'r660-9'",
    ),
    "a place without a server": (
        ("Rack,Unit,SVCTAG", "a,39,AAAAAA1", "a,12,AAAAAA2"),
        "3:1",
        "rack a unit 12",
    ),
    "a tag that nobody knows": (("SVCTAG,iDRAC MAC", "AAAAAA1,"), "2:1", "belongs to no server"),
    "a short tag": (("Name,SVCTAG", "", "r660-1,AAAAA1"), "3:8", "is not a service tag"),
    "a MAC of five pairs": (("Name,OCP1 MAC", "r660-1,b0:7b:25:00:01"), "2:8", "is not a MAC address"),
    "a MAC that a spreadsheet spoilt": (
        ("Name,OCP1 MAC", "r660-1,1.2E+11"),
        "2:8",
        "a spreadsheet made a number",
    ),
    "a group's MAC": (("Name,OCP1 MAC", "r660-1,01:00:5e:00:00:01"), "2:8", "can't be a port's"),
    "a MAC of zeros": (("Name,OCP1 MAC", "r660-1,000000000000"), "2:8", "can't be a port's"),
    "a unit in words": (("Rack,U,SVCTAG", "a,top,AAAAAA1"), "2:3", "is not a rack unit"),
    "a tag twice": (("Name,SVCTAG", "r660-1,AAAAAA1", "r660-2,AAAAAA1"), "3:1", "stands in line 2 too"),
    "a MAC twice": (
        ("Name,OCP1 MAC,OCP2 MAC", "r660-1,b0:7b:25:00:00:01,b0:7b:25:00:00:02", "r660-2,b07b.2500.0002,"),
        "3:1",
        "stands in line 2 too, as ocp2",
    ),
    "a MAC twice in a line": (
        ("Name,OCP1 MAC,OCP2 MAC", "r660-1,b07b25000001,b07b25000001"),
        "2:1",
        "the same line",
    ),
    "a server twice": (
        ("Name,SVCTAG", "r660-1,AAAAAA1", "r660-1,AAAAAA2"),
        "3:1",
        "r660-1 is named in line 2 too",
    ),
    "another machine": (
        ("Name,SVCTAG,Model", "r660-1,AAAAAA1,PowerEdge R760xa"),
        "2:1",
        "the list says PowerEdge R760xa",
    ),
    "a tag of another server": (("Name,SVCTAG", "r660-1,KFSBGL4"), "2:1", "would stand at r660-2 too"),
    "two columns of one meaning": (
        ("Name,SVCTAG,Service Tag", "r660-1,AAAAAA1,AAAAAA1"),
        "1:13",
        "mean the same",
    ),
    "no column of use": (("Name,Colour", "r660-1,blue"), "1:1", "no column of the first line holds"),
    "a cell too many": (("Name,SVCTAG", "r660-1,AAAAAA1,x"), "2:16", "has 3 cells"),
    "nothing": ((), "1:1", "the file is empty"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_named_at_its_line_and_nothing_is_written(
    site: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    lines, place, words = FAULTS[case]
    before = site.read_bytes()
    assert main(["import", "csv", listed(site.parent, *lines), str(site), "--write"]) == 2
    said = capsys.readouterr().err
    assert f"list.csv:{place}: error: " in said
    assert words in said
    assert said.count("list.csv:") - said.count("columns without a meaning") == 1 or case == "a MAC twice"
    assert site.read_bytes() == before


def test_all_faults_are_named_at_once(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("Name,SVCTAG,OCP1 MAC", "r660-1,AAA,zz", "r660-9,AAAAAA1,", "r660-2,AAAAAA1,")
    assert main(["import", "csv", listed(site.parent, *lines), str(site)]) == 2
    assert capsys.readouterr().err.count(": error: ") == 4


def test_a_list_that_isnt_there_or_isnt_text(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "csv", str(site.parent / "none.csv"), str(site)]) == 2
    (site.parent / "list.csv").write_bytes(b"Name,\xff\xc3\n")
    assert main(["import", "csv", str(site.parent / "list.csv"), str(site)]) == 2
    assert "neither UTF-8 nor UTF-16" in capsys.readouterr().err
    (site.parent / "list.csv").write_text('Name,SVCTAG\nr660-1,"' + "x" * 200_000)
    assert main(["import", "csv", str(site.parent / "list.csv"), str(site)]) == 2
    assert "a quote that is not closed" in capsys.readouterr().err


RANGE = """
hardware: hardware.csv
server_ranges:
  - names: gpu-{1..2}
    profile: r760xa
    roles: [gpu_worker]
    racks: a
    units: [4, 6]
    bmc: {address: 10.40.3.151}
    addresses: {management: 10.40.0.51, external: 10.40.1.51, oob: 10.40.3.51}
    ports:
      lom1: {}
      ocp1: {switch: leaf-a, port: "ethernet1/1/{11..12}"}
      ocp2: {switch: leaf-b, port: "ethernet1/1/{11..12}"}
"""
RANGED = (
    "Name,SVCTAG,iDRAC MAC,LOM1,OCP1,OCP2",
    "gpu-1,GPUTAG1,b0-7b-25-99-00-00,b0-7b-25-99-00-01,b0-7b-25-99-00-02,b0-7b-25-99-00-03",
    "gpu-2,GPUTAG2,b0-7b-25-99-01-00,b0-7b-25-99-01-01,b0-7b-25-99-01-02,b0-7b-25-99-01-03",
)


def test_values_of_a_range_go_to_the_hardware_file(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(site.read_text() + RANGE)
    path, hardware = listed(site.parent, *RANGED), site.parent / "hardware.csv"
    before = site.read_text()
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    assert site.read_text() == before
    assert hardware.read_text().splitlines()[:2] == [
        "name,service_tag,bmc_mac,lom1,ocp1,ocp2",
        "gpu-1,GPUTAG1,b0:7b:25:99:00:00,b0:7b:25:99:00:01,b0:7b:25:99:00:02,b0:7b:25:99:00:03",
    ]
    assert load_site(site).node("gpu-2").service_tag == "GPUTAG2"
    once = hardware.read_bytes()
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    assert hardware.read_bytes() == once
    path = listed(site.parent, "Name,SVCTAG", "gpu-2,NEWTAG2")
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    assert hardware.read_bytes() == once.replace(b"GPUTAG2", b"NEWTAG2")
    capsys.readouterr()
    path = listed(site.parent, "Name,SVCTAG", "gpu-3,NEWTAG3")
    assert main(["import", "csv", path, str(site), "--write"]) == 2
    assert "list.csv:2:1: error: the site has no server 'gpu-3'" in capsys.readouterr().err


OTHERS = tuple(f"{name},{tag},,,," for name, tag in zip(NAMES, TAGS, strict=True))
#: While hardware.csv lacks the range's lines: the list's lines, and all that is said of them.
UNDELIVERED = {
    "a misspelt name": (
        ("Name,SVCTAG", "gpu-11,GPUTAG1"),
        "list.csv:2:1: error: the site has no server 'gpu-11' [import-csv]\n    hint: did you mean 'gpu-1'?\n",
    ),
    "another model": (
        ("Name,SVCTAG,Model", "gpu-1,GPUTAG1,PowerEdge XE9680"),
        "list.csv:2:1: error: the list says PowerEdge XE9680, the site says r760xa (gpu-1) [import-csv]\n"
        "    hint: compare with the machine, then mend the one that is wrong\n",
    ),
    "a place without a server": (
        ("Rack,U,SVCTAG", "a,4,GPUTAG1", "a,5,GPUTAG2"),
        "list.csv:3:1: error: no server of the site stands in rack a unit 5 [import-csv]\n"
        "    hint: the unit is the lowest that the server takes, as in the site file\n",
    ),
    "a column of names that isn't known": (
        ("Asset,SVCTAG,Colour", "gpu-1,GPUTAG1,blue"),
        "list.csv:1:1: warning: columns without a meaning here: Asset, Colour [import-csv]\n"
        "    hint: rename a header that means one of those in docs/how-to/import-what-you-have.md\n"
        "list.csv:2:1: error: service tag GPUTAG1 belongs to no server of the site [import-csv]\n"
        "    hint: add a column Name, or Rack and Unit; or give --in-order to assign the lines one after the other\n",
    ),
}


@pytest.mark.parametrize("case", UNDELIVERED)
def test_the_first_list_is_checked_before_the_hardware_file_has_a_line(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(site.parent)
    site.write_text(site.read_text() + RANGE)
    lines, said = UNDELIVERED[case]
    listed(site.parent, *lines)
    assert main(["import", "csv", "list.csv", "site.yml", "--write"]) == 2
    assert capsys.readouterr().err == said
    assert not (site.parent / "hardware.csv").exists()


@pytest.mark.parametrize("before", [None, "", "name,service_tag,bmc_mac,lom1,ocp1,ocp2\n"])
def test_servers_of_a_range_are_found_by_their_place_before_the_hardware_file_has_a_line(
    site: Path, capsys: pytest.CaptureFixture[str], before: str | None
) -> None:
    site.write_text(site.read_text() + RANGE)
    if before is not None:
        (site.parent / "hardware.csv").write_text(before)
    path = listed(site.parent, "Rack,U,SVCTAG", "A,U06,GPUTAG2")
    assert main(["import", "csv", path, str(site), "--write"]) == 0
    line = next(n for n, text in enumerate(site.read_text().splitlines(), 1) if "gpu-{1..2}" in text)
    said = capsys.readouterr().err
    assert f"site.yml:{line}:12: warning: no line of " in said
    assert "is for gpu-1: it stays as it is" in said
    assert "gpu-2" not in said
    assert "gpu-2,GPUTAG2," in (site.parent / "hardware.csv").read_text()


def test_columns_that_the_hardware_file_lacks_are_added(site: Path) -> None:
    site.write_text(site.read_text() + RANGE)
    hardware = site.parent / "hardware.csv"
    hardware.write_bytes(b"name;service_tag\r\ngpu-2;OLDTAG2\r\n")
    assert main(["import", "csv", listed(site.parent, *RANGED), str(site), "--write"]) == 0
    assert hardware.read_bytes() == (
        b"name;service_tag;bmc_mac;lom1;ocp1;ocp2\r\n"
        b"gpu-2;GPUTAG2;b0:7b:25:99:01:00;b0:7b:25:99:01:01;b0:7b:25:99:01:02;b0:7b:25:99:01:03\r\n"
        b"gpu-1;GPUTAG1;b0:7b:25:99:00:00;b0:7b:25:99:00:01;b0:7b:25:99:00:02;b0:7b:25:99:00:03\r\n"
    )


def test_servers_of_a_range_without_a_line_are_warned_of_together(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write_text(site.read_text() + RANGE)
    assert main(["import", "csv", listed(site.parent, "Name,SVCTAG", OTHERS[0][:14]), str(site)]) == 0
    said = capsys.readouterr().err
    assert "is for gpu-1: it stays as it is; and 1 more of the range, to gpu-2 [import-csv]" in said
    assert said.count("it stays as it is") == 5


def test_in_order_before_the_hardware_file_has_a_line(site: Path) -> None:
    site.write_text(site.read_text() + RANGE)
    lines = ("Model,SVCTAG", *(f"R760xa,GPUTAG{number}" for number in range(1, 5)))
    assert main(["import", "csv", listed(site.parent, *lines), str(site), "--in-order", "--write"]) == 0
    assert "service_tag: GPUTAG2" in site.read_text()
    made = (site.parent / "hardware.csv").read_text()
    assert "gpu-1,GPUTAG3," in made
    assert "gpu-2,GPUTAG4," in made


def test_a_range_without_a_hardware_file_is_told_to_name_one(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.parent)
    site.write_text(site.read_text() + RANGE.replace("hardware: hardware.csv\n", ""))
    listed(site.parent, *RANGED[:2])
    assert main(["import", "csv", "list.csv", "site.yml"]) == 2
    assert capsys.readouterr().err == (
        "list.csv:2:1: error: gpu-1 is of a range, and the site names no hardware file for its values"
        " [import-csv]\n"
        "    hint: name it in the site file: 'hardware: hardware.csv'; the import makes it\n"
    )


def test_a_faulty_range_or_hardware_file_is_told_first(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = site.read_text()
    site.write_text(text + RANGE.replace("units: [4, 6]", "units: [4]"))
    path = listed(site.parent, *RANGED)
    assert main(["import", "csv", path, str(site)]) == 2
    said = capsys.readouterr().err
    assert "2 names for 1 place: 1 rack with 1 unit [range]" in said
    assert "no server" not in said
    site.write_text(text + RANGE)
    (site.parent / "hardware.csv").write_bytes(b"name,\xff\n")
    assert main(["import", "csv", path, str(site)]) == 2
    assert "hardware.csv:1:1: error: the file is not UTF-8 text" in capsys.readouterr().err


def test_a_profile_of_the_sites_own_is_compared_by_its_product(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = yaml.safe_load((FOLDER / "servers.yml").read_text())["r760xa"]
    (site.parent / "catalog").mkdir()
    (site.parent / "catalog/servers.yml").write_text(yaml.safe_dump({"r760xa-l40": own}))
    site.write_text(site.read_text() + RANGE.replace("r760xa", "r760xa-l40"))
    for model in ("PowerEdge R760xa", "R760xa", "r760xa-l40"):
        path = listed(site.parent, "Name,SVCTAG,Model", f"gpu-1,GPUTAG1,{model}")
        assert main(["import", "csv", path, str(site)]) == 0, model
    path = listed(site.parent, "Name,SVCTAG,Model", "gpu-1,GPUTAG1,R660")
    capsys.readouterr()
    assert main(["import", "csv", path, str(site)]) == 2
    assert "the list says R660, the site says r760xa-l40 (gpu-1)" in capsys.readouterr().err


def test_values_that_follow_from_a_range_are_not_overruled(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = RANGE.replace("units: [4, 6]", "units: [4, 6]\n    service_tag: GPUTAG1").replace(
        "hardware: hardware.csv\n", ""
    )
    stated = stated.replace("10.40.3.151}", "10.40.3.151, mac: b0:7b:25:99:00:00}").replace(
        "lom1: {}", "lom1: {mac: b0:7b:25:99:01:00}"
    )
    stated = stated.replace("{switch: leaf-a", "{mac: b0:7b:25:99:02:00, switch: leaf-a").replace(
        "{switch: leaf-b", "{mac: b0:7b:25:99:03:00, switch: leaf-b"
    )
    site.write_text(site.read_text() + stated)
    assert load_site(site).node("gpu-2").service_tag == "GPUTAG2"
    assert main(["import", "csv", listed(site.parent, "Name,SVCTAG", "gpu-2,GPUTAG2"), str(site)]) == 0
    capsys.readouterr()
    assert main(["import", "csv", listed(site.parent, "Name,SVCTAG", "gpu-2,GPUTAG9"), str(site)]) == 2
    assert "list.csv:2:1: error: gpu-2's service_tag follows from its range" in capsys.readouterr().err
