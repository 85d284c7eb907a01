"""Put artefacts in place: rendered with the typed model and the owning role's variables, by one module."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

try:
    import rackwright  # noqa: F401
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rackwright.errors import RackwrightError
from rackwright.render import artefact, render
from rackwright.render.options import role_options
from rackwright.site import load_site

ARGUMENTS = {
    "names": {"type": "list", "elements": "str", "required": True},
    "options": {"type": "dict", "default": {}},
    "files": {"type": "list", "elements": "dict", "default": []},
}


def _plain(value: Any) -> Any:
    """``value`` without the tags that ansible-core puts on strings, numbers and collections."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(entry) for entry in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return value if isinstance(value, bool) else kind(value)
    return value


class ActionModule(ActionBase):  # type: ignore[misc]
    """``names``: artefacts; ``options``: over the role's variables; ``files``: as the module takes them."""

    _requires_connection = True

    def _variables(self, role: str, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The role's declared variables as they are for this host, without those that nobody set."""
        return {
            name: _plain(self._templar.template(task_vars[name]))
            for name in role_options(role)
            if name in task_vars
        }

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, then run ``rackwright_files``; the result has ``changed_paths``."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        host = variables["inventory_hostname"]
        files: list[dict[str, Any]] = [dict(_plain(entry)) for entry in arguments["files"]]
        try:
            model = load_site(str(variables["rackwright_site"]))
            for name in arguments["names"]:
                role = artefact(name).role
                options = self._variables(role, variables) | _plain(arguments["options"])
                for rendered in render(model, host, name, options):
                    files.append(
                        {
                            "path": rendered.path,
                            "content": rendered.content,
                            "mode": rendered.mode,
                            "owner": rendered.owner,
                            "group": rendered.group,
                            "secret": rendered.secret,
                            "validate": rendered.validate,
                        }
                    )
        except KeyError as error:
            if error.args != ("rackwright_site",):
                raise
            raise AnsibleActionFail(
                f"{host} has no variable rackwright_site: run with -i inventories/<site>/site.yml"
            ) from None
        except RackwrightError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(
            self._execute_module(
                module_name="rackwright_files", module_args={"files": files}, task_vars=variables
            )
        )
        result.pop("invocation", None)
        return result
