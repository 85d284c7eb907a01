"""The good sites: those of inventories/, and some made of them by adding what they lack."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import yaml

from rackwright.catalog import FOLDER
from rackwright.paths import checkout


def _with(site: str, *changes: tuple[str, str]) -> dict[str, str]:
    files = dict(good(site))
    for old, new in changes:
        assert old in files["site.yml"], f"'{old}' is not in {site}"
        files["site.yml"] = files["site.yml"].replace(old, new, 1)
    return files


RACKS = """
racks:
  - {name: a, power_w: 28000}
  - {name: b, units: 44, power_w: 28000}
"""
BESIDE_SWITCHES = "\nswitches:"


def _racked() -> dict[str, str]:
    return _with("reference", (BESIDE_SWITCHES, RACKS + BESIDE_SWITCHES))


def _stored() -> dict[str, str]:
    """External storage; a second adapter in one XE9680, and the other one on broken-out ports."""
    section = "\nstorage:\n  product: PowerScale F600\n  name: scale\n  address: 10.40.2.100\n  export: /ifs/models\n"
    tail = 'mac: "b8:3f:d2:40:29:02", switch: leaf-b, port: ethernet1/1/10}\n'
    nics = (
        '      nic1: {mac: "b8:3f:d2:40:29:03", switch: leaf-a, port: ethernet1/1/49}\n'
        '      nic2: {mac: "b8:3f:d2:40:29:04", switch: leaf-b, port: ethernet1/1/49}\n'
    )
    return _with(
        "reference",
        ("    cidr: 10.40.0.0/24\n", "    cidr: 10.40.0.0/24\n    mtu: 9000\n"),
        ("    vlan: 120\n", "    vlan: 120\n    mtu: 9000\n"),
        (BESIDE_SWITCHES, section + BESIDE_SWITCHES),
        ("address: 10.40.3.251}", "address: 10.40.3.251, breakouts: {ethernet1/1/50: 4x25}}"),
        ("address: 10.40.3.252}", "address: 10.40.3.252, breakouts: {ethernet1/1/50: 4x25}}"),
        ("leaf-a, port: ethernet1/1/11}", "leaf-a, port: ethernet1/1/50:1}"),
        ("leaf-b, port: ethernet1/1/11}", "leaf-b, port: ethernet1/1/50:1}"),
        (tail, tail + nics),
    )


def _two_heads() -> dict[str, str]:
    return _with(
        "reference",
        ("\nkubernetes:", "\nhead:\n  vip: 10.40.0.9\n\nkubernetes:"),
        ("roles: [control_plane]", "roles: [head, control_plane]"),
    )


def _spined() -> dict[str, str]:
    """Two spines above the leaves: other ports at the two ends."""
    spines = "".join(
        f"  - {{name: spine-{n}, product: s5232f-on, rack: b, unit: {unit}, address: 10.40.3.{address}}}\n"
        for n, unit, address in ((1, 38, 253), (2, 41, 254))
    )
    links = "".join(
        f"  - {{switches: [leaf-{leaf}, spine-{n}], ports: [ethernet1/1/{54 + n}], far_ports: [ethernet1/1/{far}]}}\n"
        for leaf, far in (("a", 1), ("b", 2))
        for n in (1, 2)
    )
    pair = "  - {switches: [leaf-a, leaf-b], ports: [ethernet1/1/53, ethernet1/1/54]}\n"
    beside = "\ninterconnects:"
    return _with("reference", (beside, spines + beside), (pair, pair + links))


def _two_pairs() -> dict[str, str]:
    """A second pair of leaves for the R760xas, joined to the first."""
    leaves = "".join(
        f"  - {{name: leaf-{leaf}, product: s5248f-on, rack: {rack}, unit: 41, address: 10.40.3.{address}}}\n"
        for leaf, rack, address in (("c", "a", 247), ("d", "b", 248))
    )
    links = (
        "  - {switches: [leaf-a, leaf-c], ports: [ethernet1/1/55]}\n"
        "  - {switches: [leaf-b, leaf-d], ports: [ethernet1/1/55]}\n"
        "  - {switches: [leaf-c, leaf-d], ports: [ethernet1/1/53, ethernet1/1/54]}\n"
    )
    pair = "  - {switches: [leaf-a, leaf-b], ports: [ethernet1/1/53, ethernet1/1/54]}\n"
    cables = [
        (f"leaf-{leaf}, port: ethernet1/1/{port}}}", f"leaf-{other}, port: ethernet1/1/{port}}}")
        for port in range(4, 8)
        for leaf, other in (("a", "c"), ("b", "d"))
    ]
    return _with(
        "reference",
        ("dhcp_range: 10.40.3.200-10.40.3.249", "dhcp_range: 10.40.3.200-10.40.3.244"),
        ("\ninterconnects:", leaves + "\ninterconnects:"),
        (pair, pair + links),
        *cables,
    )


def _storage_pair() -> dict[str, str]:
    """The second adapter on a pair of switches for storage alone, which nothing joins to the leaves."""
    switches = (
        "  - {name: store-a, product: s5232f-on, rack: a, unit: 41, address: 10.40.3.253}\n"
        "  - {name: store-b, product: s5232f-on, rack: b, unit: 41, address: 10.40.3.254}\n"
    )
    link = "  - {switches: [store-a, store-b], ports: [ethernet1/1/31, ethernet1/1/32]}\n"
    pair = "  - {switches: [leaf-a, leaf-b], ports: [ethernet1/1/53, ethernet1/1/54]}\n"
    return _with(
        "stored",
        ("\ninterconnects:", switches + "\ninterconnects:"),
        (pair, pair + link),
        ("switch: leaf-a, port: ethernet1/1/49}", "switch: store-a, port: ethernet1/1/1}"),
        ("switch: leaf-b, port: ethernet1/1/49}", "switch: store-b, port: ethernet1/1/1}"),
    )


def _two_pairs_spined() -> dict[str, str]:
    """The two pairs of leaves below two spines, in place of cables between them."""
    spines = "".join(
        f"  - {{name: spine-{n}, product: s5232f-on, rack: b, unit: {unit}, address: 10.40.3.{address}}}\n"
        for n, unit, address in ((1, 38, 253), (2, 33, 254))
    )
    links = "".join(
        f"  - {{switches: [leaf-{leaf}, spine-{n}], ports: [ethernet1/1/{57 - n}], far_ports: [ethernet1/1/{far}]}}\n"
        for far, leaf in enumerate("abcd", start=1)
        for n in (1, 2)
    )
    across = (
        "  - {switches: [leaf-a, leaf-c], ports: [ethernet1/1/55]}\n"
        "  - {switches: [leaf-b, leaf-d], ports: [ethernet1/1/55]}\n"
    )
    return _with("two-pairs", ("\ninterconnects:", spines + "\ninterconnects:"), (across, links))


MADE: dict[str, Callable[[], dict[str, str]]] = {
    "racked": _racked,
    "stored": _stored,
    "two-heads": _two_heads,
    "spined": _spined,
    "two-pairs": _two_pairs,
    "two-pairs-spined": _two_pairs_spined,
    "storage-pair": _storage_pair,
}


@functools.cache
def good(site: str) -> dict[str, str]:
    """The files of a good site: path beside the site file → text."""
    if site in MADE:
        return MADE[site]()
    folder = checkout() / "inventories" / site
    files = [
        folder / "site.yml",
        *folder.glob("*.csv"),
        *folder.glob("catalog/*.yml"),
        *folder.glob("racks/*.yml"),
    ]
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}


def own_server(profile: str, key: str = "", **changed: Any) -> str:
    """A catalog/servers.yml: the package's entry for a profile, with some facts changed."""
    entry = yaml.safe_load((FOLDER / "servers.yml").read_text(encoding="utf-8"))[profile]
    for fact, value in changed.items():
        entry[fact] = {"value": value, "source": "quote 4711"}
    return yaml.safe_dump({key or profile: entry}, sort_keys=False)
