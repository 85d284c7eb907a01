"""The site book: everything of the model is in it, once and in its place; nothing from outside gets in."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rackwright import catalog
from rackwright.book.placement import budgets, placements
from rackwright.book.write import Book, anchor, digest, free_ports, page
from rackwright.cli.main import main
from rackwright.derive import documents
from rackwright.derive.model import SiteModel, Waived
from rackwright.errors import Finding
from rackwright.paths import checkout
from rackwright.report.by_rack import cards, joining
from rackwright.site import load_site

SITES = sorted(path.parent.name for path in (checkout() / "inventories").glob("*/site.yml"))
VOID = {"meta", "br", "circle", "rect", "line", "path"}


class Page(HTMLParser):
    """What a page is made of: tables by their section, links, ids, headings; faults of nesting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.tags: list[str] = []
        self.headings: list[int] = []
        self.unnamed: list[str] = []
        self.section = "cover"
        self.rows: dict[str, list[list[str]]] = {}
        self.scopes: set[str | None] = set()
        self._svg: list[str] | None = None
        self._cell = False
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "section":
            self.section = str(given["aria-labelledby"])
        for name in ("href", "src", "srcset", "xlink:href", "action"):
            if given.get(name):
                (self.links if str(given[name]).startswith("#") else self.outside).append(str(given[name]))
        self.outside += [name for name in given if name.startswith("on")]
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
            self._cell = True
            if tag == "th":
                self.scopes.add(given.get("scope"))
        if tag == "svg":
            self._svg = []
            assert given.get("role") == "img" and given.get("aria-label")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell and "svg" not in self.open:
            self.rows[self.section][-1][-1] += data


def book(model: SiteModel) -> str:
    return page(Book(model, catalog.builtin()))


@pytest.fixture(scope="module", params=SITES)
def model(request: pytest.FixtureRequest) -> SiteModel:
    return load_site(request.param)


@pytest.fixture(scope="module")
def text(model: SiteModel) -> str:
    return book(model)


@pytest.fixture(scope="module")
def parsed(text: str) -> Page:
    return Page(text)


def test_it_stands_alone(text: str, parsed: Page) -> None:
    assert parsed.outside == []
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(parsed.tags)
    assert "@import" not in text
    assert "url(" not in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")


def test_it_can_be_found_ones_way_in(parsed: Page) -> None:
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert parsed.headings[0] == 1
    assert parsed.headings.count(1) == 1
    assert all(
        after <= before + 1 for before, after in zip(parsed.headings, parsed.headings[1:], strict=False)
    )
    assert parsed.scopes <= {"col", "row"}
    assert parsed.tags.count("thead") == parsed.tags.count("table")


def test_every_machine_is_in_it(model: SiteModel, parsed: Page) -> None:
    servers = {row[0]: row for row in parsed.rows["servers"][1:]}
    assert list(servers) == [node.name for node in model.nodes]
    for node in model.nodes:
        row = servers[node.name]
        assert row[4:] == [
            node.rack,
            str(node.unit),
            node.service_tag,
            str(node.address),
            str(node.bmc.address),
        ]
    racked = {row[1]: row[0] for row in parsed.rows["racks"] if len(row) == 5}
    for device in (*model.nodes, *model.switches):
        top = device.unit + device.height - 1
        assert racked[device.name] == (str(device.unit) if top == device.unit else f"{device.unit} to {top}")
    assert {anchor("rack", rack.name) for rack in model.racks} <= set(parsed.ids)


def test_every_address_is_in_it(model: SiteModel, parsed: Page) -> None:
    shown = [row[0] for row in parsed.rows["addresses"] if row[0] != "Address"]
    planned = [str(row.address) for rows in documents.address_plan(model).values() for row in rows]
    assert sorted(shown) == sorted(planned)
    assert len(set(shown)) == len(shown)
    stated = {str(model.api_vip), *(str(served.vip) for served in model.serving)}
    stated |= {str(i.address.ip) for node in model.nodes for i in node.interfaces if i.address}
    stated |= {str(one.address) for one in (*(node.bmc for node in model.nodes), *model.switches)}
    assert stated <= set(shown)


def test_every_cable_is_in_it_once_with_both_labels(model: SiteModel, parsed: Page) -> None:
    rows = [row for row in parsed.rows.get("cables", []) if row[0] != "Place"]
    shown = sorted((row[1], row[2], row[4], row[5], row[6]) for row in rows)
    cables = model.cables
    assert shown == sorted((c.a.device, c.a.port, c.b.device, c.b.port, str(c.speed_gbps)) for c in cables)
    for row in rows:
        near, far = f"{row[1]} {row[2]}", f"{row[4]} {row[5]}"
        assert row[7].endswith(f" {far}") and f" {near} → " in row[7]
        assert row[8].endswith(f" {near}") and f" {far} → " in row[8]
    labels = [label for row in rows for label in row[7:]]
    assert len(set(labels)) == len(labels) == 2 * len(cables)


