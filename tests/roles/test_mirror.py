"""The mirror: TLS only, read only, on the management network, nothing beside the bundle."""

from __future__ import annotations

import pytest
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

ANCHOR = "/etc/rackwright/ca/ca.crt"
STATUS = f"curl --silent --output /dev/null --write-out '%{{http_code}}' --cacert {ANCHOR}"


def test_listens_on_the_management_address_only(head: NodeHost) -> None:
    sockets = head.out("ss --listening --tcp --numeric --no-header 'sport = :443'")
    assert {line.split()[3] for line in sockets.splitlines()} == {f"{head.node.address}:443"}
    assert head.out("ss --listening --tcp --numeric --no-header 'sport = :80'") == ""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("apt/dists/stable/InRelease", "200"),
        ("lock.json", "200"),
        ("", "404"),
        ("registry/", "404"),
        ("apt/../../../../etc/passwd", "404"),
    ],
)
def test_serves_the_bundle_and_nothing_else(head: NodeHost, site: SiteModel, path: str, status: str) -> None:
    assert head.out(f"{STATUS} --path-as-is https://{site.mirror_fqdn}/{path}") in (
        status,
        "400" if ".." in path else status,
    )


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_takes_nothing(head: NodeHost, site: SiteModel, method: str) -> None:
    assert head.out(f"{STATUS} --request {method} https://{site.mirror_fqdn}/apt/x") == "405"


def test_refuses_old_tls_and_other_names(head: NodeHost, site: SiteModel) -> None:
    assert head.host.run(f"{STATUS} --tls-max 1.1 https://{site.mirror_fqdn}/lock.json").rc != 0
    other = f"--resolve other.{site.domain}:443:{head.node.address} https://other.{site.domain}/lock.json"
    assert head.host.run(f"{STATUS} {other}").rc != 0


def test_runs_and_starts_at_boot(head: NodeHost) -> None:
    service = head.host.service("nginx")
    assert service.is_running and service.is_enabled
