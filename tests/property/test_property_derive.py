"""What must hold of every site: addresses, growth, order, ranges."""

from __future__ import annotations

import copy
from collections import Counter
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from property_sites import FEW, GPUS, SOME, judged, model_of, server, site, sites, written

from rackwright.derive.model import SiteModel
from rackwright.render.intended import digests


def assigned(model: SiteModel) -> list[tuple[str, IPv4Address]]:
    """Network and address of everything that has one."""
    found = [("management", model.api_vip), *(("external", one.vip) for one in model.serving)]
    found += [("oob", switch.address) for switch in model.switches]
    found += [(net.purpose, net.gateway) for net in model.networks.values() if net.gateway is not None]
    for node in model.nodes:
        found.append(("oob", node.bmc.address))
        found += [(i.network, i.address.ip) for i in node.interfaces if i.network and i.address]
    return found


@SOME
@given(data=st.data())
def test_no_address_twice_and_none_outside_its_network(data: st.DataObject) -> None:
    """Whatever is stated: it ends in errors, or in a model where every address is somebody's alone."""
    host = st.integers(0, 40)
    workers = [
        server(f"gpu-{n}", n, "r760xa", ["gpu_worker"], "x", 1 + 2 * n, "leaf-x", 1 + n,
               {p: data.draw(host) for p in ("management", "external", "storage")})
        for n in (4, 5)
    ]  # fmt: skip
    vip = st.one_of(st.none(), st.integers(148, 153))
    models = [
        {"name": f"m{n}", "model": "capitals-gpt", "gpus": 1, "profiles": ["r760xa"]}
        | ({"vip": f"10.0.1.{chosen}"} if (chosen := data.draw(vip)) is not None else {})
        for n in range(3)
    ]
    model, findings = judged(site(workers, ["x"], models))
    assert (model is None) == any(finding.severity == "error" for finding in findings)
    if model is None:
        return
    found = assigned(model)
    assert [address for address, times in Counter(a for _, a in found).items() if times > 1] == []
    for purpose, address in found:
        cidr = model.networks[purpose].cidr
        assert address in cidr and address not in (cidr.network_address, cidr.broadcast_address)
    assert model.serving_range is not None
    first, last = model.serving_range
    assert all(first <= one.vip <= last for one in model.serving)


@FEW
@given(data=sites(), profile=st.sampled_from(sorted(GPUS)))
def test_a_server_more_at_the_end_renumbers_nothing(data: dict[str, Any], profile: str) -> None:
    before = model_of(data)
    grown = copy.deepcopy(data)
    rack = data["servers"][-1]["rack"]
    grown["servers"].append(
        server("zz-last", 60, profile, ["gpu_worker"], rack, 30, f"leaf-{rack}", 20)
    )  # fmt: skip
    after = model_of(grown)
    assert [node for node in after["nodes"] if node["name"] != "zz-last"] == before["nodes"]
    assert after["serving"] == before["serving"]
    added = [cable for cable in after["cables"] if cable not in before["cables"]]
    assert len(added) == 2 and len(after["cables"]) == len(before["cables"]) + 2
    for old, new in zip(before["switches"], after["switches"], strict=True):
        changed = [port for port in new["ports"] if port not in old["ports"]]
        assert all(port["peer"].startswith("zz-last:") for port in changed)


@FEW
@given(data=sites(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_file_means_nothing(data: dict[str, Any], random: Any) -> None:
    """Same model and, byte for byte, same files of every node."""
    shuffled = copy.deepcopy(data)
    for items in (shuffled[name] for name in ("servers", "switches", "interconnects")):
        random.shuffle(items)
    random.shuffle(shuffled["serving"]["models"])
    assert model_of(shuffled) == model_of(data)
    with written(data) as one, written(shuffled) as other:
        assert digests(str(one)) == digests(str(other))


@FEW
@given(
    racks=st.integers(1, 3),
    each=st.integers(1, 4),
    profile=st.sampled_from(sorted(GPUS)),
    step=st.integers(1, 2),
    by_place=st.booleans(),
    block=st.booleans(),
)
def test_a_range_is_the_same_site_as_its_servers_written_out(
    racks: int, each: int, profile: str, step: int, by_place: bool, block: bool
) -> None:
    names = ["x", "y", "z"][:racks]
    rack_step = 20 if block else each * step

    def hosts(rack: int, slot: int) -> int:
        return 20 + rack * rack_step + slot * step

    workers = []
    for rack, rack_name in enumerate(names):
        for slot in range(each):
            number = rack * each + slot
            name = f"gpu-{rack_name}{slot + 1}" if by_place else f"gpu-{number + 7:02}"
            host = hosts(rack, slot)
            one = server(
                name,
                number + 10,
                profile,
                ["gpu_worker"],
                rack_name,
                2 + 7 * slot,
                f"leaf-{rack_name}",
                1 + slot,
                {"management": host, "external": host, "storage": host, "oob": host, "bmc": host + 100},
            )
            workers.append({**one, "service_tag": f"TAG00{10 + number}"})  # fmt: skip
    plain = site(workers, names, [])
    first = {"step": step} | ({"rack_step": rack_step} if block else {})

    def address(text: str) -> dict[str, Any]:
        return {"first": text, **first}

    entry = {
        "names": "gpu-{rack}{slot}" if by_place else f"gpu-{{07..{6 + racks * each:02}}}",
        "profile": profile,
        "roles": ["gpu_worker"],
        "racks": f"{{x..{names[-1]}}}",
        "units": [2 + 7 * slot for slot in range(each)],
        "service_tag": "TAG0010",
        "bmc": {"address": address("10.0.3.120"), "mac": {"first": "b0:7b:25:00:0a:00", "step": 256}},
        "addresses": {purpose: address(f"10.0.{i}.20") for i, purpose in enumerate(plain["networks"])},
        "ports": {
            "lom1": {"mac": {"first": "b0:7b:25:00:0a:01", "step": 256}},
            **{
                f"ocp{side}": {
                    "mac": {"first": f"b8:3f:d2:00:0a:0{side}", "step": 256},
                    "switch": f"leaf-{{rack}}{'ab'[side - 1]}",
                    "port": f"ethernet1/1/{{1..{each}}}",
                }
                for side in (1, 2)
            },
        },
    }
    ranged = {**plain, "servers": plain["servers"][:3], "server_ranges": [entry]}
    assert model_of(ranged) == model_of(plain)