def test_every_port_with_a_cable_is_in_its_switchs_map(model: SiteModel, parsed: Page) -> None:
    rows = [row for row in parsed.rows["ports"] if row[0] != "Port"]
    taken = [(p.name, str(p.speed_gbps)) for s in model.switches for p in s.ports if p.peer is not None]
    assert [(row[0], row[1]) for row in rows] == taken


def test_parts_models_and_versions_are_in_it(model: SiteModel, parsed: Page) -> None:
    parts = {tuple(row) for row in parsed.rows["parts"][1:]}
    servers = sum(int(row[3].replace(",", "")) for row in parts if row[0] == "Server")
    assert servers == len(model.nodes)
    data = [row for row in parts if row[0] == "Cable" and "oob" not in row[2]]
    ordered = sum(int(row[3].replace(",", "")) for row in data)
    # The parts of a broken-out port share one cable.
    assert ordered == len(model.cables) or any("breakout" in row[2] for row in data)
    shown = {row[0] for row in parsed.rows["models"]}
    assert {served.name for served in model.serving} <= shown
    assert dict(row[:2] for row in parsed.rows["versions"][1:]) == {
        name.replace("_", " "): version for name, version in model.versions.items()
    }


def test_the_same_site_gives_the_same_bytes() -> None:
    model = load_site("reference")
    text = book(model)
    again = dataclasses.replace(model, path="/elsewhere/site.yml")
    assert book(again) == text
    assert digest(again) == digest(model)
    assert digest(dataclasses.replace(model, name="other")) != digest(model)
    assert digest(model) in text


def test_hostile_words_stay_words() -> None:
    """Names can't be hostile by the grammar; products, reasons and messages are free text."""
    evil = '"><script>alert(1)</script><img src=x onerror=y>'
    model = load_site("reference")
    known = catalog.builtin()
    node = dataclasses.replace(model.nodes[0], product=evil, service_tag=evil, roles=frozenset({evil}))
    switches = tuple(dataclasses.replace(switch, product=evil) for switch in model.switches)
    racks = tuple(dataclasses.replace(rack, name=f"{rack.name}{evil}") for rack in model.racks)
    moved = tuple(dataclasses.replace(one, rack=f"{one.rack}{evil}") for one in (node, *model.nodes[1:]))
    stood = tuple(dataclasses.replace(switch, rack=f"{switch.rack}{evil}") for switch in switches)
    hostile = dataclasses.replace(
        model, nodes=moved, switches=stood, racks=racks, domain=evil, waived=(Waived(evil, evil, evil, evil),)
    )
    leaf = known.switches["s5248f-on"].model_copy(update={"product": evil})
    card = known.gpus["h100-sxm"].model_copy(update={"product": evil})
    own = dataclasses.replace(known, switches={"own": leaf}, gpus={**known.gpus, "h100-sxm": card})
    warning = Finding(evil, "warning", evil, 1, 1, evil, evil, evil)
    made = page(Book(hostile, own, (warning,), date=evil))
    shown = Page(made)
    assert shown.outside == []
    assert "<script" not in made
    assert "<img" not in made
    assert made.count("&lt;script&gt;") > 10


def test_waivers_are_shown_with_their_reason_and_warnings_too() -> None:
    model = dataclasses.replace(
        load_site("minimal"),
        waived=(Waived("rack-power", "racks.a", "too hot", "the feed is doubled in May"),),
    )
    warning = Finding("no-spare", "warning", "site.yml", 7, 1, "servers", "no spare server", "buy one")
    rows = Page(page(Book(model, catalog.builtin(), (warning,)))).rows["rules"]
    assert ["racks.a", "rack-power", "too hot", "the feed is doubled in May"] in rows
    assert ["servers", "no-spare", "no spare server", "buy one"] in rows


def test_memory_is_shown_against_capacity() -> None:
    model, known = load_site("reference"), catalog.builtin()
    rows = {row.served.name: row for row in placements(model, known)}
    assert rows["capitals-xe9680"].capacity_gb == 640
    assert rows["capitals-xe9680"].share == pytest.approx(0.1 / 640)
    assert [node.name for node in rows["capitals-xe8640"].nodes] == ["xe8640-1", "xe8640-2"]
    found = {row.profile: (row.servers, row.gpus, row.asked, row.shared) for row in budgets(model, known)}
    assert found == {"r760xa": (4, 16, 2, 0), "xe8640": (2, 8, 4, 0), "xe9680": (2, 16, 8, 0)}
    both = dataclasses.replace(model.serving[0], profiles=("r760xa", "xe9680"), replicas=3)
    shared = dataclasses.replace(model, serving=(both,))
    assert [row.shared for row in budgets(shared, known)] == [3, 0, 3]


