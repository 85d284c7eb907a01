#!/usr/bin/python
"""What the agent is booted from: kernel, ramdisk with the site's own files, loader for virtual media."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_boot_media
short_description: Kernel, ramdisk and loader that Ironic boots its agent from
description:
  - Copies the kernel; appends an archive with the site's own files to the ramdisk, which the kernel unpacks over it;
    makes a FAT image with the loaders.
  - All three are made the same way from the same files, so that what is there is compared with what should be.
options:
  directory: {description: Where they lie., type: path, required: true}
  owner: {description: Their owner; Ironic can then link them instead of copying., type: str, default: ironic}
  kernel: {description: The agent's kernel., type: path, required: true}
  initramfs: {description: The agent's ramdisk., type: path, required: true}
  files:
    description: What is added to the ramdisk.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path in the ramdisk., type: str, required: true}
      source: {description: File on this machine., type: path, required: true}
  loaders:
    description: Files of the FAT image.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Path in the image., type: str, required: true}
      source: {description: File on this machine., type: path, required: true}
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

CHUNK = 1 << 20
LOADER_KIB = 16 * 1024


def padded(data: bytes) -> bytes:
    """``data`` filled up with zeros to a multiple of four, as the archive's format wants."""
    return data + b"\0" * (-len(data) % 4)


def member(number: int, name: str, mode: int, content: bytes) -> bytes:
    """One entry of a ``newc`` archive. Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst."""
    encoded = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    return padded(head + encoded) + padded(content)


def archive(files: dict[str, bytes]) -> bytes:
    """An archive of these files (absolute path → content), readable by all, with the directories they need."""
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "/"}
    entries = [(name.lstrip("/"), stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    entries += [(name.lstrip("/"), stat.S_IFREG | 0o644, data) for name, data in sorted(files.items())]
    made = b"".join(member(number, *entry) for number, entry in enumerate(entries, 1))
    return made + member(0, "TRAILER!!!", 0, b"")


def chunks(handle: BinaryIO) -> Iterator[bytes]:
    """A file's content, piece by piece."""
    while piece := handle.read(CHUNK):
        yield piece


def digest(path: Path, tail: bytes = b"") -> str:
    """SHA-256 of a file with ``tail`` after it; empty where there is no file."""
    if not path.is_file():
        return ""
    known = hashlib.sha256()
    with path.open("rb") as handle:
        for piece in chunks(handle):
            known.update(piece)
    known.update(tail)
    return known.hexdigest()


class Media:
    """The files of one directory."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.directory = Path(module.params["directory"])
        self.changed: list[str] = []
        try:
            self.owner: pwd.struct_passwd | None = pwd.getpwnam(module.params["owner"])
        except KeyError:
            self.owner = None

    def missing(self) -> list[str]:
        """The sources that are not there."""
        params = self.module.params
        sources = [params["kernel"], params["initramfs"]]
        sources += [entry["source"] for entry in (*params["files"], *params["loaders"])]
        return [source for source in sources if not os.path.isfile(source)]

    def keep(self, name: str, source: Path, tail: bytes = b"") -> None:
        """Have ``source`` with ``tail`` after it under ``name``, the owner's and readable by all."""
        path = self.directory / name
        owner = (self.owner.pw_uid, self.owner.pw_gid) if self.owner else (0, 0)
        if path.exists() and digest(path) == digest(source, tail):
            now = path.stat()
            if (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (*owner, 0o644):
                return
        self.changed.append(str(path))
        if self.module.check_mode:
            return
        descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=".rackwright-")
        with os.fdopen(descriptor, "wb") as handle, source.open("rb") as original:
            shutil.copyfileobj(original, handle, CHUNK)
            handle.write(tail)
            os.fchmod(handle.fileno(), 0o644)
            os.fchown(handle.fileno(), *owner)
            handle.flush()
            os.fsync(handle.fileno())
        # The old file stays what servers that boot just now read.
        Path(temporary).replace(path)

    def site_files(self, ramdisk: Path) -> bytes:
        """The archive with the site's files, as it has to follow ``ramdisk`` for the kernel to find it."""
        files = {entry["path"]: Path(entry["source"]).read_bytes() for entry in self.module.params["files"]}
        return b"\0" * (-ramdisk.stat().st_size % 512) + archive(files)

    def loader(self, scratch: Path) -> Path:
        """A FAT image with the loaders, the same bytes whenever it is made."""
        tree = scratch / "tree"
        for entry in self.module.params["loaders"]:
            path = tree / entry["path"].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(entry["source"], path)
        for path in [tree, *tree.rglob("*")]:
            os.utime(path, (0, 0))
        made = scratch / "loader"
        environment = {"SOURCE_DATE_EPOCH": "0", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
        for command in (
            ["mkfs.vfat", "--invariant", "-n", "RACKWRIGHT", "-C", str(made), str(LOADER_KIB)],
            ["mcopy", "-s", "-m", "-i", str(made), *sorted(str(path) for path in tree.iterdir()), "::"],
        ):
            self.module.run_command(command, check_rc=True, environ_update=environment)
        return made


def main() -> None:
    """Run the module."""
    entries = {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "source": {"type": "path", "required": True},
        },
    }
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "owner": {"type": "str", "default": "ironic"},
            "kernel": {"type": "path", "required": True},
            "initramfs": {"type": "path", "required": True},
            "files": entries,
            "loaders": entries,
        },
        supports_check_mode=True,
    )
    media = Media(module)
    names = ("ipa.kernel", "ipa.initramfs", "esp.img")
    if missing := media.missing():
        if module.check_mode:
            module.exit_json(changed=True, changed_paths=[str(media.directory / name) for name in names])
        module.fail_json(
            msg=f"nothing to boot servers from: {', '.join(missing)} is not on this machine. Cause: the bundle was "
            "built without the parts for bare metal, or they were not loaded onto the head node. Next: build the "
            "bundle again, then the same playbook."
        )
    kernel, ramdisk = Path(module.params["kernel"]), Path(module.params["initramfs"])
    media.keep(names[0], kernel)
    media.keep(names[1], ramdisk, media.site_files(ramdisk))
    with tempfile.TemporaryDirectory(prefix=".rackwright-") as folder:
        media.keep(names[2], media.loader(Path(folder)))
    module.exit_json(
        changed=bool(media.changed),
        changed_paths=media.changed,
        diff={"before": "", "after": "".join(f"{path}: made anew\n" for path in media.changed)},
    )


if __name__ == "__main__":
    main()
