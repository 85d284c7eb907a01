"""One stage of one server's way from power-off to an operating system: ``rackwright.metal.stages`` as a task.

The task is delegated to the head node, where modules reach the BMCs; Ironic itself is asked from here.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

try:
    import rackwright  # noqa: F401
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rackwright.errors import RackwrightError, RunFailure
from rackwright.metal.stages import STAGES, Given, Server, as_facts, limits_of
from rackwright.render.documents import untagged
from rackwright.render.options import role_options
from rackwright.site import load_site

ROLE = "server"


class ActionModule(ActionBase):
    """``rackwright_server: {stage: claimed|enrolled|…, head: {password, ca, images}}``."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the stage; ``changes`` and ``notes`` in words, ``failure`` in parts."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _, args = self.validate_argument_spec(
            argument_spec={
                "stage": {"type": "str", "required": True, "choices": list(STAGES)},
                "head": {"type": "dict", "required": True, "no_log": True},
            }
        )
        name, begin = str(variables["inventory_hostname"]), time.monotonic()

        def ask(module: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
            result: dict[str, Any] = self._execute_module(module, arguments, task_vars=variables)
            result.pop("invocation", None)
            return result

        def say(text: str) -> None:
            Display().display(f"{name}: {text}")
            event(self._task._uuid, name, text)

        try:
            model = load_site(str(variables["rackwright_site"]))
            # Workers run as many at a time as there are forks; the file of passwords is opened by each.
            vault = self._loader._vault if self._loader._vault.secrets else None
            given = self._given(variables, {key: str(value) for key, value in untagged(args["head"]).items()})
            server = Server(model, model.node(name), given, vault, ask, say, bool(self._task.check_mode))
            result = server.perform(str(args["stage"]))
        except RunFailure as error:
            return {"failed": True, "changed": False, "msg": str(error), "failure": as_facts(error)}
        except RackwrightError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        for note in result["notes"]:
            Display().display(f"{name}: {note}", color="yellow")
        return {**result, "seconds": round(time.monotonic() - begin, 1)}

    def _given(self, variables: Mapping[str, Any], head: dict[str, str]) -> Given:
        """The role's variables, templated for this server."""
        said = {
            option: untagged(self._templar.template(variables[option]))
            for option in role_options(ROLE)
            if option in variables
        }
        factory = untagged(self._templar.template(variables.get("bmc_factory") or {}))
        known = {key.removeprefix(f"{ROLE}_"): value for key, value in said.items()}
        fields = {key: value for key, value in known.items() if key in Given.__dataclass_fields__}
        return Given(**fields, head=head, factory=factory, limits=limits_of(said))


def event(task: str, host: str, text: str) -> None:
    """Add to the file of events, for progress: one short line, so that workers don't tear each other's apart."""
    path = os.environ.get("RACKWRIGHT_EVENTS")
    if path:
        line = json.dumps({"event": "said", "time": time.time(), "task": task, "host": host, "text": text})
        with open(path, "a") as file:
            file.write(line + "\n")
