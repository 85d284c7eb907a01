"""The pod network: pods reach each other, and a policy is enforced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cluster import apply, becomes, kubectl, namespace, objects, pod, succeeds, wait

from rackwright.derive.model import SiteModel

SERVER = "mkdir -p /tmp/www && echo reached > /tmp/www/index.html && exec /bin/busybox httpd -f -p 8080 -h /tmp/www"
CLIENT = "exec /bin/busybox sleep 3600"


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"], **spec},
    }


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    """A server and two clients."""
    with namespace("rackwright-test-network") as name:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server"},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
        clients = [pod(one, CLIENT) for one in ("friend", "stranger")]
        apply(name, pod("server", SERVER), service, *clients)
        for one in ("server", "friend", "stranger"):
            wait(name, one)
        yield name


def reaches(space: str, client: str) -> bool:
    """Whether a client reads the server's page, through the cluster's DNS and a service address."""
    return succeeds(
        space, client, "/bin/busybox wget -q -T 3 -O - http://server | /bin/busybox grep -q reached"
    )


def test_an_agent_runs_on_every_node(site: SiteModel) -> None:
    pods = objects("pods -n kube-system -l k8s-app=cilium")
    assert sorted(one["spec"]["nodeName"] for one in pods) == [node.name for node in site.kubernetes_nodes]
    assert kubectl("-n kube-system get daemonset kube-proxy --ignore-not-found") == ""


def test_a_policy_denies_and_allows(space: str) -> None:
    assert becomes(True, lambda: reaches(space, "friend"))
    assert becomes(True, lambda: reaches(space, "stranger"))
    apply(space, policy("deny"))
    assert becomes(False, lambda: reaches(space, "friend"))
    assert becomes(False, lambda: reaches(space, "stranger"))
    source = {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}
    apply(space, policy("allow-friend", ingress=[source]))
    assert becomes(True, lambda: reaches(space, "friend"))
    assert becomes(False, lambda: reaches(space, "stranger"))


def test_pods_reach_the_api_under_its_name(space: str) -> None:
    ask = "/bin/busybox nslookup kubernetes.default.svc.cluster.local | /bin/busybox grep -q Address"
    assert becomes(True, lambda: succeeds(space, "friend", ask))


def test_published_addresses_come_from_the_sites_range(site: SiteModel) -> None:
    (pool,) = objects("ciliumloadbalancerippools")
    assert site.serving_range is not None
    first, last = site.serving_range
    assert pool["spec"]["blocks"] == [{"start": str(first), "stop": str(last)}]
