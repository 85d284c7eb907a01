"""Rendering: complete, strict, the same every time, and with the role's own options."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
import yaml

from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.paths import checkout
from rackwright.render import RenderError, artefact, artefacts_of, render
from rackwright.render import engine as engine_module
from rackwright.render.artefacts.head import reverse_zones
from rackwright.render.options import role_options


def one(model: SiteModel, node: str, name: str, path: str, **options: object) -> str:
    """The content of one file of an artefact."""
    return next(file.content for file in render(model, node, name, options) if file.path == path)


def test_every_artefact_renders_for_every_node_the_same_each_time(site: SiteModel) -> None:
    for node in site.nodes:
        for entry in artefacts_of(node):
            files = render(site, node.name, entry.name, {})
            assert files == render(site, node.name, entry.name, {})
            assert all(file.path.startswith("/") and file.content.endswith("\n") for file in files)


def test_no_two_artefacts_write_the_same_file(site: SiteModel) -> None:
    for node in site.nodes:
        paths = [
            file.path for entry in artefacts_of(node) for file in render(site, node.name, entry.name, {})
        ]
        assert len(paths) == len(set(paths))


def test_unknown_artefact_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no artefact is called 'dnsmask'") as caught:
        artefact("dnsmask")
    assert "dnsmasq" in str(caught.value)


def test_undefined_name_in_a_template_is_an_error_with_its_place(
    site: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "role_defaults", lambda role: {})
    with pytest.raises(RenderError, match=r"templates/keepalived/keepalived\.conf\.j2.*r660-1.*undefined"):
        render(site, "r660-1", "api_endpoint", {})


@pytest.mark.parametrize(
    ("cidr", "zones"),
    [
        ("10.40.3.0/24", ["3.40.10.in-addr.arpa"]),
        ("10.40.2.0/23", ["2.40.10.in-addr.arpa", "3.40.10.in-addr.arpa"]),
        ("172.16.0.0/16", ["16.172.in-addr.arpa"]),
        ("10.0.0.64/26", ["64.0.0.10.in-addr.arpa"]),
    ],
)
def test_reverse_zones(cidr: str, zones: list[str]) -> None:
    found = reverse_zones(IPv4Network(cidr))
    assert found[: len(zones)] == zones


def test_every_bmc_and_boot_port_has_its_fixed_address(site: SiteModel) -> None:
    text = one(site, site.head.name, "dnsmasq", "/etc/dnsmasq.d/rackwright.conf")
    for node in site.nodes:
        assert f"dhcp-host={node.bmc.mac},{node.bmc.address},{node.name}-bmc,infinite" in text
        port = node.interface("oob")
        assert port is not None and port.address is not None
        boots = "" if node.is_head else "set:boot,"
        assert f"dhcp-host={port.mac},{boots}{port.address.ip},{node.name}-oob,infinite" in text


def test_dhcp_can_be_left_out(site: SiteModel) -> None:
    text = one(site, site.head.name, "dnsmasq", "/etc/dnsmasq.d/rackwright.conf", name_service_dhcp=False)
    assert "dhcp-range" not in text
    assert "no-dhcp-interface=eno1" in text


def test_time_comes_from_the_head_node_with_the_control_planes_behind_it(site: SiteModel) -> None:
    head = site.head.address
    leader = one(site, site.head.name, "time", "/etc/chrony/chrony.conf")
    assert "local stratum 8" in leader
    worker = one(site, site.gpu_workers[0].name, "time", "/etc/chrony/chrony.conf")
    assert f"server {head} iburst prefer" in worker
    assert "local stratum" not in worker and "allow" not in worker
    second = next(node for node in site.control_planes if not node.is_head)
    follower = one(site, second.name, "time", "/etc/chrony/chrony.conf")
    assert "local stratum 10 orphan" in follower
    assert f"server {second.address}" not in follower


def test_clock_is_left_alone_when_told_so(site: SiteModel) -> None:
    node = site.nodes[-1].name
    files = {f.path: f.content for f in render(site, node, "time", {"baseline_time_adjust_clock": False})}
    assert "-x" in files["/etc/default/chrony"]
    assert "makestep" not in files["/etc/chrony/chrony.conf"]
    assert "/etc/systemd/system/chrony.service.d/rackwright.conf" in files
    assert len(render(site, node, "time", {})) == len(files) - 1


def test_only_the_head_node_reads_packages_from_its_disk(site: SiteModel) -> None:
    for node in site.nodes:
        text = one(site, node.name, "apt", "/etc/apt/sources.list.d/rackwright.sources")
        uri = "file:/srv/rackwright/mirror/apt" if node.is_head else f"https://{site.mirror_fqdn}/apt"
        assert f"URIs: {uri}\n" in text


def test_vrrp_priorities_and_peers_differ(site: SiteModel) -> None:
    priorities = set()
    for node in site.control_planes:
        text = one(site, node.name, "api_endpoint", "/etc/keepalived/keepalived.conf")
        words = [line.split() for line in text.splitlines()]
        priorities.add(next(word[1] for word in words if word[:1] == ["priority"]))
        peers = text.partition("unicast_peer {")[2].partition("}")[0].split()
        assert set(peers) == {str(other.address) for other in site.control_planes} - {str(node.address)}
    assert len(priorities) == len(site.control_planes)


OWN_ROLES = sorted(
    path.parent.parent.name for path in (checkout() / "roles").glob("*/meta/argument_specs.yml")
)


@pytest.mark.parametrize("role", OWN_ROLES)
def test_documented_defaults_are_the_defaults(role: str) -> None:
    file = checkout() / "roles" / role / "defaults" / "main.yml"
    defaults = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}
    documented = role_options(role)
    assert defaults == {name: spec["default"] for name, spec in documented.items() if "default" in spec}
    assert all(name.startswith(f"{role}_") and spec.get("description") for name, spec in documented.items())
