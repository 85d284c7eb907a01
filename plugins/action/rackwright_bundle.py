"""Carry a release's bundle to the head node: only what is missing there, in archives that can be resumed."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

try:
    import rackwright  # noqa: F401
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rackwright.errors import RackwrightError
from rackwright.mirror.lock import LOCK, LOCK_SUM, METAL, read_lock
from rackwright.paths import cache_dir
from rackwright.rollout.ready import load_ready_site

# Bytes in one archive: the most that an interruption loses, and the space it takes on either side.
BATCH = 64 << 20

ARGUMENTS = {
    "source": {"type": "str", "default": ""},
    "release": {"type": "str", "required": True},
    "destination": {"type": "str", "required": True},
    "part": {"type": "str", "choices": ["mirror", "metal"], "default": "mirror"},
}


def batches(bundle: Path, paths: list[str]) -> Iterator[list[str]]:
    """``paths`` in groups of at most BATCH bytes (a larger file is a group of its own)."""
    group: list[str] = []
    size = 0
    for path in paths:
        length = (bundle / path).stat().st_size
        if group and size + length > BATCH:
            yield group
            group, size = [], 0
        group.append(path)
        size += length
    if group:
        yield group


@contextmanager
def archive_file() -> Iterator[Path]:
    """A place for one archive, removed afterwards; so are those that killed runs have left."""
    folder = cache_dir() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("bundle-*.tar"):
        if not Path("/proc", left.stem.partition("-")[2]).exists():
            left.unlink(missing_ok=True)
    file = folder / f"bundle-{os.getpid()}.tar"
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


class ActionModule(ActionBase):  # type: ignore[misc]
    """``source``: directory here (or the release's own); ``destination``: directory on the head node.

    ``part``: ``mirror`` (the usual) is what is installed from; ``metal`` is what bare servers boot and are
    written with, whose images are unpacked there, and whose directory may hold other files.
    """

    _requires_connection = True
    _supports_check_mode = True

    def _step(self, operation: str, variables: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="rackwright_bundle",
            module_args={"operation": operation, **self._common, **arguments},
            task_vars=variables,
        )
        result.pop("invocation", None)
        if result.get("failed"):
            raise AnsibleActionFail(
                str(result.get("msg", "the module ended without saying why")), result=result
            )
        return result

    def _locate(self, source: str, release: str) -> Path:
        bundle = Path(source).expanduser() if source else cache_dir() / "bundles" / release
        if not (bundle / LOCK).is_file():
            raise AnsibleActionFail(
                f"there is no bundle of release {release} in {bundle}. Next: 'rackwright bundle build', "
                "or carry one here and name its directory in bundle_source."
            )
        return bundle

    def _lock(self, bundle: Path, metal: bool) -> str:
        text = (bundle / LOCK).read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if not (bundle / LOCK_SUM).read_text(encoding="utf-8").startswith(digest):
            raise AnsibleActionFail(
                f"{bundle / LOCK} is not the file that {LOCK_SUM} was written for: damaged on its way"
            )
        try:
            whole = read_lock(bundle)
        except RackwrightError as error:
            raise AnsibleActionFail(str(error)) from None
        if metal and not whole.metal().entries:
            raise AnsibleActionFail(
                f"the bundle in {bundle} holds nothing for bare servers. "
                "Cause: it was built before there was any. Next: 'rackwright bundle build'."
            )
        return (whole.metal() if metal else whole.mirror()).dump()

    def _send(self, files: Path, group: list[str], lock: str, variables: dict[str, Any]) -> None:
        # A plain user may not write to the destination: go through Ansible's own temporary directory.
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "bundle.tar")
        with archive_file() as file:
            with tarfile.open(file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for path in group:
                    tar.add(files / path, arcname=path)
            self._transfer_file(str(file), remote)
        self._step("receive", variables, lock=lock, archive=remote)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Plan, send what is missing, finish; ``apt_key`` is the repository's public key in base64."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            # The first thing that a rollout does to a site: what can only be planned stops here, however it was started.
            load_ready_site(Path(variables["rackwright_site"]))
        except RackwrightError as error:
            raise AnsibleActionFail(str(error)) from None
        bundle = self._locate(str(arguments["source"]), str(arguments["release"]))
        metal = arguments["part"] == "metal"
        lock = self._lock(bundle, metal)
        files = bundle / METAL if metal else bundle
        digest = hashlib.sha256(lock.encode()).hexdigest()
        self._common = {"root": str(arguments["destination"]), "digest": digest, "shared": metal}
        plan = self._step("plan", variables)
        if not plan["known"]:
            plan = self._step("plan", variables, lock=lock)
        missing, stale = plan["missing"], plan["stale"]
        complete = plan["vouched"] and not missing and not stale and not plan["packed"]
        key = base64.b64encode((bundle / "apt" / "rackwright.gpg").read_bytes()).decode()
        result.update(changed=not complete, missing=len(missing), stale=len(stale), apt_key=key)
        result["diff"] = {
            "before": "".join(f"{path}\n" for path in stale),
            "after": "".join(f"{path}\n" for path in [*missing, *plan["packed"]]),
            "before_header": "in the mirror, not in the lock",
            "after_header": "in the lock, not in the mirror",
        }
        if self._task.check_mode or complete:
            return result
        sent = 0
        for group in batches(files, missing):
            self._send(files, group, lock, variables)
            sent += len(group)
            self._display.display(f"bundle: {sent} of {len(missing)} files are on the head node")
        self._step("finish", variables, lock=lock, stale=stale)
        return result
