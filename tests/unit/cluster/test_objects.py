"""Applying objects, releases' digests, the filters, and the rendered files that kubeadm and Helm read."""

from __future__ import annotations

from typing import Any

import pytest
import rackwright_cluster as filters
import yaml
from ansible.module_utils.rackwright_apply import Applier, UnservedError
from ansible.module_utils.rackwright_secrets import discovery, encryption_configuration, new_token
from rackwright_helm import digest_of

from rackwright.render import render
from rackwright.site import load_site

CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "ns"},
    "data": {"k": "new"},
}


class FakeServer:
    """One ConfigMap, and a server-side apply that merges `data`."""

    def __init__(self, existing: dict[str, Any] | None) -> None:
        self.existing = existing
        self.server = "https://fake"
        self.applied: list[str] = []

    def get(self, path: str) -> Any:
        if path == "/api/v1":
            return {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
        return self.existing if path == "/api/v1/namespaces/ns/configmaps/a" else None

    def ask(self, method: str, path: str, body: Any, kind: str) -> tuple[int, Any]:
        data = {**(self.existing or {}).get("data", {}), **body["data"]}
        merged = {**body, "data": data, "metadata": {**body["metadata"], "resourceVersion": "9"}}
        if "dryRun=All" not in path:
            self.applied.append(path)
            self.existing = merged
        return 200, merged


def test_what_would_not_change_is_not_applied() -> None:
    server = FakeServer(
        {**CONFIG_MAP, "metadata": {**CONFIG_MAP["metadata"], "resourceVersion": "3", "uid": "u"}}
    )
    assert Applier(server).preview(CONFIG_MAP) is None


def test_a_change_is_shown_and_applied() -> None:
    server = FakeServer({**CONFIG_MAP, "data": {"k": "old"}})
    applier = Applier(server)
    change = applier.preview(CONFIG_MAP)
    assert change is not None
    assert change.label == "ConfigMap ns/a"
    assert '"old"' in change.before
    assert '"new"' in change.after
    applier.apply(CONFIG_MAP, patience=0)
    assert server.applied == ["/api/v1/namespaces/ns/configmaps/a?fieldManager=rackwright&force=true"]
    assert applier.preview(CONFIG_MAP) is None


def test_a_kind_that_nobody_serves_yet_would_be_created() -> None:
    wanted = {"apiVersion": "cilium.io/v2", "kind": "CiliumLoadBalancerIPPool", "metadata": {"name": "p"}}
    applier = Applier(FakeServer(None))
    with pytest.raises(UnservedError):
        applier.path(wanted)
    change = applier.preview(wanted)
    assert change is not None
    assert change.before == ""


def test_secrets_are_not_shown() -> None:
    server = FakeServer(None)
    server.get = lambda path: (
        {"resources": [{"name": "secrets", "kind": "Secret", "namespaced": True}]}
        if path == "/api/v1"
        else None
    )  # type: ignore[method-assign]
    change = Applier(server).preview(CONFIG_MAP | {"kind": "Secret"})
    assert change is not None
    assert "new" not in str(change.diff())


def test_a_releases_digest_is_that_of_chart_and_values_in_any_order() -> None:
    values = {"a": 1, "b": {"c": 2}}
    assert digest_of("https://m/x-1.tgz", values) == digest_of(
        "https://other/x-1.tgz", {"b": {"c": 2}, "a": 1}
    )
    assert digest_of("https://m/x-1.tgz", values) != digest_of("https://m/x-2.tgz", values)
    assert digest_of("https://m/x-1.tgz", values) != digest_of("https://m/x-1.tgz", {"a": 1})


def look(name: str, at: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "at": at,
        "remedy": "none",
        "stage": "joined",
        "reasons": [],
        "operational": False,
        **more,
    }


def test_the_newest_look_counts() -> None:
    hostvars = {
        "cp-1": {
            "kubernetes_seen": {"look": look("cp-1", 1, remedy="join")},
            "kubernetes_start": {"look": look("cp-1", 2, operational=True)},
            "kubernetes_member": {"skipped": True},
        },
        "cp-2": {},
        "gpu-1": {"kubernetes_seen": {"look": look("gpu-1", 1, remedy="reset")}},
    }
    outside = {"results": [{"look": look("cp-2", 1)}, {"unreachable": True}]}
    seen = filters.looks(hostvars, ["cp-1", "cp-2"], outside)
    assert filters.operator(seen, ["cp-2", "cp-1"]) == "cp-1"
    assert filters.joining(filters.looks(hostvars, ["cp-1", "gpu-1"])) == [look("gpu-1", 1, remedy="reset")]
    assert filters.looks(hostvars, ["cp-2"]) == {"cp-2": None}
    assert "cp-2: not reached" in filters.looks_text({"cp-2": None})


def test_gpus_are_waited_for_by_the_catalogues_count() -> None:
    hostvars = {
        "gpu-1": {"rackwright_node": {"gpus": {"count": 8}}},
        "cpu-1": {"rackwright_node": {"gpus": None}},
    }
    assert filters.gpus(hostvars, ["gpu-1", "cpu-1"]) == [
        {"kind": "Allocatable", "name": "gpu-1", "resource": "nvidia.com/gpu", "count": 8}
    ]


def test_discovery_is_a_kubeconfig_with_the_token_as_its_user() -> None:
    token = new_token()
    made = {"authority": "PEM", "endpoint": "https://api:8443", "token": token}
    config = yaml.safe_load(discovery(made))
    assert config["clusters"][0]["cluster"]["server"] == "https://api:8443"
    assert config["users"][0]["user"]["token"] == token


def test_every_encryption_key_is_its_own() -> None:
    first, second = (yaml.safe_load(encryption_configuration()) for _ in range(2))
    assert first["resources"][0]["resources"] == ["secrets"]
    assert first != second


@pytest.fixture(scope="module")
def kubeadm() -> dict[str, dict[str, Any]]:
    model = load_site("inventories/reference")
    files = {one.path: one for one in render(model, "r660-2", "kubeadm", {})}
    documents = list(yaml.safe_load_all(files["/etc/rackwright/kubeadm/init.yaml"].content))
    assert all(one.mode == "0600" for one in files.values())
    return {one["kind"]: one for one in documents}


def test_kubeadm_is_told_the_sites_endpoint_registry_and_versions(kubeadm: dict[str, dict[str, Any]]) -> None:
    cluster = kubeadm["ClusterConfiguration"]
    assert cluster["controlPlaneEndpoint"] == "api.reference.example:8443"
    assert cluster["imageRepository"] == "registry.reference.example:5000/k8s"
    assert cluster["proxy"] == {"disabled": True}
    assert "10.40.0.10" in cluster["apiServer"]["certSANs"]
    arguments = {one["name"]: one["value"] for one in cluster["apiServer"]["extraArgs"]}
    assert arguments["encryption-provider-config"].endswith("encryption.yaml")
    assert arguments["kubelet-certificate-authority"] == "/etc/kubernetes/pki/ca.crt"


def test_no_rendered_file_of_the_cluster_holds_a_secret() -> None:
    model = load_site("inventories/reference")
    for name in (
        "kubeadm",
        "kubelet",
        "cilium_values",
        "gpu_operator_values",
        "metrics_server",
        "local_path",
    ):
        for one in render(model, "r660-1", name, {}):
            assert "PRIVATE KEY" not in one.content
            assert "insecure-tls" not in one.content


def test_only_control_planes_get_control_plane_files() -> None:
    model = load_site("inventories/reference")
    assert [one.path for one in render(model, "xe9680-1", "kubeadm", {})] == [
        "/etc/rackwright/kubeadm/join.yaml"
    ]


def test_published_addresses_are_announced_on_the_external_interface_by_workers() -> None:
    model = load_site("inventories/reference")
    (file,) = render(model, None, "cilium_services", {})
    pool, policy = yaml.safe_load_all(file.content)
    assert pool["spec"]["blocks"] == [{"start": "10.40.1.200", "stop": "10.40.1.219"}]
    assert policy["spec"]["interfaces"] == ["^bond0\\.110$"]
    assert policy["spec"]["nodeSelector"]["matchLabels"] == {"rackwright/role": "gpu-worker"}
