#!/usr/bin/python
"""The head node's side of loading a bundle: what is missing, take it in, close the books."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_bundle
short_description: Load a bundle onto this machine (used by the action plugin of the same name)
description:
  - C(plan) compares the directory with a lock; C(receive) unpacks an archive, each file only under its
    right sha256; C(finish) removes what the lock does not list and writes the lock, last of all. A lock
    that lies here is therefore the proof that the load was completed.
  - Images that C(images.json) lists are unpacked by C(finish), and kept only under the sha256 that it says.
options:
  operation: {description: The step., type: str, choices: [plan, receive, finish], required: true}
  root: {description: Directory of the bundle on this machine., type: path, required: true}
  digest: {description: The lock's sha256., type: str, required: true}
  lock:
    description: The lock's text; C(plan) can do without when the same lock lies here.
    type: str
    default: ''
  shared:
    description: Others keep files in the directory too; only I(stale) files are ever removed.
    type: bool
    default: false
  stale: {description: What C(plan) found that has to go., type: list, elements: str, default: []}
  archive: {description: Tar archive with files of the bundle; removed when it is unpacked., type: path}
attributes:
  check_mode: {support: full, details: Only C(plan) is run in check mode.}
author: Rackwright
"""

RETURN = """
known: {description: Whether the plan is complete (else call again with I(lock))., type: bool, returned: plan}
missing: {description: Paths that have to be sent., type: list, elements: str, returned: plan}
stale: {description: Paths that the lock does not list., type: list, elements: str, returned: plan}
packed: {description: Images that are not unpacked yet., type: list, elements: str, returned: plan}
vouched: {description: Whether this very lock lies here already., type: bool, returned: plan}
"""

LOCK = "lock.json"
LOCK_SUM = "lock.json.sha256"
IMAGES = "images.json"
CHUNK = 1 << 20


def entries_of(lock: str) -> dict[str, tuple[str, int]]:
    """Path → sha256 and size in bytes."""
    return {entry["path"]: (entry["sha256"], entry["size"]) for entry in json.loads(lock)["entries"]}


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as handle:
        state = hashlib.sha256()
        while chunk := handle.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


