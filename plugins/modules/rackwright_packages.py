#!/usr/bin/python
"""Have packages installed from the site's mirror."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_packages
short_description: Have packages installed
description:
  - Asks dpkg alone whether anything is missing, so that a run that changes nothing costs milliseconds.
  - Refreshes the package lists only when those here do not do; finishes an interrupted dpkg run first.
  - Keeps configuration files that are there already, so a role may write them before it installs the package.
  - In check mode it needs neither the mirror nor an apt source, so it works on a bare machine.
options:
  names:
    description: Packages, C(name) or C(name=version).
    type: list
    elements: str
    required: true
  state: {description: Whether they are to be there., type: str, choices: [present, absent], default: present}
  lock_timeout: {description: Seconds to wait for another dpkg., type: int, default: 120}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
packages:
  description: Name and version of what was, or would be, installed or removed.
  type: list
  elements: str
  returned: always
"""

ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_SUSPEND": "1"}


class Apt:
    """apt and dpkg on this machine."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def installed(self, names: list[str]) -> dict[str, str]:
        """Name → version of those of ``names`` that are completely installed."""
        form = "${Package}\t${Version}\t${db:Status-Status}\n"
        _, out, _ = self.module.run_command(["dpkg-query", "--show", f"--showformat={form}", *names])
        rows = (line.split("\t") for line in out.splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}

    def install(self, names: list[str]) -> None:
        """Install with the lists that are here; refresh them only where there are none or they don't do."""
        command = ("install", "--allow-downgrades", *names)
        if any(Path("/var/lib/apt/lists").glob("*Packages*")) and self.apt_get("", *command):
            return
        self.apt_get("refreshing the package lists", "update")
        self.apt_get("installing " + ", ".join(names), *command)

    def apt_get(self, what: str, *arguments: str) -> bool:
        """Run apt-get; if it fails, end the module with the reason, or give false when ``what`` is empty."""
        command = [
            "apt-get",
            "--yes",
            "--quiet",
            "-o", f"DPkg::Lock::Timeout={self.module.params['lock_timeout']}",
            "-o", "Dpkg::Options::=--force-confdef",
            "-o", "Dpkg::Options::=--force-confold",
            "-o", "Dpkg::Use-Pty=0",
            "-o", "APT::Update::Error-Mode=any",
            "-o", "APT::Install-Recommends=false",
            *arguments,
        ]  # fmt: skip
        code, out, err = self.module.run_command(command, environ_update=ENVIRONMENT)
        if code and what:
            self.fail(what, command, code, out, err)
        return code == 0

    def fail(self, what: str, command: list[str], code: int, out: str, err: str) -> NoReturn:
        """End the module: what was done, what was seen, why probably, what next."""
        lines = [line for line in (err + "\n" + out).splitlines() if line.startswith(("E:", "W:", "dpkg:"))]
        evidence = " | ".join(lines[:6]) or (err or out).strip()[-400:]
        cause = "see the evidence"
        for sign, reason in CAUSES:
            if sign in evidence:
                cause = reason
                break
        self.module.fail_json(
            msg=f"{what} failed (exit {code}). Evidence: {evidence}. Cause: {cause}. "
            f"Next: '{command[0]} {' '.join(command[-3:])}' on the machine, then the same playbook again.",
            rc=code,
            stdout=out,
            stderr=err,
        )

    def mend(self) -> None:
        """Finish what an interrupted dpkg left half done."""
        if any(name.isdigit() for name in os.listdir("/var/lib/dpkg/updates")):
            command = ["dpkg", "--configure", "--pending", "--force-confdef", "--force-confold"]
            code, out, err = self.module.run_command(command, environ_update=ENVIRONMENT)
            if code:
                self.fail("finishing an interrupted dpkg run", command, code, out, err)


CAUSES = (
    ("certificate", "the mirror's certificate is not trusted: the site CA is missing or has changed here"),
    (
        "Could not resolve",
        "this machine cannot resolve the mirror's name: check /etc/hosts and /etc/resolv.conf",
    ),
    ("Could not connect", "nothing answers at the mirror's address: is nginx up on the head node?"),
    ("Connection refused", "nothing answers at the mirror's address: is nginx up on the head node?"),
    ("NO_PUBKEY", "the repository is signed with a key that this machine does not know"),
    ("not signed", "the repository's signature is missing or wrong: load the bundle again"),
    ("Unable to locate package", "the bundle does not hold the package: see its lock.json"),
    ("was not found", "the bundle does not hold that version: see its lock.json"),
    ("Could not get lock", "another apt or dpkg has been running for longer than lock_timeout"),
    ("No space left", "the disk is full"),
    ("Hash Sum mismatch", "a file in the mirror is not the one that was signed: load the bundle again"),
    ("unmet dependencies", "the bundle lacks a dependency of the package"),
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "lock_timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    apt = Apt(module)
    names: list[str] = module.params["names"]
    wanted = {name.partition("=")[0]: name.partition("=")[2] for name in names}
    have = apt.installed(list(wanted))
    if module.params["state"] == "present":
        todo = [
            name for name, version in wanted.items() if name not in have or version not in ("", have[name])
        ]
    else:
        todo = [name for name in wanted if name in have]
    if todo and not module.check_mode:
        apt.mend()
        if module.params["state"] == "present":
            apt.install([name + (f"={wanted[name]}" if wanted[name] else "") for name in todo])
        else:
            apt.apt_get("removing " + ", ".join(todo), "remove", *todo)
    after = have if module.check_mode or not todo else apt.installed(list(wanted))
    diff = {"before": "", "after": ""}
    if module.params["state"] == "present":
        packages = [
            f"{name} {after.get(name) if after is not have else wanted[name]}".strip() for name in todo
        ]
        diff["before"] = "".join(f"{name} {have[name]}\n" for name in todo if name in have)
        diff["after"] = "".join(f"{package}\n" for package in packages)
    else:
        packages = [f"{name} {have[name]}" for name in todo]
        diff["before"] = "".join(f"{package}\n" for package in packages)
    module.exit_json(changed=bool(todo), packages=packages, diff=diff)


if __name__ == "__main__":
    main()
