#!/usr/bin/python
"""Measure GPU servers with a Job each, from one of the cluster's control planes."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_acceptance
short_description: One Job on each GPU server that measures it, and its log
description:
  - Refuses a server whose GPUs other pods hold; runs the others' Jobs side by side, and removes them at the end.
  - The action plugin of the same name makes the objects and judges what comes back.
options:
  objects: {description: What all Jobs need., type: list, elements: dict, required: true}
  servers:
    description: "{name, gpus, objects} each: how many GPUs were ordered, its ConfigMap and its Job."
    type: list
    elements: dict
    required: true
  address: {description: Address of this control plane., type: str, required: true}
  limit: {description: Seconds that a Job may take., type: int, default: 1800}
attributes:
  check_mode: {support: full}
author: Rackwright
"""

RETURN = """
servers:
  description: "By name: C(log) and C(driver) (what nvidia-smi says in its driver pod), or C(failure) in parts."
  type: dict
  returned: always
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rackwright_accepting import Run, driver_says, free
from ansible.module_utils.rackwright_apply import Applier
from ansible.module_utils.rackwright_cluster import ADMIN_CONF, Api, ApiError, ClusterError


def measure(api: Api, p: dict[str, Any], check: bool) -> dict[str, dict[str, Any]]:
    """Run all Jobs; by server what came of it. Raises ApiError where the API doesn't answer."""
    done: dict[str, dict[str, Any]] = {}
    runs: dict[str, Run] = {}
    try:
        for server in p["servers"]:
            name = server["name"]
            try:
                run = Run(api, name, server["objects"], free(api, name, server["gpus"]))
                if check:
                    done[name] = {}
                    continue
                if not runs:
                    for wanted in p["objects"]:
                        Applier(api).apply(wanted, 30)
                done[name] = {"driver": driver_says(api, name)}
                runs[name] = run  # to be removed, whatever comes
                run.start(60)
            except ClusterError as failure:
                done[name] = {"failure": failure.parts()}
        until = time.monotonic() + p["limit"] + 60
        waiting = {name: run for name, run in runs.items() if "failure" not in done[name]}
        while waiting:
            for name, run in list(waiting.items()):
                try:
                    log = run.log()
                    if log is None and time.monotonic() > until:
                        raise run.failure("it still runs", "it takes longer than acceptance_limit allows")
                except ClusterError as failure:
                    done[name]["failure"] = failure.parts()
                    del waiting[name]
                    continue
                if log is not None:
                    done[name]["log"] = log
                    del waiting[name]
            time.sleep(2)
    finally:
        for run in runs.values():
            run.end()
    return done


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "objects": {"type": "list", "elements": "dict", "required": True},
            "servers": {"type": "list", "elements": "dict", "required": True},
            "address": {"required": True},
            "limit": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    p = module.params
    try:
        api = Api.from_kubeconfig(ADMIN_CONF, f"https://{p['address']}:6443", limit=30)
        done = measure(api, p, module.check_mode)
    except ApiError as error:
        module.fail_json(
            **ClusterError(
                "accepting GPU servers",
                p["address"],
                str(error),
                "the API server does not answer, or refuses an object",
                "kubectl get --raw /readyz?verbose; then run again",
            ).as_result()
        )
    module.exit_json(changed=any("failure" not in one for one in done.values()), servers=done)


if __name__ == "__main__":
    main()