class Store:
    """The bundle's directory on this machine."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.root = Path(module.params["root"])
        self.shared: bool = module.params["shared"]
        self.lock_file = self.root / LOCK

    def present(self) -> dict[str, int]:
        """Relative path → size of every file here, except the lock and its checksum."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                found[str(path.relative_to(self.root))] = path.lstat().st_size
        return {path: size for path, size in found.items() if path not in (LOCK, LOCK_SUM)}

    def plan(self, digest: str, lock: str) -> dict[str, Any]:
        """What has to come and what has to go."""
        own = self.lock_file.read_text(encoding="utf-8") if self.lock_file.exists() else ""
        same = hashlib.sha256(own.encode()).hexdigest() == digest
        if not same and not lock:
            return {"known": False, "vouched": False, "missing": [], "stale": [], "packed": []}
        wanted = entries_of(own if same else lock)
        trusted = entries_of(own) if own else {}
        present = self.present()
        missing = []
        for path, (sha256, size) in sorted(wanted.items()):
            right = present.get(path) == size and (
                trusted.get(path) == (sha256, size) or digest_of(self.root / path) == sha256
            )
            if not right:
                missing.append(path)
        stale = sorted(present.keys() - wanted.keys())
        if self.shared:
            stale = [
                path for path in stale if path in trusted or f"{path}.zst" in trusted.keys() - wanted.keys()
            ]
        packed = [] if missing else [image["file"] for image in self.packed()]
        return {"known": True, "vouched": same, "missing": missing, "stale": stale, "packed": packed}

    def packed(self) -> list[dict[str, Any]]:
        """The images that lie here packed only; of an interrupted unpacking nothing is left."""
        if IMAGES not in self.present():
            return []
        images: list[dict[str, Any]] = json.loads((self.root / IMAGES).read_text(encoding="utf-8"))
        return [image for image in images if not (self.root / image["file"]).exists()]

    def unpack(self) -> None:
        """Unpack images; each takes its name only after its sha256 was found right."""
        for image in self.packed():
            target = self.root / image["file"]
            part = target.with_name(f".{target.name}.part")
            argv = ["zstd", "-q", "-d", "-f", "--sparse", str(self.root / image["packed"]), "-o", str(part)]
            try:
                done = subprocess.run(argv, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                self.module.fail_json(msg="zstd is not installed. Next: install it, then run again.")
            if done.returncode or digest_of(part) != image["sha256"]:
                part.unlink(missing_ok=True)
                self.module.fail_json(
                    msg=f"{image['packed']} doesn't unpack to an image with sha256 {image['sha256']}: "
                    f"{done.stderr.strip() or 'its content is another'}. Next: 'rackwright bundle verify'."
                )
            part.chmod(0o644)
            part.replace(target)

    def _take(self, source: IO[bytes], path: Path, sha256: str) -> None:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        state = hashlib.sha256()
        with temporary.open("wb") as handle:
            while chunk := source.read(CHUNK):
                state.update(chunk)
                handle.write(chunk)
            os.fchmod(handle.fileno(), 0o644)
        if state.hexdigest() != sha256:
            temporary.unlink()
            self.module.fail_json(
                msg=f"{path.relative_to(self.root)} has sha256 {state.hexdigest()}, not "
                f"{sha256}. Cause: the bundle changed after it was locked. Next: 'rackwright bundle verify'."
            )
        temporary.replace(path)
        if path.suffix == ".zst":
            path.with_suffix("").unlink(missing_ok=True)  # unpacked from what lay here before

    def receive(self, archive: Path, lock: str) -> None:
        """Unpack ``archive``; a file is renamed into place only after its sha256 was found right."""
        wanted = entries_of(lock)
        self.lock_file.unlink(missing_ok=True)  # from here on no lock vouches for this directory
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member)
                if source is None or member.name not in wanted:
                    self.module.fail_json(msg=f"the archive holds {member.name!r}, which is not in the lock")
                self._take(source, self.root / member.name, wanted[member.name][0])
        archive.unlink()

    def finish(self, digest: str, lock: str) -> None:
        """Remove what is not listed, then write the lock."""
        wanted, present = entries_of(lock), self.present()
        missing = sorted(path for path, (_, size) in wanted.items() if present.get(path) != size)
        if missing:
            self.module.fail_json(
                msg=f"still missing after the transfer: {', '.join(missing[:5])}; run again"
            )
        listed = present.keys() & set(self.module.params["stale"]) if self.shared else present.keys()
        for path in listed - wanted.keys():
            (self.root / path).unlink()
            for folder in list((self.root / path).parents)[: path.count("/")]:
                if not os.listdir(folder):
                    folder.rmdir()
        self.unpack()
        (self.root / LOCK_SUM).write_text(f"{digest}  {LOCK}\n", encoding="utf-8")
        temporary = self.root / ".lock.part"
        temporary.write_text(lock, encoding="utf-8")
        temporary.replace(self.lock_file)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "operation": {"type": "str", "choices": ["plan", "receive", "finish"], "required": True},
            "root": {"type": "path", "required": True},
            "digest": {"type": "str", "required": True},
            "lock": {"type": "str", "default": ""},
            "archive": {"type": "path"},
            "shared": {"type": "bool", "default": False},
            "stale": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    store, params = Store(module), module.params
    result: dict[str, Any] = {}
    try:
        if params["operation"] == "plan":
            result = store.plan(params["digest"], params["lock"])
        elif params["operation"] == "receive":
            store.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            store.receive(Path(params["archive"]), params["lock"])
        else:
            store.finish(params["digest"], params["lock"])
    except OSError as error:
        module.fail_json(
            msg=f"loading the bundle into {store.root}: {error.filename or ''}: {error.strerror}. "
            "What arrived so far is kept: run the same playbook again."
        )
    module.params["lock"] = f"({len(params['lock'])} characters)"
    module.exit_json(changed=params["operation"] != "plan", **result)


if __name__ == "__main__":
    main()
