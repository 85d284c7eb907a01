"""What happens in a playbook, as JSON lines in the file that ``$RACKWRIGHT_EVENTS`` names: for progress and
reports.

Only what these need is written: names, times, and for a failure its message. A result marked ``no_log`` gives
none of its content. Without the variable the callback does nothing.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, TextIO

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: rackwright_events
type: notification
short_description: Progress of a playbook as JSON lines
description:
  - Writes one JSON object for each start of a playbook, play and task and for each host's result.
  - Does nothing unless the environment variable E(RACKWRIGHT_EVENTS) names a file.
"""

LONGEST = 4000


def tail(value: Any) -> str:
    """The end of a text result: where the reason usually stands."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[-LONGEST:]


class CallbackModule(CallbackBase):
    """Writes events; called by ansible-playbook's main process only."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rackwright_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        path = os.environ.get("RACKWRIGHT_EVENTS")
        self._file: TextIO | None = None
        if path:
            self._file = Path(path).open("a", buffering=1)  # noqa: SIM115  # open for the life of the process

    def _write(self, event: str, **facts: Any) -> None:
        if self._file:
            self._file.write(json.dumps({"event": event, "time": round(time.time(), 3), **facts}) + "\n")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._write("playbook", name=Path(playbook._file_name).stem)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._write("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._task(task, "task")

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._task(task, "handler")

    def _task(self, task: Any, kind: str) -> None:
        role = task._role.get_name() if task._role else ""
        self._write("task", task=task._uuid, kind=kind, role=role, name=task.name or task.action)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._write("start", task=task._uuid, host=host.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result(result, "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result(result, "skipped")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        task = result._task
        self._result(result, "ignored" if task.ignore_unreachable else "unreachable")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_retry(self, result: Any) -> None:
        self._write("retry", task=result._task._uuid, host=result._host.get_name())

    def _result(self, result: Any, status: str) -> None:
        task, data = result._task, result._result
        facts: dict[str, Any] = {
            "task": task._uuid,
            "host": result._host.get_name(),
            "status": status,
            "changed": bool(data.get("changed")),
        }
        if status in ("failed", "unreachable", "ignored"):
            facts["action"] = task.action
            facts["reason"] = self._reason(task, data)
        self._write("result", **facts)

    @staticmethod
    def _reason(task: Any, data: dict[str, Any]) -> dict[str, Any]:
        """The parts of a failed result that say why; nothing of a secret one."""
        if task.no_log or data.get("_ansible_no_log") or "censored" in data:
            return {"secret": True}
        failed_items = [
            item for item in data.get("results", []) if isinstance(item, dict) and item.get("failed")
        ]
        reasons = []
        for one in failed_items[:5] or [data]:
            if one.get("_ansible_no_log") or "censored" in one:
                return {"secret": True}
            kept = ("msg", "stderr", "stdout", "rc", "exception", "status", "url", "dest", "path")
            reason = {
                key: one[key] if isinstance(one[key], int) else tail(one[key]) for key in kept if one.get(key)
            }
            if isinstance(one.get("failure"), dict):
                reason["failure"] = {key: tail(value) for key, value in one["failure"].items()}
            if failed_items and "item" in one:
                reason["item"] = tail(one["item"])[:200]
            reasons.append(reason)
        return {"results": reasons}

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._write("stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})
