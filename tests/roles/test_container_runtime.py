"""containerd: the release's, with the site's registry and pause image, and a container that really runs."""

from __future__ import annotations

import tomllib

from node_hosts import NodeHost

from rackwright.derive.model import SiteModel


def test_is_the_releases(each_kubernetes_node: NodeHost, site: SiteModel) -> None:
    assert f"v{site.versions['containerd']}" in each_kubernetes_node.out("containerd --version")
    assert site.versions["runc"] in each_kubernetes_node.out("runc --version")


def test_runs_and_starts_at_boot(each_kubernetes_node: NodeHost) -> None:
    service = each_kubernetes_node.host.service("containerd")
    assert service.is_running and service.is_enabled


def test_configuration_in_force(each_kubernetes_node: NodeHost, site: SiteModel) -> None:
    config = tomllib.loads(each_kubernetes_node.out("containerd --log-level error config dump 2>/dev/null"))
    images = config["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == f"{site.registry}/k8s/pause:{site.versions['pause']}"
    assert images["registry"]["config_path"] == "/etc/containerd/certs.d"
    unified = each_kubernetes_node.host.file("/sys/fs/cgroup/cgroup.controllers").exists
    runc = config["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]
    assert runc["options"]["SystemdCgroup"] is unified


def test_pulls_over_tls_and_runs(each_kubernetes_node: NodeHost, site: SiteModel) -> None:
    image = f"{site.registry}/rackwright/busybox:{site.versions['busybox']}"
    pull = f"ctr --namespace rackwright-test images pull --hosts-dir /etc/containerd/certs.d {image}"
    each_kubernetes_node.out(pull)
    said = each_kubernetes_node.out(
        f"ctr --namespace rackwright-test run --rm {image} probe-$$ /bin/sh -c 'echo it runs'"
    )
    each_kubernetes_node.out(f"ctr --namespace rackwright-test images rm {image}")
    assert "it runs" in said
    assert "insecure" not in each_kubernetes_node.out("cat /etc/containerd/certs.d/*/hosts.toml")
