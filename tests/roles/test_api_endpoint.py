"""The API's address: on exactly one control plane, with a load balancer ready on all of them."""

from __future__ import annotations

from node_hosts import NodeHost, connect

from rackwright.derive.model import SiteModel


def test_services_run_and_start_at_boot(each_control_plane: NodeHost) -> None:
    for name in ("haproxy", "keepalived"):
        service = each_control_plane.host.service(name)
        assert service.is_running and service.is_enabled


def test_load_balancer_is_ready_to_take_the_address(each_control_plane: NodeHost, site: SiteModel) -> None:
    sockets = each_control_plane.out(f"ss --listening --tcp --numeric --no-header 'sport = :{site.api_port}'")
    heard = {line.split()[3] for line in sockets.splitlines()}
    assert heard == {
        f"{address}:{site.api_port}" for address in (site.api_vip, each_control_plane.node.address)
    }


def test_configuration_is_accepted(each_control_plane: NodeHost) -> None:
    each_control_plane.out("haproxy -c -q -f /etc/haproxy/haproxy.cfg")
    each_control_plane.out("keepalived --config-test")


def test_one_node_holds_the_address(site: SiteModel) -> None:
    holders = [
        node.name
        for node in site.control_planes
        if f" {site.api_vip}/" in connect(node.name).run("ip -brief -4 address").stdout
    ]
    assert len(holders) == 1


def test_every_control_plane_is_a_backend(each_control_plane: NodeHost, site: SiteModel) -> None:
    text = each_control_plane.host.file("/etc/haproxy/haproxy.cfg").content_string
    for node in site.control_planes:
        assert f"server {node.name} {node.address}:6443" in text
