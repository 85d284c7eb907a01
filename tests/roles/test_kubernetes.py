"""The cluster: its members, its certificates, what it keeps secret, and who may ask it."""

from __future__ import annotations

import base64
import json

from cluster import ETCDCTL, kubectl, objects, operator
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel


def test_etcd_has_a_started_voter_on_each_control_plane(
    each_control_plane: NodeHost, site: SiteModel
) -> None:
    members = json.loads(each_control_plane.out(f"{ETCDCTL} member list -w json"))["members"]
    assert sorted(one["name"] for one in members) == [node.name for node in site.control_planes]
    assert not any(one.get("isLearner") for one in members)
    each_control_plane.out(f"{ETCDCTL} endpoint health --cluster")


def test_every_node_is_ready_and_of_the_release(site: SiteModel) -> None:
    nodes = {one["metadata"]["name"]: one for one in objects("nodes")}
    assert sorted(nodes) == [node.name for node in site.kubernetes_nodes]
    for node in site.kubernetes_nodes:
        status = nodes[node.name]["status"]
        assert any(one["type"] == "Ready" and one["status"] == "True" for one in status["conditions"])
        assert status["nodeInfo"]["kubeletVersion"] == f"v{site.versions['kubernetes']}"
        labels = nodes[node.name]["metadata"]["labels"]
        assert labels["rackwright/profile"] == node.profile
        assert labels["topology.kubernetes.io/zone"] == node.rack
        assert ("node-role.kubernetes.io/control-plane" in labels) is node.is_control_plane


def test_control_planes_take_no_ordinary_pods(site: SiteModel) -> None:
    nodes = {one["metadata"]["name"]: one for one in objects("nodes")}
    for node in site.control_planes:
        taints = nodes[node.name]["spec"].get("taints", [])
        assert any(one["key"] == "node-role.kubernetes.io/control-plane" for one in taints)


def test_the_api_answers_at_its_address_with_its_certificate(
    each_kubernetes_node: NodeHost, site: SiteModel
) -> None:
    url = f"https://{site.api_fqdn}:{site.api_port}/readyz"
    assert each_kubernetes_node.out(f"curl -sS --cacert /etc/kubernetes/pki/ca.crt {url}") == "ok"


def test_strangers_may_ask_for_health_only(each_kubernetes_node: NodeHost, site: SiteModel) -> None:
    url = f"https://{site.api_fqdn}:{site.api_port}"
    for path in ("/api/v1/namespaces/kube-public/configmaps/cluster-info", "/version", "/api"):
        code = each_kubernetes_node.out(f"curl -sk -o /dev/null -w '%{{http_code}}' {url}{path}")
        assert code == "401", path


def test_each_kubelets_certificate_is_the_clusters(each_kubernetes_node: NodeHost) -> None:
    address = each_kubernetes_node.node.address
    said = each_kubernetes_node.out(
        f"openssl s_client -connect {address}:10250 -verify_ip {address} -CAfile /etc/kubernetes/pki/ca.crt </dev/null"
    )
    assert "Verify return code: 0 (ok)" in said


def test_secrets_are_encrypted_where_etcd_keeps_them(head: NodeHost) -> None:
    kubectl("-n default delete secret rackwright-probe --ignore-not-found")
    kubectl("-n default create secret generic rackwright-probe --from-literal=word=hippopotamus")
    stored = operator().out(
        f"{ETCDCTL} get /registry/secrets/default/rackwright-probe --print-value-only | base64 -w0"
    )
    kubectl("-n default delete secret rackwright-probe")
    kept = base64.b64decode(stored)
    assert kept.startswith(b"k8s:enc:secretbox:v1:")
    assert b"hippopotamus" not in kept


def test_nothing_secret_is_left_lying_about(each_kubernetes_node: NodeHost) -> None:
    host = each_kubernetes_node.host
    assert each_kubernetes_node.out("ls -d /run/rackwright-kubeadm-* 2>/dev/null || true") == ""
    assert not host.file("/etc/kubernetes/bootstrap-kubelet.conf").exists
    for path in ("/etc/rackwright/kubeadm/join.yaml", "/etc/kubernetes/kubelet.conf"):
        assert host.file(path).mode == 0o600
    found = host.run(
        "journalctl -b --no-pager | grep -E '[a-z0-9]{6}\\.[a-z0-9]{16}' | grep -v rackwright-probe"
    )
    assert "kubeadm join" not in found.stdout


def test_control_planes_share_one_encryption_key(each_control_plane: NodeHost) -> None:
    path = "/etc/kubernetes/rackwright/encryption.yaml"
    assert each_control_plane.host.file(path).mode == 0o600
    assert each_control_plane.out(f"sha256sum < {path}") == operator().out(f"sha256sum < {path}")


def test_dns_runs_on_different_control_planes(site: SiteModel) -> None:
    pods = objects("pods -n kube-system -l k8s-app=kube-dns")
    nodes = [one["spec"]["nodeName"] for one in pods if one["status"]["phase"] == "Running"]
    assert len(nodes) >= 2
    assert len(set(nodes)) == len(nodes)
    assert set(nodes) <= {node.name for node in site.control_planes}


def test_the_kubelet_starts_at_boot_with_the_nodes_own_configuration(each_kubernetes_node: NodeHost) -> None:
    assert each_kubernetes_node.host.service("kubelet").is_enabled
    running = json.loads(kubectl(f"get --raw /api/v1/nodes/{each_kubernetes_node.node.name}/proxy/configz"))
    settings = running["kubeletconfig"]
    assert settings["serverTLSBootstrap"] is True
    assert settings["authentication"]["anonymous"]["enabled"] is False
    assert settings["maxPods"] == 110
