#!/usr/bin/python
"""Keep a Helm release at a chart and its values, from one of the cluster's control planes."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_helm
short_description: One Helm release, declared
description:
  - Compares chart and values with the digest that the installed revision carries; does nothing where they agree.
  - A revision that a killed run left pending is taken away before the next one is made.
  - The action plugin of the same name renders I(values) from the artefact in I(artefact).
options:
  name: {description: Name of the release., type: str, required: true}
  namespace: {description: Its namespace; made where it is missing., type: str, required: true}
  chart: {description: URL of the chart's archive., type: str, required: true}
  ca_file: {description: The CA that the chart's server is verified against., type: path, required: true}
  artefact: {description: Artefact whose file holds the values; action plugin., type: str}
  values: {description: The values., type: dict, default: {}}
  wait: {description: As in rackwright_manifests., type: list, elements: dict, default: []}
  purpose: {description: "What is being done, for messages.", type: str, required: true}
  address: {description: Address of this control plane., type: str, required: true}
  limit: {description: Seconds to wait., type: int, default: 300}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
notes:
  - kubernetes.core.helm needs PyYAML on the node, which nodes don't carry, and tells changes only with a plugin.
author: Rackwright
"""

RETURN = """
digest: {description: Digest of chart and values., type: str, returned: always}
"""

import hashlib
import json
import os
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rackwright_cluster import ADMIN_CONF, Api, ApiError, ClusterError, execute
from ansible.module_utils.rackwright_rollout import wait_for
from ansible.module_utils.rackwright_secrets import secret_files

DIGEST_LABEL = "rackwright-digest"


class Release:
    """A Helm release as its newest revision's Secret tells it."""

    def __init__(self, api: Api, name: str, namespace: str) -> None:
        self.api, self.name, self.namespace = api, name, namespace
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"

    def newest(self) -> dict[str, Any] | None:
        """Return the metadata of the newest revision's Secret, or None."""
        selector = urlencode({"labelSelector": f"owner=helm,name={self.name}"})
        items = (self.api.get(f"{self._secrets}?{selector}") or {}).get("items", [])
        if not items:
            return None
        newest: dict[str, Any] = max(items, key=lambda one: int(one["metadata"]["labels"]["version"]))[
            "metadata"
        ]
        return newest

    def forget(self, revision: dict[str, Any]) -> None:
        """Delete one revision's record; the objects it made stay and are taken over by the next."""
        self.api.ask("DELETE", f"{self._secrets}/{revision['name']}")


def digest_of(chart: str, values: dict[str, Any]) -> str:
    """Return the digest of a chart's file name and values; a chart's file never changes under its name."""
    text = os.path.basename(chart) + "\n" + json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def converge(p: dict[str, Any], check: bool) -> dict[str, Any]:
    """Bring the release to its chart and values; returns the module's result."""
    api = Api.from_kubeconfig(ADMIN_CONF, f"https://{p['address']}:6443", limit=30)
    release, digest = Release(api, p["name"], p["namespace"]), digest_of(p["chart"], p["values"])
    newest = release.newest()
    labels = newest["labels"] if newest else {}
    current = labels.get(DIGEST_LABEL) == digest and labels.get("status") == "deployed"
    result: dict[str, Any] = {"changed": not current, "digest": digest}
    if not current:
        result["diff"] = _diff(p, labels.get("status") == "deployed")
    if check:
        return result
    if not current:
        if newest and labels.get("status", "").startswith("pending-"):
            release.forget(newest)
        _upgrade(p, digest)
    wait_for(api, p["wait"], p["limit"], p["purpose"])
    return result


def _helm(p: dict[str, Any], *words: str) -> Any:
    kube = [
        f"--kubeconfig={ADMIN_CONF}",
        f"--kube-apiserver=https://{p['address']}:6443",
        f"--namespace={p['namespace']}",
    ]
    return execute(["helm", *words, *kube], limit=p["limit"])


def _diff(p: dict[str, Any], installed: bool) -> dict[str, str]:
    before = ""
    if installed:
        done = _helm(p, "get", "values", p["name"], "--output=json")
        before = (
            json.dumps(json.loads(done.out or "{}"), indent=2, sort_keys=True) + "\n" if done.rc == 0 else ""
        )
    header = f"values of {p['name']}"
    after = json.dumps(p["values"], indent=2, sort_keys=True) + "\n"
    return {
        "before_header": header,
        "after_header": f"{header}, {p['chart']}",
        "before": before,
        "after": after,
    }


def _upgrade(p: dict[str, Any], digest: str) -> None:
    with secret_files({"values.json": json.dumps(p["values"])}) as directory:
        done = _helm(
            p, "upgrade", p["name"], p["chart"], "--install", "--create-namespace", "--history-max=3",
            f"--values={directory}/values.json", f"--ca-file={p['ca_file']}", f"--labels={DIGEST_LABEL}={digest}",
        )  # fmt: skip
    if done.rc == 0:
        return
    causes = (
        ("404", "the mirror does not have this chart: does the bundle hold it?"),
        ("x509", "the mirror's certificate is not the site CA's, or the clocks differ"),
        ("no such host", "the mirror's name does not resolve on this node"),
        ("values don't meet", "a value does not fit the chart's schema"),
    )
    cause = next((text for sign, text in causes if sign in done.said), "helm refused; its words are above")
    raise ClusterError(
        p["purpose"], f"release {p['name']} in {p['namespace']}", done.said, cause,
        f"helm -n {p['namespace']} history {p['name']}; then run again",
    )  # fmt: skip


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "namespace": {"required": True},
            "chart": {"required": True},
            "ca_file": {"type": "path", "required": True},
            "artefact": {},
            "values": {"type": "dict", "default": {}},
            "wait": {"type": "list", "elements": "dict", "default": []},
            "purpose": {"required": True},
            "address": {"required": True},
            "limit": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    p = module.params
    if module.check_mode and not os.path.exists(ADMIN_CONF):
        module.exit_json(changed=True, diff=_diff(p, False), digest=digest_of(p["chart"], p["values"]))
    try:
        result = converge(p, module.check_mode)
    except ClusterError as failure:
        module.fail_json(**failure.as_result())
    except ApiError as error:
        module.fail_json(
            **ClusterError(
                p["purpose"],
                p["address"],
                str(error),
                "the API server of this control plane does not answer",
                "kubectl get --raw /readyz?verbose; then run again",
            ).as_result()
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
