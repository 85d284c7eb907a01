"""The resource metrics: served twice, from kubelets whose certificates were verified."""

from __future__ import annotations

import base64

from cluster import kubectl, objects

from rackwright.derive.model import SiteModel


def test_every_node_has_metrics(site: SiteModel) -> None:
    lines = kubectl("top nodes --no-headers").splitlines()
    assert sorted(line.split()[0] for line in lines) == [node.name for node in site.kubernetes_nodes]


def test_two_replicas_on_different_nodes_verify_the_kubelets() -> None:
    pods = [
        one
        for one in objects("pods -n kube-system -l k8s-app=metrics-server")
        if one["status"]["phase"] == "Running"
    ]
    assert len({one["spec"]["nodeName"] for one in pods}) == len(pods) == 2
    for one in pods:
        arguments = one["spec"]["containers"][0]["args"]
        assert "--kubelet-insecure-tls" not in arguments
        assert any(part.startswith("--kubelet-certificate-authority=") for part in arguments)


def test_the_api_server_verifies_the_certificate_of_the_metrics() -> None:
    (service,) = (
        one for one in objects("apiservices") if one["metadata"]["name"] == "v1beta1.metrics.k8s.io"
    )
    assert service["spec"].get("insecureSkipTLSVerify", False) is False
    authority = kubectl("get configmap kube-root-ca.crt -n kube-system -o jsonpath='{.data.ca\\.crt}'")
    assert base64.b64decode(service["spec"]["caBundle"]).decode().strip() == authority.strip()
