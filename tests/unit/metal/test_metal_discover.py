"""Found BMCs against the site: each way of not fitting, in words, and nothing told that isn't so."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.derive.model import Node
from rackwright.metal.discover import Found, as_json, faultless, match, summary, table
from rackwright.site import load_site

SITE = load_site("reference")
NODES = [node for node in SITE.nodes if not node.is_head]
ONE, OTHER = SITE.node("xe9680-1"), SITE.node("xe9680-2")


def bmc(node: Node) -> Found:
    return Found(str(node.bmc.address), node.bmc.mac, node.service_tag, node.product, "ab" * 32, "factory")


ALL = [bmc(node) for node in SITE.nodes]


def changed(**by_name: Found | None) -> list[Found]:
    """The site's BMCs, some of them otherwise (``xe9680_1=…``) or gone."""
    new = {name.replace("_", "-"): one for name, one in by_name.items()}
    listed = [new.get(node.name, bmc(node)) for node in SITE.nodes]
    return [one for one in listed if one is not None]


def said(found: list[Found]) -> dict[str, tuple[str, str]]:
    """Verdict and message of what isn't known, by server or address."""
    return {
        one.node or one.address: (one.verdict, one.message)
        for one in match(SITE, found)
        if one.verdict != "known"
    }


def test_everything_in_its_place() -> None:
    matches = match(SITE, ALL)
    assert faultless(matches)
    assert summary(matches) == f"{len(ALL)} known"
    assert [one.node for one in matches] == [node.name for node in SITE.nodes]


def test_two_servers_at_each_others_address() -> None:
    here, there = str(ONE.bmc.address), str(OTHER.bmc.address)
    found = changed(xe9680_1=replace(bmc(ONE), address=there), xe9680_2=replace(bmc(OTHER), address=here))
    assert said(found) == {
        "xe9680-1": ("swapped", "is at xe9680-2's address, xe9680-2 at its own"),
        "xe9680-2": ("swapped", "is at xe9680-1's address, xe9680-1 at its own"),
    }


def test_two_tags_exchanged_in_the_site_file() -> None:
    """Each BMC took its address by its MAC, but the tags are the other's."""
    found = changed(
        xe9680_1=replace(bmc(ONE), service_tag=OTHER.service_tag),
        xe9680_2=replace(bmc(OTHER), service_tag=ONE.service_tag),
    )
    assert {name: verdict for name, (verdict, _) in said(found).items()} == {
        "xe9680-1": "swapped",
        "xe9680-2": "swapped",
    }


def test_two_macs_exchanged_in_the_site_file() -> None:
    found = changed(
        xe9680_1=replace(bmc(ONE), mac=OTHER.bmc.mac), xe9680_2=replace(bmc(OTHER), mac=ONE.bmc.mac)
    )
    assert said(found) == {
        "xe9680-1": ("swapped", "has the BMC MAC of xe9680-2"),
        "xe9680-2": ("swapped", "has the BMC MAC of xe9680-1"),
    }


@pytest.mark.parametrize(
    ("one", "verdict", "message"),
    [
        (None, "missing", "no BMC of this tag or MAC"),
        (replace(bmc(ONE), address="10.40.3.250"), "differs", f"is at 10.40.3.250, not at {ONE.bmc.address}"),
        (replace(bmc(ONE), mac="b0:7b:25:00:00:99"), "differs", f"has the BMC MAC b0:7b:25:00:00:99, not {ONE.bmc.mac}"),
        (replace(bmc(ONE), product="PowerEdge XE8640"), "differs", "is a PowerEdge XE8640, not a PowerEdge XE9680"),
        (replace(bmc(ONE), state="silent"), "differs", "is there, but doesn't answer over https"),
        (replace(bmc(ONE), state="locked"), "differs", "answers, but doesn't say who it is"),
        (Found(str(ONE.bmc.address), state="locked"), "differs", "answers, but doesn't say who it is"),
        (
            replace(bmc(ONE), service_tag="7NEW001", mac="b0:7b:25:00:00:99"),
            "differs",
            f"at its address is 7NEW001, not {ONE.service_tag}",
        ),
    ],
)  # fmt: skip
def test_each_way_of_not_fitting(one: Found | None, verdict: str, message: str) -> None:
    assert said(changed(xe9680_1=one)) == {"xe9680-1": (verdict, message)}
    assert next(m for m in match(SITE, changed(xe9680_1=one)) if m.node == "xe9680-1").hint


