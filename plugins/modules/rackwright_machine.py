#!/usr/bin/python
"""Bring the running machine to the state that its configuration files ask for at the next boot."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_machine
short_description: Host name, kernel settings, modules, time zone, swap and trust store as they are to be now
description:
  - Compares with what the kernel says now, and changes only what differs; what lasts over a boot is in files.
options:
  hostname: {description: Host name of the running system., type: str}
  sysctl: {description: Kernel setting to value., type: dict, default: {}}
  modules: {description: Kernel modules that have to be there., type: list, elements: str, default: []}
  timezone: {description: Name in the zone database., type: str}
  swap: {description: Whether swap may be on., type: bool, default: true}
  ca_certificate:
    description: A certificate that has to be in the system's trust store; its path below the anchors' directory.
    type: path
  ca_bundle:
    description: The trust store as one file.
    type: path
    default: /etc/ssl/certs/ca-certificates.crt
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
actions:
  description: What was, or would be, done.
  type: list
  elements: str
  returned: always
"""

ZONES = Path("/usr/share/zoneinfo")
LOCALTIME = Path("/etc/localtime")


class Machine:
    """The running machine; collects what is changed as (what, before, after)."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.changes: list[tuple[str, str, str]] = []

    def _change(self, what: str, before: str, after: str) -> bool:
        """Record a change; true where it is to be carried out."""
        self.changes.append((what, before, after))
        return not self.module.check_mode

    def _run(self, what: str, *command: str, cause: str) -> None:
        code, out, err = self.module.run_command(list(command))
        if code:
            seen = (err or out).strip()
            self.module.fail_json(msg=f"{what} failed. Evidence: {' '.join(command)}: {seen}. Cause: {cause}")

    def hostname(self, wanted: str) -> None:
        """The kernel's host name."""
        now = socket.gethostname()
        if now != wanted and self._change("hostname", now, wanted):
            socket.sethostname(wanted)

    def sysctl(self, wanted: dict[str, object]) -> None:
        """Kernel settings; white space within a value does not count."""
        for key, value in wanted.items():
            path = Path("/proc/sys") / key.replace(".", "/")
            try:
                now = " ".join(path.read_text().split())
                if now != str(value) and self._change(key, now, str(value)):
                    path.write_text(f"{value}\n")
            except OSError as error:
                self.module.fail_json(
                    msg=f"cannot set {key} = {value}. Evidence: {path}: {error.strerror}. Cause: the setting "
                    "belongs to a module that is not loaded, or it shares its kernel and may not set it. "
                    "Next: leave it out of baseline_sysctl_network or baseline_sysctl_machine for this node."
                )

    def modules(self, wanted: list[str]) -> None:
        """Kernel modules, loaded or built in."""
        release = os.uname().release
        listing = Path("/lib/modules") / release / "modules.builtin"
        builtin = listing.read_text() if listing.exists() else ""
        systems = Path("/proc/filesystems").read_text().split()
        for name in wanted:
            kernel_name = name.replace("-", "_")
            there = (
                Path("/sys/module", kernel_name).exists()
                or name in systems
                or re.search(rf"/{re.escape(name)}\.ko", builtin) is not None
            )
            if not there and self._change(f"module {name}", "absent", "loaded"):
                self._run(
                    f"loading kernel module {name}",
                    "modprobe",
                    name,
                    cause=f"kernel {release} has no such module. Next: if nothing needs it, leave it out of "
                    "baseline_kernel_modules",
                )

    def timezone(self, wanted: str) -> None:
        """/etc/localtime."""
        target = ZONES / wanted
        if not target.exists():
            if wanted in ("Etc/UTC", "UTC") and not LOCALTIME.exists():
                return  # no link means UTC
            if not self.module.check_mode:
                self.module.fail_json(
                    msg=f"there is no time zone {wanted!r} on this machine ({target} does not exist)"
                )
        now = str(LOCALTIME.readlink()) if LOCALTIME.is_symlink() else "none"
        if now.partition("zoneinfo/")[2] != wanted and self._change("timezone", now, wanted):
            temporary = LOCALTIME.with_name(".rackwright-localtime")
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(os.path.relpath(target, LOCALTIME.parent))
            temporary.replace(LOCALTIME)

    def no_swap(self) -> None:
        """No swap now; the mount table no longer names one."""
        active = [line.split()[0] for line in Path("/proc/swaps").read_text().splitlines()[1:]]
        if active and self._change("swap", " ".join(active), "off"):
            self._run(
                "turning swap off", "swapoff", "--all", cause="not enough memory for what is swapped out"
            )
        table = Path("/etc/fstab")
        lines = table.read_text().splitlines(keepends=True) if table.exists() else []
        kept = [line for line in lines if line.startswith("#") or line.split()[2:3] != ["swap"]]
        if kept != lines and self._change("swap in /etc/fstab", "listed", "not listed"):
            temporary = table.with_name(".rackwright-fstab")
            temporary.write_text("".join(kept))
            temporary.replace(table)

    def trust(self, certificate: Path, bundle: Path) -> None:
        """The trust store holds the certificate."""
        wanted = certificate.read_text().strip() if certificate.exists() else None
        if wanted is None and not self.module.check_mode:
            self.module.fail_json(msg=f"{certificate} is to be trusted but does not exist")
        store = bundle.read_text() if bundle.exists() else ""
        if (wanted is None or wanted not in store) and self._change(
            f"trust in {certificate.name}", "none", "trusted"
        ):
            self._run(
                "renewing the trust store",
                "update-ca-certificates",
                cause="package ca-certificates is not installed, or the certificate is damaged",
            )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "hostname": {"type": "str"},
            "sysctl": {"type": "dict", "default": {}},
            "modules": {"type": "list", "elements": "str", "default": []},
            "timezone": {"type": "str"},
            "swap": {"type": "bool", "default": True},
            "ca_certificate": {"type": "path"},
            "ca_bundle": {"type": "path", "default": "/etc/ssl/certs/ca-certificates.crt"},
        },
        supports_check_mode=True,
    )
    machine, wanted = Machine(module), module.params
    if wanted["hostname"]:
        machine.hostname(wanted["hostname"])
    machine.modules(wanted["modules"])
    machine.sysctl(wanted["sysctl"])
    if wanted["timezone"]:
        machine.timezone(wanted["timezone"])
    if not wanted["swap"]:
        machine.no_swap()
    if wanted["ca_certificate"]:
        machine.trust(Path(wanted["ca_certificate"]), Path(wanted["ca_bundle"]))
    module.exit_json(
        changed=bool(machine.changes),
        actions=[f"{what}: {after}" for what, _, after in machine.changes],
        diff={
            "before": "".join(f"{what}: {before}\n" for what, before, _ in machine.changes),
            "after": "".join(f"{what}: {after}\n" for what, _, after in machine.changes),
        },
    )


if __name__ == "__main__":
    main()
