"""The site's certificate authority: its key stays, its certificates hold."""

from __future__ import annotations

import pytest
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

AUTHORITY = "/etc/rackwright/ca/ca.crt"


def test_keys_belong_to_root_alone(head: NodeHost) -> None:
    keys = head.out("find /etc/rackwright -name '*.key'").splitlines()
    assert len(keys) == 3
    for key in keys:
        file = head.host.file(key)
        assert (file.user, file.group, file.mode) == ("root", "root", 0o600)


@pytest.mark.parametrize("name", ["mirror", "registry"])
def test_server_certificate_is_signed_and_names_its_server(
    head: NodeHost, site: SiteModel, name: str
) -> None:
    path = f"/etc/rackwright/tls/{name}.crt"
    assert head.out(f"openssl verify -x509_strict -CAfile {AUTHORITY} {path}").endswith("OK")
    names = head.out(f"openssl x509 -noout -ext subjectAltName -in {path}")
    assert f"DNS:{name}.{site.domain}" in names
    assert f"IP Address:{head.node.address}" in names
    assert head.host.run(f"openssl x509 -noout -checkend {29 * 86400} -in {path}").rc == 0


def test_authority_key_is_nowhere_else(each_client: NodeHost) -> None:
    assert each_client.out("find /etc/rackwright -name 'ca.key' 2>/dev/null | wc -l") == "0"
