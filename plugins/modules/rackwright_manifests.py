#!/usr/bin/python
"""Apply objects to the cluster from one of its control planes, and wait until they work."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_manifests
short_description: Server-side apply with honest changes, and a wait that explains itself
description:
  - Compares the API server's dry run with what exists; applies only what differs.
  - The action plugin of the same name renders the artefacts in I(names) with the typed model.
options:
  names: {description: Artefacts whose files hold the objects; action plugin., type: list, elements: str}
  objects: {description: The objects., type: list, elements: dict, default: []}
  wait:
    description:
      - "Workloads {kind, namespace, name}, objects with a condition {kind, name} (Node, APIService,
        CustomResourceDefinition), or {kind: Allocatable, name, resource, count}."
    type: list
    elements: dict
    default: []
  purpose: {description: "What is being done, for messages.", type: str, required: true}
  address: {description: Address of this control plane., type: str, required: true}
  limit: {description: Seconds to wait., type: int, default: 300}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
applied: {description: The objects that were applied., type: list, elements: str, returned: always}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rackwright_apply import Applier
from ansible.module_utils.rackwright_cluster import ADMIN_CONF, Api, ApiError, ClusterError
from ansible.module_utils.rackwright_rollout import wait_for


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str"},
            "objects": {"type": "list", "elements": "dict", "default": []},
            "wait": {"type": "list", "elements": "dict", "default": []},
            "purpose": {"required": True},
            "address": {"required": True},
            "limit": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    p = module.params
    if module.check_mode and not os.path.exists(ADMIN_CONF):
        module.exit_json(
            changed=bool(p["objects"]), applied=[], msg="no cluster here yet: everything would be applied"
        )
    try:
        api = Api.from_kubeconfig(ADMIN_CONF, f"https://{p['address']}:6443", limit=30)
        applier = Applier(api)
        changes = {}
        for wanted in p["objects"]:
            change = applier.preview(wanted)
            if change is None:
                continue
            changes[change.label] = change
            if not module.check_mode:
                applier.apply(wanted, p["limit"])
        if not module.check_mode:
            wait_for(api, p["wait"], p["limit"], p["purpose"])
    except ClusterError as failure:
        module.fail_json(**failure.as_result())
    except ApiError as error:
        cause = "the API server does not answer, or refuses an object"
        module.fail_json(
            **ClusterError(
                p["purpose"],
                p["address"],
                str(error),
                cause,
                "kubectl get --raw /readyz?verbose; then run again",
            ).as_result()
        )
    module.exit_json(
        changed=bool(changes), applied=list(changes), diff=[one.diff() for one in changes.values()]
    )


if __name__ == "__main__":
    main()