def test_free_ports_are_runs_of_one_speed() -> None:
    leaf = documents.port_maps(load_site("reference"))[0]
    assert free_ports(leaf) == [
        "25 Gbit/s: ethernet1/1/12 to 48 (37)",
        "100 Gbit/s: ethernet1/1/49 to 52 (4)",
        "100 Gbit/s: ethernet1/1/55 to 56 (2)",
    ]


def test_a_large_site_is_drawn_by_rack_and_made_in_seconds() -> None:
    model = load_site("rows")
    began = time.process_time()
    made = book(model)
    assert time.process_time() - began < 8
    drawing = made[made.index("<svg") : made.index("</svg>")]
    drawn = cards(model)
    assert sum(len(card.nodes) for card in drawn) == len(model.nodes)
    spines = joining(model)
    assert len(spines) + sum(len(card.leaves) for card in drawn) == len(model.switches)
    assert all(f">{card.rack}<" in drawing for card in drawn)
    assert all(switch.name in drawing for switch in spines)
    assert len(drawing) < 200_000


def test_spines_and_their_other_ports_are_in_every_part(tmp_path: Path) -> None:
    text = (checkout() / "inventories/reference/site.yml").read_text(encoding="utf-8")
    spines = "".join(
        f"  - {{name: spine-{n}, product: s5232f-on, rack: b, unit: {unit}, address: 10.40.3.{address}}}\n"
        for n, unit, address in ((1, 38, 253), (2, 41, 254))
    )
    links = "".join(
        f"  - {{switches: [{leaf}, spine-{n}], ports: [ethernet1/1/{54 + n}], far_ports: [ethernet1/1/{far}]}}\n"
        for far, leaf in ((7, "leaf-a"), (9, "leaf-b"))
        for n in (1, 2)
    )
    text = text.replace("\ninterconnects:", f"{spines}\ninterconnects:", 1)
    (tmp_path / "site.yml").write_text(text.replace("\nservers:", f"{links}\nservers:", 1), encoding="utf-8")
    model, without = load_site(tmp_path / "site.yml"), load_site("reference")

    here, known = documents.cable_list(model), set(documents.cable_list(without))
    added = [(row.a.device, row.a.port, row.b.device, row.b.port) for row in here if row not in known]
    assert added == [
        ("leaf-a", "ethernet1/1/55", "spine-1", "ethernet1/1/7"),
        ("leaf-a", "ethernet1/1/56", "spine-2", "ethernet1/1/7"),
        ("leaf-b", "ethernet1/1/55", "spine-1", "ethernet1/1/9"),
        ("leaf-b", "ethernet1/1/56", "spine-2", "ethernet1/1/9"),
    ]
    (map_,) = (one for one in documents.port_maps(model) if one.switch.name == "spine-2")
    far = {port.name: port.far.port for port in map_.ports if port.far is not None}
    assert far == {"ethernet1/1/7": "ethernet1/1/56", "ethernet1/1/9": "ethernet1/1/56"}
    parts = Counter(
        {
            (row.item, row.description): row.quantity
            for row in documents.bill_of_materials(model, catalog.builtin())
        }
    )
    before = documents.bill_of_materials(without, catalog.builtin())
    parts.subtract({(row.item, row.description): row.quantity for row in before})
    # leaf-a stands in another rack than the spines, leaf-b in theirs.
    assert {item: count for (item, _), count in parts.items() if count} == {
        "PowerSwitch S5232F-ON": 2,
        "100 Gbit/s, fibre": 2,
        "QSFP28, 100 Gbit/s": 4,
        "100 Gbit/s, QSFP28": 2,
        "1 Gbit/s, RJ45": 2,
    }
    made = book(model)
    drawing = made[made.index("<svg") : made.index("</svg>")]
    for words in (
        "leaf-a ethernet1/1/55 to spine-1 ethernet1/1/7, 100 Gb/s",
        "leaf-b ethernet1/1/56 to spine-2 ethernet1/1/9, 100 Gb/s",
        "leaf-a ethernet1/1/53 to leaf-b, 100 Gb/s",
    ):
        assert drawing.count(f"<title>{words}</title>") == 1
    # A row of their own below the leaves.
    level = {
        name: float(y) for y, name in re.findall(r'y="([0-9.]+)"[^>]*>((?:leaf|spine)-[a-z0-9]+)  ', drawing)
    }
    assert level["leaf-a"] == level["leaf-b"] < level["spine-1"] == level["spine-2"]


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "books/minimal.html"
    assert main(["book", "minimal", "--output", str(path), "--date", "2026-11-23"]) == 0
    assert "5 servers" in capsys.readouterr().out
    made = path.read_text(encoding="utf-8")
    assert "Site book, 2026-11-23" in made
    (tmp_path / "site.yml").write_text("plugin: rackwright_site\n")
    assert main(["book", str(tmp_path), "--output", str(tmp_path / "no.html")]) == 2
    assert "missing-field" in capsys.readouterr().err
    assert not (tmp_path / "no.html").exists()
