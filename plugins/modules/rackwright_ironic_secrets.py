#!/usr/bin/python
"""Keep Ironic's passwords on this machine: made once, never shown."""

from __future__ import annotations

import configparser
import grp
import os
import secrets
import stat
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import bcrypt

    HAVE_BCRYPT = True
except ImportError:
    HAVE_BCRYPT = False

DOCUMENTATION = """
module: rackwright_ironic_secrets
short_description: Ironic's passwords, made once on this machine
description:
  - Makes the API's password (C(password), readable by root alone) and the one by which API and conductors know
    each other, and keeps what Ironic checks them against (C(htpasswd), C(htpasswd-rpc)) true to them.
  - Writes C(secrets.conf), Ironic's settings that are secret, readable by root and I(group).
options:
  directory: {description: Where these files lie., type: path, required: true}
  user: {description: Who manages the site., type: str, default: rackwright}
  group: {description: The group that Ironic runs under., type: str, default: ironic}
  database_connection: {description: URL of a database that stands elsewhere., type: str, default: ""}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
changed_paths:
  description: The paths that were, or in check mode would be, changed.
  type: list
  elements: str
  returned: always
"""

# Every request is checked anew. The passwords are 256 random bits: a slow hash would protect nothing that is not safe
# already, and at its usual cost would let one server's agent occupy the API.
ROUNDS = 5
RPC_USER = "conductor"


class Keeper:
    """The files of one directory."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.directory = Path(module.params["directory"])
        self.changed: list[str] = []
        try:
            self.gid = grp.getgrnam(module.params["group"]).gr_gid
        except KeyError:
            if not module.check_mode:
                module.fail_json(
                    msg=f"no group {module.params['group']} is on this machine: install Ironic first"
                )
            self.gid = -1

    def read(self, name: str) -> str:
        """A file's text; empty where there is none."""
        path = self.directory / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def keep(self, name: str, text: str, mode: int, gid: int) -> None:
        """Write a file where its text, mode or owner is another."""
        path = self.directory / name
        if path.exists() and self.read(name) == text:
            now = path.stat()
            if (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (mode, 0, gid):
                return
        self.changed.append(str(path))
        if self.module.check_mode:
            return
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=".rackwright-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            os.fchown(handle.fileno(), 0, gid)
            os.fchmod(handle.fileno(), mode)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).replace(path)

    def entry(self, name: str, user: str, password: str) -> str:
        """The line that ``password`` is checked against: the one in the file if it is true."""
        text = self.read(name)
        known, _, digest = text.rstrip("\n").partition(":")
        if known == user and digest:
            try:
                if bcrypt.checkpw(password.encode(), digest.encode()):
                    return text
            except ValueError:  # no such digest: made anew
                pass
        return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()}\n"

    def rpc_password(self) -> str:
        """The password between API and conductors, as ``secrets.conf`` has it; a new one where it has none."""
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(self.read("secrets.conf"))
        except configparser.Error:
            return secrets.token_urlsafe(32)
        return parser.get("json_rpc", "password", fallback="") or secrets.token_urlsafe(32)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "user": {"type": "str", "default": "rackwright"},
            "group": {"type": "str", "default": "ironic"},
            "database_connection": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    keeper = Keeper(module)
    if not HAVE_BCRYPT:
        if not module.check_mode:
            module.fail_json(msg=missing_required_lib("bcrypt", reason="to check passwords as Ironic does"))
        names = ("password", "htpasswd", "htpasswd-rpc", "secrets.conf")
        module.exit_json(changed=True, changed_paths=[f"{params['directory']}/{name}" for name in names])
    password = keeper.read("password").strip() or secrets.token_urlsafe(32)
    rpc = keeper.rpc_password()
    text = (
        "# Made on this machine; no copy of it is anywhere else.\n"
        f"[json_rpc]\nusername = {RPC_USER}\npassword = {rpc}\n"
    )
    if params["database_connection"]:
        text += f"\n[database]\nconnection = {params['database_connection'].replace('$', '$$')}\n"
    keeper.keep("password", password + "\n", 0o600, 0)
    keeper.keep("htpasswd", keeper.entry("htpasswd", params["user"], password), 0o640, keeper.gid)
    keeper.keep("htpasswd-rpc", keeper.entry("htpasswd-rpc", RPC_USER, rpc), 0o640, keeper.gid)
    keeper.keep("secrets.conf", text, 0o640, keeper.gid)
    module.exit_json(
        changed=bool(keeper.changed),
        changed_paths=keeper.changed,
        diff={"before": "", "after": "".join(f"{path} (secret)\n" for path in keeper.changed)},
    )


if __name__ == "__main__":
    main()
