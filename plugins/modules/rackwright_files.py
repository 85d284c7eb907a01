#!/usr/bin/python
"""Bring a set of files to the stated content, mode and owner, all of them or none."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import shlex
import shutil
import stat
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_files
short_description: Several files at once, atomically and with one diff each
description:
  - Writes all new content beside its destination, validates every file, and only then renames them into
    place, so that a refused file leaves the machine as it was.
  - A file whose content, mode and owner are right is not touched.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: Text of the file., type: str}
      content_base64: {description: Bytes of the file in base64; instead of I(content)., type: str}
      mode: {description: Octal mode; 0644 for files and 0755 for directories., type: str}
      owner: {description: User name or number., type: str, default: root}
      group: {description: Group name or number., type: str, default: root}
      state:
        description: What is to be there; C(any) leaves the path alone.
        type: str
        choices: [file, directory, absent, any]
        default: file
      create_only: {description: Leave an existing file's content alone., type: bool, default: false}
      purge:
        description: With I(state=directory), remove files in it that are not listed under I(files).
        type: bool
        default: false
      secret: {description: Show no content in diffs., type: bool, default: false}
      validate:
        description: Command with C(%s) for the new file; skipped while its program is not installed yet.
        type: str
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

SUBOPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "content_base64": {"type": "str"},
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "state": {"type": "str", "choices": ["file", "directory", "absent", "any"], "default": "file"},
    "create_only": {"type": "bool", "default": False},
    "purge": {"type": "bool", "default": False},
    "secret": {"type": "bool", "default": False, "no_log": False},
    "validate": {"type": "str"},
}


class FilesModule(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule whose parameters never reach the syslog: they are whole files."""

    def _log_invocation(self) -> None:
        self.log(f"rackwright_files: {len(self.params['files'])} files")


