"""The only settings of the host that a lab changes: announced, written down, and put back with the last lab.

inotify instances are counted per user of the whole machine. Eleven nodes with kubelet, containerd and the
control plane need more than the usual 128; a node that gets none fails without naming the cause.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from rackwright.errors import RunFailure
from rackwright.lab.state import labs_dir, lock, write

WANTED = {"fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524288}
PROC_SYS = Path("/proc/sys")


def _record() -> Path:
    return labs_dir() / ".host-limits.json"


def raise_limits(say: Callable[[str], None], proc_sys: Path = PROC_SYS) -> None:
    """Raise what is too low; RunFailure if that is not allowed."""
    with lock(labs_dir() / ".host-limits.lock", "look at the host's limits", "this machine", wait=True):
        before = _read()
        for name, wanted in WANTED.items():
            have = int((proc_sys / name).read_text())
            if have >= wanted:
                continue
            before.setdefault(name, have)
            write(_record(), json.dumps(before))
            try:
                (proc_sys / name).write_text(f"{wanted}\n")
            except OSError as error:
                raise RunFailure(
                    what=f"raise the host's {name.replace('/', '.')} from {have} to {wanted}",
                    where="this machine",
                    evidence=str(error),
                    cause="this process may not change the kernel's settings",
                    next_command=f"sysctl -w {name.replace('/', '.')}={wanted}",
                ) from error
            say(f"host: {name.replace('/', '.')} {have} → {wanted} (put back with the last lab)")


def restore_limits(say: Callable[[str], None], proc_sys: Path = PROC_SYS) -> None:
    """Put back what ``raise_limits`` raised, unless somebody changed it since."""
    with lock(labs_dir() / ".host-limits.lock", "look at the host's limits", "this machine", wait=True):
        for name, value in _read().items():
            if name in WANTED and int((proc_sys / name).read_text()) == WANTED[name]:
                (proc_sys / name).write_text(f"{value}\n")
                say(f"host: {name.replace('/', '.')} put back to {value}")
        _record().unlink(missing_ok=True)


def _read() -> dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        return {str(k): int(v) for k, v in json.loads(_record().read_text()).items()}
    return {}
