"""The registry: the bundle's images over TLS, and no way to change them."""

from __future__ import annotations

import json

from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

CURL = "curl --silent --cacert /etc/rackwright/ca/ca.crt"


def test_serves_the_release_images(head: NodeHost, site: SiteModel) -> None:
    catalogue = json.loads(head.out(f"{CURL} https://{site.registry}/v2/_catalog?n=1000"))["repositories"]
    assert {"k8s/pause", "k8s/kube-apiserver"} <= set(catalogue)
    pause = site.versions["pause"]
    accept = "--header 'Accept: application/vnd.oci.image.manifest.v1+json'"
    head.out(f"{CURL} --fail {accept} https://{site.registry}/v2/k8s/pause/manifests/{pause}")


def test_refuses_uploads_and_deletion(head: NodeHost, site: SiteModel) -> None:
    status = f"{CURL} --output /dev/null --write-out '%{{http_code}}'"
    assert head.out(f"{status} --request POST https://{site.registry}/v2/x/blobs/uploads/") in ("403", "405")
    digest = "sha256:" + "0" * 64
    assert (
        head.out(f"{status} --request DELETE https://{site.registry}/v2/k8s/pause/manifests/{digest}")
        == "405"
    )


def test_plain_text_is_refused(head: NodeHost, site: SiteModel) -> None:
    answer = head.out(f"curl --silent --write-out '%{{http_code}}' http://{site.registry}/v2/")
    assert answer.endswith("400")


def test_key_is_not_the_service_users(head: NodeHost) -> None:
    user = head.out("systemctl show --property=User --value docker-registry")
    assert user not in ("", "root")
    assert head.host.file("/etc/rackwright/tls/registry.key").mode == 0o600


def test_runs_and_starts_at_boot(head: NodeHost) -> None:
    service = head.host.service("docker-registry")
    assert service.is_running and service.is_enabled
