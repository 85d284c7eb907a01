"""Collect the evidence that the checks need, and judge it: three stages of one task type (see roles/verify).

- ``nodes``, on every host: what the checks want run there, in one round trip of the module rackwright_probe
- ``cluster``, on every control plane, done by the first one that answered: questions to the cluster
- ``judge``, once, on the workstation: make the requests, evaluate, write results, fail when a check failed

Between the stages evidence lies in a private directory of this run (process arguments and manifests are no
business of a log); it is removed after the judgement.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

try:
    import rackwright
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    import rackwright

from rackwright.checks import CLUSTER, WORKSTATION, Check, Evidence, Output, all_checks
from rackwright.checks import run as checking
from rackwright.derive.model import SiteModel
from rackwright.errors import RackwrightError
from rackwright.site import load_site

assert rackwright  # imported for its place on the path


def scratch() -> Path:
    """The private directory of this run: the same for all workers, which are children of one
    ansible-playbook.
    """
    return Path(tempfile.gettempdir()) / f"rackwright-verify-{os.getuid()}-{os.getppid()}"


class ActionModule(ActionBase):
    """``rackwright_verify: {stage: nodes|cluster|judge, output: PATH, layers: […], patience: FACTOR}``."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run one stage; the result says how many commands or checks there were."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _, args = self.validate_argument_spec(
            argument_spec={
                "stage": {"type": "str", "required": True, "choices": ["nodes", "cluster", "judge"]},
                "output": {"type": "str", "default": ""},
                "layers": {"type": "list", "elements": "str", "default": []},
                "patience": {"type": "float", "default": 1.0},
            }
        )
        try:
            model = load_site(variables["rackwright_site"])
            checks = [c for c in all_checks(model) if not args["layers"] or c.layer in args["layers"]]
        except RackwrightError as error:
            raise AnsibleActionFail(str(error)) from None
        if args["stage"] == "judge":
            return self._judge(model, checks, args["output"], variables, args["patience"])
        return self._collect(model, checks, args["stage"], variables, args["patience"])

    def _collect(
        self, model: SiteModel, checks: list[Check], stage: str, variables: dict[str, Any], patience: float
    ) -> dict[str, Any]:
        host = str(variables["inventory_hostname"])
        place = host
        if stage == "cluster":
            place = CLUSTER
            alive = [node.name for node in model.control_planes if (scratch() / f"{node.name}.json").exists()]
            if host not in alive[:1]:
                return {"changed": False, "skipped": True, "skip_reason": "another control plane is asked"}
        commands = checking.commands_for(checks, place, patience)
        if not commands:
            return {"changed": False, "commands": 0}
        begin = time.monotonic()
        result = self._execute_module("rackwright_probe", {"commands": commands}, task_vars=variables)
        if result.get("unreachable"):
            return {"unreachable": True, "changed": False, "msg": result.get("msg", "no answer")}
        if "outputs" not in result:
            return {"failed": True, "changed": False, "msg": result.get("msg") or "the probe gave no outputs"}
        where = scratch()
        where.mkdir(mode=0o700, exist_ok=True)
        partial = where / f".{place}"
        partial.write_text(json.dumps({place: result["outputs"]}))
        partial.rename(where / f"{place}.json")  # complete, or not there
        return {"changed": False, "commands": len(commands), "seconds": round(time.monotonic() - begin, 1)}

    def _judge(
        self, model: SiteModel, checks: list[Check], output: str, variables: dict[str, Any], patience: float
    ) -> dict[str, Any]:
        begin, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        evidence = Evidence()
        where = scratch()
        for file in sorted(where.glob("*.json")):
            for place, outputs in json.loads(file.read_text()).items():
                for key, one in outputs.items():
                    evidence.add(place, key, Output(**one))
        shutil.rmtree(where, ignore_errors=True)
        played = set(variables.get("ansible_play_hosts_all", []))
        places = {node.name for node in model.nodes if node.name in played}
        if any(node.name in played for node in model.control_planes):
            places.add(CLUSTER)
        checks = checking.within(checks, frozenset(places | {WORKSTATION}))
        checking.ask_workstation(checks, evidence, patience)
        results = checking.judge(checks, evidence)
        bad = checking.failed(results)
        if output:
            checking.write_results(Path(output), results, started, time.monotonic() - begin)
        text = checking.table(results)
        Display().display(text, color="red" if bad else "green")
        answer = {
            "changed": False,
            "checks": len(results),
            "failed_checks": [f"{r.id}: {r.target}" for r in bad],
        }
        if bad and not self._task.check_mode:
            return {
                **answer,
                "failed": True,
                "msg": text[text.index("FAILED ") :] if "FAILED " in text else text,
            }
        return answer
