"""Ironic's API as the role tests ask it: with curl, on the head node."""

from __future__ import annotations

import json
from typing import Any

from node_hosts import NodeHost

CURL = "curl --silent --show-error --cacert /etc/rackwright/ca/ca.crt"
STATUS = "--output /dev/null --write-out '%{http_code}'"
# The password reaches curl by its standard input, not its arguments.
LOGIN = 'printf \'user = "rackwright:%s"\' "$(cat /etc/rackwright/ironic/password)" | '
VERSION = "--header 'X-OpenStack-Ironic-API-Version: 1.95' --header 'Content-Type: application/json'"


def api(head: NodeHost, method: str, path: str, body: object = None) -> Any:
    """What the API answers, with the password."""
    data = f"--data '{json.dumps(body)}'" if body is not None else ""
    url = f"https://{head.node.address}:6385/v1{path}"
    text = head.out(f"{LOGIN}{CURL} --fail-with-body --config - {VERSION} --request {method} {data} {url}")
    return json.loads(text) if text else None


def oob(head: NodeHost) -> str:
    """The head node's address on the out-of-band network."""
    port = head.node.interface("oob")
    assert port is not None and port.address is not None
    return str(port.address.ip)


def wait_for(head: NodeHost, name: str, state: str) -> None:
    """Wait up to 30 s until the machine is in ``state``."""
    question = f"{CURL} --config - {VERSION} https://{head.node.address}:6385/v1/nodes/{name}"
    head.out(
        f'for second in $(seq 30); do {LOGIN}{question} | grep -q \'"provision_state": "{state}"\' && exit; '
        "sleep 1; done; exit 1"
    )
