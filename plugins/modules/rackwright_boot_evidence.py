#!/usr/bin/python
"""What the head's services saw of a server that should have booted from the network."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_boot_evidence
short_description: What DHCP, TFTP and HTTP on this machine saw of a server
description:
  - Reads the journal of dnsmasq and the log of nginx, and gives the lines about one server. Changes nothing.
options:
  macs: {description: The server's MAC addresses., type: list, elements: str, required: true}
  addresses: {description: Addresses that it has or may get., type: list, elements: str, default: []}
  seconds: {description: How far to look back., type: int, default: 3600}
  unit: {description: The unit of DHCP and TFTP., type: str, default: dnsmasq}
  access_log: {description: The log of the web server., type: path, default: /var/log/nginx/access.log}
  lines: {description: Lines of each kind that are given at most., type: int, default: 20}
attributes:
  check_mode: {support: full}
author: Rackwright
"""

RETURN = """
dhcp: {description: Lines of DHCP about its MAC addresses., type: list, elements: str, returned: always}
tftp: {description: Lines of TFTP about its addresses., type: list, elements: str, returned: always}
http: {description: Lines of the web server about its addresses., type: list, elements: str, returned: always}
strangers:
  description: The last line of DHCP about each other MAC address that asked for an address.
  type: dict
  returned: always
looked: {description: Whether there was a journal to look at., type: bool, returned: always}
"""

import os
import re
import time
from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MOST_STRANGERS = 2000  # a line each: among a rack that boots, the one that counts may be the first of many
TAIL = 4_000_000  # bytes of the web server's log that are looked at
MAC = re.compile(r"\b([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b", re.IGNORECASE)
LEASED = re.compile(r"DHCP(?:ACK|OFFER)\(\S+\) (\d+\.\d+\.\d+\.\d+) ([0-9a-f:]{17})", re.IGNORECASE)
STAMP = re.compile(r"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")


def sort_journal(
    lines: list[str], macs: list[str], addresses: list[str]
) -> tuple[list[str], list[str], dict[str, str], set[str]]:
    """Lines of DHCP, lines of TFTP, the last line of each other MAC, and the addresses that the server was given."""
    wanted, mine = {mac.lower() for mac in macs}, set(addresses)
    dhcp, tftp, strangers = [], [], {}
    for line in lines:
        leased = LEASED.search(line)
        if leased and leased.group(2).lower() in wanted:
            mine.add(leased.group(1))
        found = MAC.search(line) if "DHCP" in line else None
        if found and found.group(1).lower() in wanted:
            dhcp.append(line)
        elif found and "DHCPDISCOVER" in line:
            strangers.pop(found.group(1).lower(), None)  # who asked last comes last
            strangers[found.group(1).lower()] = line
        elif "tftp" in line and any(re.search(rf"\b{re.escape(address)}\b", line) for address in mine):
            tftp.append(line)
    return dhcp, tftp, strangers, mine


def latest(strangers: dict[str, str]) -> dict[str, str]:
    """The other MAC addresses that asked last."""
    return dict(list(strangers.items())[-MOST_STRANGERS:])


def recent(line: str, since: float) -> bool:
    """Whether a line of the web server's log is not older than ``since``; one without a time is."""
    stamp = STAMP.search(line)
    return bool(stamp) and datetime.strptime(stamp.group(1), "%d/%b/%Y:%H:%M:%S %z").timestamp() >= since


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "macs": {"type": "list", "elements": "str", "required": True},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 3600},
            "unit": {"type": "str", "default": "dnsmasq"},
            "access_log": {"type": "path", "default": "/var/log/nginx/access.log"},
            "lines": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    p: dict[str, Any] = module.params
    command = ["journalctl", "--no-pager", "-q", "-o", "short", "-u", p["unit"]]
    command += ["--since", f"-{p['seconds']}s", "--grep", "DHCP|tftp"]
    code, out, _ = module.run_command(command)
    dhcp, tftp, strangers, mine = sort_journal(out.splitlines(), p["macs"], p["addresses"])
    http: list[str] = []
    if os.path.exists(p["access_log"]):
        with open(p["access_log"], "rb") as handle:
            handle.seek(max(0, os.path.getsize(p["access_log"]) - TAIL))
            said = handle.read().decode(errors="replace").splitlines()
        since = time.time() - p["seconds"]
        http = [line for line in said if line.split(" ", 1)[0] in mine and recent(line, since)]
    keep = p["lines"]
    module.exit_json(
        changed=False,
        dhcp=dhcp[-keep:],
        tftp=tftp[-keep:],
        http=http[-keep:],
        strangers=latest(strangers),
        looked=code in (0, 1),  # 1: no line fits
    )


if __name__ == "__main__":
    main()
