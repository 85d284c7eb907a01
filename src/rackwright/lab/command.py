"""Running the host's own programs, with failures that say what was being done."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from rackwright.errors import RunFailure


def attempt(
    argv: Sequence[str],
    *,
    text: str | None = None,
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program and give its result whatever it is; a timeout counts as exit status 124."""
    try:
        return subprocess.run(
            list(argv),
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=dict(env) if env is not None else None,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(argv), 124, "", f"no answer within {timeout_s:g} s")
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(list(argv), 127, "", str(error))


def run(
    argv: Sequence[str],
    doing: str,
    *,
    text: str | None = None,
    timeout_s: float = 60,
    where: str = "this machine",
) -> str:
    """Run a program and give its output; RunFailure with its last words if not. ``doing``: an imperative."""
    result = attempt(argv, text=text, timeout_s=timeout_s)
    if result.returncode == 0:
        return result.stdout
    last = (result.stderr or result.stdout).strip().splitlines()[-5:]
    cause = "the program is not installed" if result.returncode == 127 else "see the evidence"
    raise RunFailure(
        what=doing,
        where=where,
        evidence=f"`{' '.join(argv[:6])}{' …' if len(argv) > 6 else ''}` ended with {result.returncode}: "
        + " | ".join(last),
        cause=cause,
        next_command="rackwright doctor" if result.returncode == 127 else "rackwright lab status",
    )
