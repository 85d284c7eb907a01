#!/usr/bin/python
"""Have systemd units running with the configuration that lies on the disk."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_services
short_description: Have units enabled, started, and not older than their configuration
description:
  - A unit that was started before one of its files was last written is restarted (or reloaded). The fact
    is read from the machine, not remembered by the run, so a run that was killed between the file and the
    restart is made good by the next.
  - One call asks systemd about all units; a unit that is as wanted costs nothing more.
  - In check mode a unit that does not exist yet counts as one that would be started.
options:
  units:
    description: The units.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The unit; C(.service) may be left out., type: str, required: true}
      enabled: {description: Whether it starts at boot., type: bool, default: true}
      state: {description: Whether it runs., type: str, choices: [started, stopped], default: started}
      files:
        description: Files or directories it reads at start; newer than the unit's start means restart.
        type: list
        elements: path
        default: []
      on_change: {description: What to do then., type: str, choices: [restart, reload], default: restart}
  changed_paths:
    description: Paths that this run changed or would change (C(changed_paths) of M(rackwright_files)), for check mode.
    type: list
    elements: path
    default: []
  settle:
    description: Seconds for which a unit that was just started must stay up.
    type: float
    default: 0.3
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
actions:
  description: What was, or would be, done, such as C(restart dnsmasq.service).
  type: list
  elements: str
  returned: always
"""

PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,"
    "ActiveEnterTimestamp,StateChangeTimestamp,ConditionResult,Result"
)


def seconds(stamp: str) -> float:
    """systemd's ``Mon 2026-11-23 15:47:05.123456 UTC`` as seconds since 1970; 0 for a unit that never ran."""
    if not stamp or stamp == "n/a":
        return 0.0
    moment = datetime.strptime(" ".join(stamp.split()[1:3]), "%Y-%m-%d %H:%M:%S.%f")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def newest(paths: list[str]) -> float:
    """When the newest of ``paths`` (directories with their content) was last written; 0 if there is none."""
    latest = 0.0
    for path in paths:
        inside = [path]
        for folder, _, names in os.walk(path):
            inside += [os.path.join(folder, name) for name in names]
        for name in inside:
            if os.path.exists(name):
                latest = max(latest, os.stat(name).st_mtime)
    return latest


class Systemd:
    """systemctl on this machine."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def show(self, units: list[str]) -> dict[str, dict[str, str]]:
        """Unit → its properties. A name that is an alias is given under the alias too."""
        command = ["systemctl", "show", "--timestamp=us+utc", f"--property={PROPERTIES}", "--", *units]
        code, out, err = self.module.run_command(command)
        if code:
            self.module.fail_json(msg=f"systemd does not answer: {(err or out).strip()}", rc=code)
        blocks = out.rstrip("\n").split("\n\n")
        parsed = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
        return dict(zip(units, parsed, strict=True))

    def do(self, verb: str, *units: str) -> None:
        """Run ``systemctl verb units``; end the module with the journal's last lines if it fails."""
        code, out, err = self.module.run_command(["systemctl", verb, *units])
        if code:
            self.fail(verb, units[0] if units else "", (err or out).strip())

    def fail(self, verb: str, unit: str, seen: str) -> NoReturn:
        """End the module with what the unit itself said."""
        _, journal, _ = self.module.run_command(
            ["journalctl", "--unit", unit, "-n", "15", "-o", "cat", "--no-pager"]
        )
        lines = journal.strip().splitlines()
        self.module.fail_json(
            msg=f"systemctl {verb} {unit} failed: {seen}. Its last words: {' | '.join(lines[-6:])}. "
            f"Next: 'systemctl status {unit}' and 'journalctl -u {unit}' on the machine.",
            journal=lines,
        )


def action_for(unit: dict[str, Any], now: dict[str, str], changed_paths: list[str]) -> str | None:
    """start, stop, restart, reload or None."""
    active = now["ActiveState"] in ("active", "reloading", "activating")
    if unit["state"] == "stopped":
        return "stop" if active else None
    if not active:
        return "start"
    touched = any(
        path == file or path.startswith(file.rstrip("/") + "/")
        for path in changed_paths
        for file in unit["files"]
    )
    since = now["ActiveEnterTimestamp" if unit["on_change"] == "restart" else "StateChangeTimestamp"]
    if touched or newest(unit["files"]) > seconds(since):
        return str(unit["on_change"])
    return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "enabled": {"type": "bool", "default": True},
                    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
                    "files": {"type": "list", "elements": "path", "default": []},
                    "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
                },
            },
            "changed_paths": {"type": "list", "elements": "path", "default": []},
            "settle": {"type": "float", "default": 0.3},
        },
        supports_check_mode=True,
    )
    systemd = Systemd(module)
    units: dict[str, dict[str, Any]] = {
        (unit["name"] if "." in unit["name"] else unit["name"] + ".service"): unit
        for unit in module.params["units"]
    }
    shown = systemd.show(list(units))
    reload_files = any(now["NeedDaemonReload"] == "yes" for now in shown.values()) or any(
        path.startswith("/etc/systemd/system/") for path in module.params["changed_paths"]
    )
    if reload_files and not module.check_mode:
        systemd.do("daemon-reload")
        shown = systemd.show(list(units))
    actions: list[tuple[str, str]] = []
    for name, unit in units.items():
        now = shown[name]
        if now["LoadState"] == "not-found" and not module.check_mode:
            if unit["state"] == "stopped":
                continue
            module.fail_json(msg=f"there is no unit {name} on this machine: is its package installed?")
        switchable = now["UnitFileState"] in ("enabled", "disabled") or now["LoadState"] == "not-found"
        if switchable and (now["UnitFileState"] == "enabled") != unit["enabled"]:
            actions.append(("enable" if unit["enabled"] else "disable", name))
        verb = action_for(unit, now, module.params["changed_paths"])
        if verb:
            actions.append((verb, name))
    if not module.check_mode:
        for verb, name in actions:
            systemd.do(verb, name)
        watched = [name for verb, name in actions if verb in ("start", "restart", "reload")]
        if watched:
            time.sleep(module.params["settle"])
            for name, now in systemd.show(watched).items():
                if now["ConditionResult"] == "no" and now["ActiveState"] == "inactive":
                    systemd.fail("start", name, "a Condition…= of the unit is not met on this machine")
                if now["ActiveState"] not in ("active", "reloading") and now["Result"] != "success":
                    systemd.fail("start", name, f"it came up and went down again ({now['Result']})")
    done = [f"{verb} {name}" for verb, name in actions]
    diff = {"before": "", "after": "".join(f"{line}\n" for line in done)}
    module.exit_json(changed=bool(actions), actions=done, diff=diff)


if __name__ == "__main__":
    main()