def test_a_bmc_that_is_nobodys() -> None:
    guest = Found("10.40.3.240", "b0:7b:25:00:00:99", "7NEW001", "PowerEdge R750", "", "factory")
    assert said([*ALL, guest]) == {
        "10.40.3.240": (
            "unknown",
            "at an address that the site gives nobody; the site has no such service tag or MAC",
        )
    }


def test_without_a_tag_the_mac_decides_and_without_both_the_address() -> None:
    for one in (replace(bmc(ONE), service_tag=""), replace(bmc(ONE), service_tag="", mac="")):
        (mine,) = (m for m in match(SITE, changed(xe9680_1=one)) if m.node == "xe9680-1")
        assert (mine.verdict, mine.message) == ("known", "doesn't tell its service tag yet")


def test_addresses_where_nothing_is_are_not_told_of() -> None:
    """The probe tells of every address that it asked."""
    nothing = [Found(f"10.40.3.{last}", state="silent") for last in (200, 201)]
    a_switch = Found("10.40.3.202", state="locked", fingerprint="cd" * 32)
    assert faultless(match(SITE, [*ALL, *nothing, a_switch]))
    silent = Found(str(ONE.bmc.address), state="silent")
    assert said(changed(xe9680_1=silent)) == {"xe9680-1": ("missing", "no BMC of this tag or MAC")}


def test_the_bmcs_own_product_is_not_the_servers() -> None:
    one = replace(bmc(ONE), product="Integrated Dell Remote Access Controller")
    assert faultless(match(SITE, changed(xe9680_1=one)))


def test_a_head_that_is_not_found_is_not_missed() -> None:
    assert faultless(match(SITE, [bmc(node) for node in NODES]))


def test_the_probes_json_and_ours() -> None:
    data = {"address": str(ONE.bmc.address), "mac": ONE.bmc.mac.upper(), "service_tag": ONE.service_tag.lower(),
            "product": None, "more": 1}  # fmt: skip
    (mine,) = (m for m in match(SITE, [data]) if m.node == "xe9680-1")
    assert mine.verdict == "known"
    assert {one["verdict"] for one in json.loads(as_json(match(SITE, [data])))} == {"known", "missing"}


TABLE = """\
server             address      service tag  MAC                BMC
xe9680-1  known    10.40.3.141  P53LLN4      b0:7b:25:40:29:00  PowerEdge XE9680, claimed
xe9680-2  missing  10.40.3.142  6C3KQ24      b0:7b:25:40:2a:00  PowerEdge XE9680
    no BMC of this tag or MAC
    hint: is it plugged in and cabled to the oob network? look at the BMC port in rack b, unit 8
"""


def test_the_table() -> None:
    found = [replace(bmc(ONE), state="claimed")]
    text = table([one for one in match(SITE, found) if one.node in ("xe9680-1", "xe9680-2")])
    assert text == TABLE


@given(st.permutations(range(len(NODES))))
def test_whoever_is_not_at_home_is_told_and_nobody_else(order: list[int]) -> None:
    """Any exchange of addresses among the servers."""
    found = [
        replace(bmc(NODES[who]), address=str(NODES[where].bmc.address)) for where, who in enumerate(order)
    ]
    random.shuffle(found)
    told = {one.node: one.verdict for one in match(SITE, found)}
    moved = {NODES[who].name for where, who in enumerate(order) if where != who}
    assert {name for name, verdict in told.items() if verdict == "swapped"} == moved
    assert all(told[node.name] == "known" for node in NODES if node.name not in moved)
