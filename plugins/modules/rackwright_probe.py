#!/usr/bin/python
"""Run a list of reading commands on a machine in one round trip and hand their outputs back."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: rackwright_probe
short_description: Run a list of commands and return their outputs
description:
  - Runs the commands side by side, those of one lane one after the other, each with its own time limit.
  - A command that fails, is missing or runs out of time is a result, not a failure of the module.
  - Reports no change. Commands marked C(alters) are left out in check mode.
options:
  commands:
    description: The commands, as the checks of the C(rackwright) package declare them.
    type: list
    elements: dict
    required: true
    suboptions:
      key: {description: Name of the output., type: str, required: true}
      argv:
        description: The command. C({tmp}) stands for a scratch directory.
        type: list
        elements: str
        required: true
      timeout: {description: Seconds after which it is killed., type: float, default: 30}
      lane: {description: Commands of the same lane run in order., type: str, default: ""}
      stdin: {description: Text for its standard input., type: str, default: ""}
      each:
        description: Command to run for every line printed. C({0}) stands for the line's first word.
        type: list
        elements: str
        default: []
      alters: {description: Whether it changes anything., type: bool, default: false}
author: [Rackwright]
attributes:
  check_mode: {support: full, description: Reading commands run in check mode too.}
"""

EXAMPLES = r"""
- name: Ask for the kernel and the addresses
  rackwright_probe:
    commands:
      - {key: kernel, argv: [uname, -r]}
      - {key: addresses, argv: [ip, -json, address], timeout: 5}
"""

RETURN = r"""
outputs:
  description: Outputs by key; an expanded command's under C(key/word).
  returned: always
  type: dict
  sample: {"kernel": {"rc": 0, "stdout": "6.12.0", "stderr": "", "seconds": 0.01}}
"""

LIMIT = 4_000_000  # characters kept of one output: `kubectl get pods -A -o json` of several racks fits
SIDE_BY_SIDE = 6


def _run(argv, timeout, stdin):
    """Run one command in its own process group; returns the output as a dict."""
    begin = time.monotonic()
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    environment["PATH"] = (
        environment.get("PATH", "") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
    except OSError as error:
        return {"rc": -1, "stdout": "", "stderr": f"{argv[0]}: {error.strerror}", "seconds": 0.0}
    try:
        out, err = process.communicate(stdin.encode(), timeout=timeout)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code, err = -1, err + f"\nno end within {timeout:g} s".encode()
    return {
        "rc": code,
        "stdout": out.decode(errors="replace")[:LIMIT],
        "stderr": err.decode(errors="replace")[-4000:],
        "seconds": round(time.monotonic() - begin, 3),
    }


def _run_lane(commands, scratch):
    """Run a lane's commands in order; returns outputs by key."""
    outputs = {}
    for command in commands:
        key, timeout = command["key"], command["timeout"]
        argv = [word.replace("{tmp}", scratch) for word in command["argv"]]
        outputs[key] = first = _run(argv, timeout, command["stdin"])
        if not command["each"] or first["rc"] != 0:
            continue
        for line in first["stdout"].splitlines():
            words = line.split()
            if words:
                expanded = list(command["each"])
                for place, word in enumerate(words):
                    expanded = [item.replace(f"{{{place}}}", word) for item in expanded]
                outputs[f"{key}/{words[0]}"] = _run(expanded, timeout, "")
    return outputs


def main():
    suboptions = {
        "key": {"type": "str", "required": True, "no_log": False},
        "argv": {"type": "list", "elements": "str", "required": True},
        "timeout": {"type": "float", "default": 30.0},
        "lane": {"type": "str", "default": ""},
        "stdin": {"type": "str", "default": ""},
        "each": {"type": "list", "elements": "str", "default": []},
        "alters": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "commands": {"type": "list", "elements": "dict", "required": True, "options": suboptions}
        },
        supports_check_mode=True,
    )
    lanes = {}
    for command in module.params["commands"]:
        if not (command["alters"] and module.check_mode):
            lanes.setdefault(command["lane"] or f"\0{command['key']}", []).append(command)
    outputs = {}
    scratch = tempfile.mkdtemp(prefix="rackwright-probe-")
    try:
        pathlib.Path(scratch).chmod(0o755)  # apt's own unprivileged user reads there
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for result in pool.map(lambda lane: _run_lane(lane, scratch), lanes.values()):
                outputs.update(result)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    module.exit_json(changed=False, outputs=outputs)


if __name__ == "__main__":
    main()
