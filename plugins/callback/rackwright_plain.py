"""Ansible's own output, without what ansible-core 2.19 lets slip: the error text of a failed ``no_log`` task.

``no_log`` hides such a task's result, but core still prints the message of the exception behind it, with the lines
of the playbook around it. Everything else is as the ``default`` callback shows it.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
name: rackwright_plain
type: stdout
short_description: The default output, with errors of no_log tasks hidden too
description:
  - As the P(ansible.builtin.default#callback) callback, but the exception of a task with C(no_log) is not shown.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout callback in the configuration
"""


class CallbackModule(Default):
    """The default callback with one more thing kept back."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rackwright_plain"

    def _handle_warnings_and_exception(self, result: Any) -> None:
        if result.task.no_log or result.result.get("_ansible_no_log") or "censored" in result.result:
            for key in ("exception", "warnings", "deprecations"):
                result.result.pop(key, None)
        super()._handle_warnings_and_exception(result)
