"""What a working control plane gives to nodes that join; and what they left behind, cleared."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.module_utils.rackwright_cluster import (
    ADMIN_CONF,
    PKI,
    Api,
    ClusterError,
    Etcd,
    execute,
    member_of,
)
from ansible.module_utils.rackwright_join import failed
from ansible.module_utils.rackwright_membership import authority_digest, established, removable
from ansible.module_utils.rackwright_secrets import ENCRYPTION, filled, new_token, secret_files

TOKEN_MINUTES = 20


def make_credentials(p: Mapping[str, Any], lock: int | None) -> dict[str, Any]:
    """Clear what the joining nodes left, then make a token; for control planes upload the certificates too.

    Runs on a working control plane. Raises ClusterError or ApiError.
    """
    api = Api.from_kubeconfig(ADMIN_CONF, f"https://{p['address']}:6443")
    standing: dict[str, str] = {}
    control_planes = [one for one in p["joining"] if one["control_plane"]]
    if control_planes:
        _clear_members(control_planes, p["force"], standing)
    for one in p["joining"]:
        stays = established(one, standing.get(one["name"], "none"), authority_digest())
        if one["name"] in p["force"] or not stays:
            # kubeadm refuses to join under the name of a node that still counts as ready.
            api.ask("DELETE", f"/api/v1/nodes/{one['name']}")
    with open(f"{PKI}/ca.crt", encoding="utf-8") as handle:
        authority = handle.read()
    made: dict[str, Any] = {
        "token": _bootstrap_token(api),
        "authority": authority,
        "standing": standing,
        "endpoint": p["endpoint"],
    }
    if control_planes:
        made["certificate_key"] = secrets.token_hex(32)
        values = {"certificate_key": made["certificate_key"], "token": new_token()}
        with secret_files({"init.yaml": filled(p["config"], values)}) as directory:
            command = [
                "kubeadm",
                "init",
                "phase",
                "upload-certs",
                "--upload-certs",
                f"--config={directory}/init.yaml",
            ]
            done = execute(command, limit=90, keep_fd=lock)
        if done.rc != 0:
            raise failed("Uploading the control plane's certificates", p["name"], done)
        with open(ENCRYPTION, encoding="utf-8") as handle:
            made["encryption"] = handle.read()
    return made


def _clear_members(joining: list[dict[str, Any]], force: list[str], standing: dict[str, str]) -> None:
    """Remove the etcd members that joining nodes left behind; notes the standing of those that stay."""
    etcd = Etcd()
    members = etcd.members()
    if members is None:
        raise ClusterError(
            "Listing etcd's members",
            "this control plane",
            etcd.call("endpoint", "status").said,
            "etcd has no quorum or does not answer",
            "journalctl -b -u kubelet; etcdctl endpoint status --cluster",
        )
    for one in joining:
        stale = removable(members, one, one["name"] in force)
        own = member_of(members, one["name"], one["address"])
        if stale is None:
            standing[one["name"]] = own.standing if own else "none"
            continue
        done = etcd.call("member", "remove", stale.id)
        if done.rc != 0:
            raise ClusterError(
                f"Removing the etcd member that {one['name']} left behind",
                f"member {stale.id}, {stale.standing}",
                done.said,
                "etcd refuses a removal that could cost it its quorum: another member is down",
                "etcdctl endpoint health --cluster; bring the other control planes back first",
            )
        standing[one["name"]] = "none"


def _bootstrap_token(api: Api) -> str:
    """Make a token by which nodes join, good for some minutes; the API removes it by itself."""
    token = new_token()
    identity, secret = token.split(".")
    ends = datetime.now(timezone.utc) + timedelta(minutes=TOKEN_MINUTES)
    status, answer = api.ask(
        "POST",
        "/api/v1/namespaces/kube-system/secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"bootstrap-token-{identity}"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "token-id": identity,
                "token-secret": secret,
                "expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "usage-bootstrap-authentication": "true",
                "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
                "description": "Rackwright: nodes of one run join with it",
            },
        },
    )
    if status != 201:
        raise ClusterError(
            "Making a token for the nodes that join",
            api.server,
            f"{status} {answer.get('message', '') if isinstance(answer, dict) else answer}",
            "the API refuses the administrator's certificate, or is not ready",
            "kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz?verbose",
        )
    return token
