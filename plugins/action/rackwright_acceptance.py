"""Accept a site's GPU servers: make their Jobs' objects, have them run (the module of the same name), and judge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

try:
    import rackwright  # noqa: F401
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rackwright.acceptance import job
from rackwright.acceptance.cluster import Server, judged, ordered, plan_of
from rackwright.errors import RackwrightError, RunFailure
from rackwright.render.documents import untagged
from rackwright.site import load_site


class ActionModule(ActionBase):
    """``rackwright_acceptance: {nodes: […], again: BOOL, output: DIR, …}``, see roles/acceptance."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Measure the servers that have no certificate for their order yet; fail where one is not as ordered."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        args = untagged(self._task.args)
        options = job.Options(**args["pods"])
        try:
            model = load_site(variables["rackwright_site"])
            plan = plan_of(args["measure"])
            servers = ordered(model, args["nodes"], plan, options, Path(args["output"]))
        except RackwrightError as error:
            raise AnsibleActionFail(str(error)) from None
        wanted = [one for one in servers if args["again"] or not one.holds()]
        for one in servers:
            if one not in wanted:
                Display().display(
                    f"{one.name}: accepted before ({one.said()}); acceptance_again measures it anew"
                )
        if not wanted:
            return {"changed": False, "servers": {}}
        found: dict[str, Any] = self._execute_module(
            "rackwright_acceptance",
            {
                "objects": job.shared(),
                "servers": [
                    {"name": one.name, "gpus": one.promise.count, "objects": one.objects()} for one in wanted
                ],
                "address": args["address"],
                "limit": options.limit,
            },
            task_vars=variables,
        )
        found.pop("invocation", None)
        if found.get("failed"):
            return found
        if self._task.check_mode:
            failures = [RunFailure(**one["failure"]) for one in found["servers"].values() if "failure" in one]
            return found | failed(failures)
        return self._judge(wanted, found["servers"])

    def _judge(self, servers: list[Server], found: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"changed": True, "servers": {}}
        failures: list[RunFailure] = []
        for server in servers:
            try:
                certificate = judged(server, found[server.name])
            except RunFailure as failure:
                failures.append(failure)
                answer["servers"][server.name] = "not measured"
                continue
            answer["servers"][server.name] = certificate.result
            said = f"{server.name}: {certificate.result}, {server.output / 'certificate.html'}"
            Display().display(said, color="red" if certificate.result == "failed" else "green")
            for note in certificate.notes:
                Display().display(f"  {note}")
            if certificate.result == "failed":
                failures.append(server.failure(certificate))
        return answer | failed(failures)


def failed(failures: list[RunFailure]) -> dict[str, Any]:
    """What a task's result says of these; nothing where there are none."""
    return {"failed": True, "msg": "\n\n".join(str(one) for one in failures)} if failures else {}