class Entry:
    """One wanted file and what stands in its place."""

    def __init__(self, module: AnsibleModule, wanted: dict[str, Any]) -> None:
        self.module = module
        self.wanted = wanted
        self.path: str = wanted["path"]
        self.state: str = wanted["state"]
        self.mode = int(wanted["mode"] or ("0755" if self.state == "directory" else "0644"), 8)
        self.uid = self._number(wanted["owner"], pwd.getpwnam, "user")
        self.gid = self._number(wanted["group"], grp.getgrnam, "group")
        self.content = self._content()
        self.temporary: str | None = None
        try:
            self.now: os.stat_result | None = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            self.now = None
        self.before = b""
        if self.now and stat.S_ISREG(self.now.st_mode):
            with open(self.path, "rb") as handle:
                self.before = handle.read()

    def _number(self, name: str, lookup: Any, kind: str) -> int | None:
        if name.isdigit():
            return int(name)
        try:
            return int(lookup(name)[2])
        except KeyError:
            if self.module.check_mode:
                return None  # the package that makes it would be installed by the real run
            self.module.fail_json(msg=f"{self.path}: the {kind} {name!r} does not exist on this machine")
            raise

    def _content(self) -> bytes | None:
        if self.wanted["content_base64"] is not None:
            return base64.b64decode(self.wanted["content_base64"])
        if self.wanted["content"] is not None:
            return str(self.wanted["content"]).encode()
        if self.state == "file":
            self.module.fail_json(msg=f"{self.path}: neither content nor content_base64 is given")
        return None

    @property
    def content_differs(self) -> bool:
        """Whether the bytes have to be written."""
        if self.state != "file":
            return False
        if self.now is None or not stat.S_ISREG(self.now.st_mode):
            return True
        return not self.wanted["create_only"] and self.before != self.content

    @property
    def attributes_differ(self) -> bool:
        """Whether mode or owner have to be set."""
        if self.now is None:
            return self.state != "absent"
        wanted = (self.mode, self.uid, self.gid)
        return (stat.S_IMODE(self.now.st_mode), self.now.st_uid, self.now.st_gid) != wanted

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        if self.state == "absent":
            return self.now is not None
        if self.state == "directory":
            return self.now is None or not stat.S_ISDIR(self.now.st_mode) or self.attributes_differ
        return self.content_differs or self.attributes_differ

    def diff(self) -> dict[str, str]:
        """Before and after in the form that ``--diff`` shows."""
        shown = {"before_header": self.path, "after_header": self.path, "before": "", "after": ""}
        if self.content_differs or self.state == "absent":
            after = self.content or b""
            if self.wanted["secret"]:
                shown["before"] = "(secret)\n" if self.now else ""
                shown["after"] = "(secret, changed)\n" if self.state == "file" else ""
            elif b"\0" in self.before + after:
                shown["before"] = f"({len(self.before)} bytes)\n" if self.now else ""
                shown["after"] = f"({len(after)} bytes, other content)\n"
            else:
                shown["before"] = self.before.decode(errors="replace")
                shown["after"] = after.decode(errors="replace")
        if self.state != "absent" and self.attributes_differ:
            if self.now:
                shown["before"] += (
                    f"# mode {stat.S_IMODE(self.now.st_mode):04o} {self.now.st_uid}:{self.now.st_gid}\n"
                )
            shown["after"] += f"# mode {self.mode:04o} {self.wanted['owner']}:{self.wanted['group']}\n"
        return shown

    def prepare(self) -> None:
        """Write the new content beside its destination and validate it."""
        if not self.content_differs:
            return
        parent = os.path.dirname(self.path)
        os.makedirs(parent, mode=0o755, exist_ok=True)
        descriptor, self.temporary = tempfile.mkstemp(dir=parent, prefix=".rackwright-")
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(self.content or b"")
            os.fchmod(handle.fileno(), self.mode)
            os.fchown(handle.fileno(), self.uid or 0, self.gid or 0)
            handle.flush()
            os.fsync(handle.fileno())
        self._validate(self.temporary)

    def _validate(self, temporary: str) -> None:
        command = shlex.split(self.wanted["validate"] or "")
        if not command or not shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin"):
            return
        command = [part.replace("%s", temporary) for part in command]
        code, out, err = self.module.run_command(command)
        if code:
            evidence = "(not shown: the file is secret)" if self.wanted["secret"] else (err or out).strip()
            self.module.fail_json(
                msg=f"the new {self.path} was refused by {command[0]} (exit {code}); nothing was changed. "
                f"Evidence: {evidence}",
                command=" ".join(command),
            )

    def apply(self) -> None:
        """Make it so."""
        if self.state == "absent":
            if self.now and stat.S_ISDIR(self.now.st_mode):
                shutil.rmtree(self.path)
            else:
                os.unlink(self.path)
            return
        if self.state == "directory":
            if self.now and not stat.S_ISDIR(self.now.st_mode):
                self.module.fail_json(msg=f"{self.path} is to be a directory, but something else is there")
            os.makedirs(self.path, exist_ok=True)
        elif self.temporary:
            os.replace(self.temporary, self.path)
            self.temporary = None
            return
        os.chmod(self.path, self.mode)
        os.chown(self.path, self.uid or 0, self.gid or 0)

    def discard(self) -> None:
        """Remove what ``prepare`` left, if it is still there."""
        if self.temporary and os.path.exists(self.temporary):
            os.unlink(self.temporary)


def superfluous(entries: list[Entry]) -> list[str]:
    """Files lying in purged directories that nobody asked for."""
    wanted = {entry.path for entry in entries if entry.state != "absent"}
    found = []
    for entry in entries:
        if entry.wanted["purge"] and os.path.isdir(entry.path):
            names = (os.path.join(entry.path, name) for name in sorted(os.listdir(entry.path)))
            found += [name for name in names if name not in wanted and not os.path.isdir(name)]
    return found


def main() -> None:
    """Run the module."""
    module = FilesModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": SUBOPTIONS}
        },
        supports_check_mode=True,
    )
    wanted = module.params["files"]
    module.params["files"] = [entry["path"] for entry in wanted]  # what the result shows as the invocation
    entries = [Entry(module, entry) for entry in wanted if entry["state"] != "any"]
    listed = {entry.path for entry in entries}
    blank = {name: spec.get("default") for name, spec in SUBOPTIONS.items()}
    entries += [
        Entry(module, {**blank, "path": path, "state": "absent"})
        for path in superfluous(entries)
        if path not in listed
    ]
    changed = [entry for entry in entries if entry.changed]
    diff = [entry.diff() for entry in changed] if module._diff else []
    if not module.check_mode:
        try:
            for entry in changed:
                entry.prepare()
            for entry in changed:
                entry.apply()
        except OSError as error:
            module.fail_json(
                msg=f"cannot write {error.filename or 'a file'}: {error.strerror}; mend it and run again"
            )
        finally:
            for entry in changed:
                entry.discard()
    module.exit_json(changed=bool(changed), changed_paths=[entry.path for entry in changed], diff=diff)


if __name__ == "__main__":
    main()
