"""Enrolment of joined nodes: their labels, and their kubelets' serving certificates by the cluster's CA."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.rackwright_cluster import ADMIN_CONF, PKI, Api, ApiError, ClusterError, execute

SIGNER = "kubernetes.io/kubelet-serving"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def requested_names(request: str) -> tuple[str, str, set[str]]:
    """Return (subject CN, subject O, alternative names) of a PEM certificate request, as openssl reads it.

    Raises ValueError when openssl can't read it.
    """
    command = ["openssl", "req", "-noout", "-subject", "-nameopt", "multiline,utf8", "-text", "-reqopt"]
    done = execute([*command, "no_header,no_version,no_pubkey,no_sigdump"], stdin=request, limit=20)
    if done.rc != 0:
        raise ValueError(done.said)
    name = re.search(r"commonName\s*=\s*(\S+)", done.out)
    organisation = re.search(r"organizationName\s*=\s*(\S+)", done.out)
    alternative = re.search(r"Subject Alternative Name:[^\n]*\n\s*([^\n]+)", done.out)
    names = {part.strip() for part in alternative.group(1).split(",")} if alternative else set()
    return (name.group(1) if name else "", organisation.group(1) if organisation else "", names)


def objection(request: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Say why a kubelet's serving certificate must not be approved; None where it may be.

    It may be when the node itself asks, the site knows it, and every name in it is the node's own.
    """
    spec = request["spec"]
    asking = str(spec.get("username", ""))
    node = nodes.get(asking.removeprefix("system:node:")) if asking.startswith("system:node:") else None
    if node is None:
        return f"{asking} is no node of this site"
    try:
        common, organisation, names = requested_names(base64.b64decode(spec["request"]).decode())
    except ValueError as error:
        return f"unreadable request: {error}"
    if (common, organisation) != (asking, "system:nodes"):
        return f"{asking} asks for a certificate of {organisation}/{common}"
    own = {
        f"DNS:{node['name']}",
        *(f"IP Address:{address}" for address in [node["address"], *node.get("addresses", [])]),
    }
    if not names or not names <= own:
        return f"{asking} asks for {', '.join(sorted(names - own)) or 'no name'}, which is not its own"
    if not set(spec.get("usages", [])) <= {"digital signature", "key encipherment", "server auth"}:
        return f"{asking} asks for usages {spec.get('usages')}"
    return None


def is_pending(request: Mapping[str, Any]) -> bool:
    """Tell whether a request waits for a decision."""
    return request["spec"].get("signerName") == SIGNER and not request.get("status", {}).get("conditions")


def approve(api: Api, request: dict[str, Any]) -> None:
    """Approve one request. Raises ApiError when the API refuses."""
    name = request["metadata"]["name"]
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "RackwrightKnownNode",
        "message": "names match the site file",
    }
    request.setdefault("status", {})["conditions"] = [condition]
    status, answer = api.ask("PUT", f"{REQUESTS}/{name}/approval", request)
    if status not in (200, 409):
        raise ApiError(f"approving {name}: {status} {answer}")


def serves(node: Mapping[str, Any], authority: str = f"{PKI}/ca.crt") -> str | None:
    """Say what is wrong with a kubelet's TLS as the cluster's CA sees it; None where it verifies."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    try:
        with (
            socket.create_connection((node["address"], 10250), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=node["address"]),
        ):
            return None
    except OSError as error:
        return f"{node['name']}: {error}"


def _troubles(nodes: list[Mapping[str, Any]]) -> list[str]:
    with ThreadPoolExecutor(16) as pool:
        return [trouble for trouble in pool.map(serves, nodes) if trouble]


def enrol(address: str, nodes: list[dict[str, Any]], patience: float, check: bool) -> list[str]:
    """Approve, wait until each kubelet serves with a certificate of the cluster's CA, and set labels.

    Returns one line per change. Raises ClusterError where a kubelet gets no certificate, ApiError where the API
    fails.
    """
    try:
        api = Api.from_kubeconfig(ADMIN_CONF, f"https://{address}:6443")
    except ApiError:
        if check:
            return ["would enrol " + ", ".join(node["name"] for node in nodes)]
        raise
    known = {node["name"]: node for node in nodes}
    done = _labels(api, nodes, check)
    until = time.monotonic() + patience
    while True:
        troubles = _troubles(list(known.values()))
        objections = []
        pending = [one for one in (api.get(REQUESTS) or {"items": []})["items"] if is_pending(one)]
        for request in pending:
            refused = objection(request, known)
            if refused:
                objections.append(refused)
                continue
            done.append(f"serving certificate of {request['spec']['username']} approved")
            if not check:
                approve(api, request)
        if not troubles or check:
            return done
        if time.monotonic() > until:
            raise ClusterError(
                "Waiting for the kubelets' serving certificates",
                ", ".join(trouble.split(":")[0] for trouble in troubles),
                "\n".join(troubles + objections),
                "a kubelet asks for names that are not its node's in the site file, or it can't reach the API",
                "kubectl get csr; on the node: journalctl -b -u kubelet -n 50",
            )
        time.sleep(1)


def _labels(api: Api, nodes: list[dict[str, Any]], check: bool) -> list[str]:
    done = []
    for node in nodes:
        found = api.get(f"/api/v1/nodes/{node['name']}")
        if found is None:
            if check:
                done.append(f"{node['name']}: would be labelled once it has joined")
                continue
            raise ApiError(f"the API knows no node {node['name']}")
        have = found["metadata"].get("labels", {})
        want = {key: value for key, value in node["labels"].items() if have.get(key) != value}
        if not want:
            continue
        done += [f"{node['name']}: {key}={value}" for key, value in sorted(want.items())]
        if not check:
            body = {"metadata": {"labels": want}}
            status, answer = api.ask(
                "PATCH", f"/api/v1/nodes/{node['name']}", body, "application/merge-patch+json"
            )
            if status != 200:
                raise ApiError(f"labelling {node['name']}: {status} {answer}")
    return done
