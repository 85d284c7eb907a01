"""Render the objects of artefacts with the typed model, and hand them to the module of the same name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

try:
    import rackwright  # noqa: F401
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rackwright.errors import RackwrightError
from rackwright.render.documents import documents, untagged


class ActionModule(ActionBase):
    """``names``: artefacts whose files hold objects; the rest goes to the module as it is."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, then run the module on the control plane."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        arguments = untagged(self._task.args)
        try:
            objects = documents(self._templar, variables, arguments.pop("names", []))
        except RackwrightError as error:
            raise AnsibleActionFail(str(error)) from error
        arguments["objects"] = [*objects, *arguments.get("objects", [])]
        result.update(
            self._execute_module(
                module_name="rackwright_manifests", module_args=arguments, task_vars=variables
            )
        )
        result.pop("invocation", None)
        return result
