"""The entry point of the ``rackwright`` command."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import sys
import traceback

from rackwright import __version__
from rackwright.errors import ExitCode, RackwrightError

COMMANDS = (
    "validate",
    "rules",
    "render",
    "book",
    "size",
    "import",
    "discover",
    "conformance",
    "rollout",
    "rehearse",
    "lab",
    "accept",
    "bundle",
    "report",
    "doctor",
)


def parser(argv: list[str]) -> argparse.ArgumentParser:
    """The argument parser; only the command that ``argv`` names is loaded, all of them when it names none."""
    root = argparse.ArgumentParser(
        prog="rackwright", description="Roll out a rack of GPU servers from one site file."
    )
    root.add_argument("--version", action="version", version=f"rackwright {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = [name for name in COMMANDS if argv[:1] == [name]]
    for name in named or COMMANDS:
        module = "import_" if name == "import" else name
        importlib.import_module(f"rackwright.cli.{module}").register(commands)
    return root


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code and never shows a traceback for a user's mistake."""
    words = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows a mark in its place.
            stream.reconfigure(errors="replace")
    args = parser(words).parse_args(words)
    try:
        return int(args.run(args))
    except RackwrightError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return int(ExitCode.NOT_AS_IT_SHOULD_BE)
    except BrokenPipeError:
        return int(ExitCode.DONE)
    except Exception as error:
        if isinstance(error, OSError) and (error.filename or error.errno in (errno.ENOSPC, errno.ENOENT)):
            # The machine's word on a file; without a name: on the output, or on the folder the user stands in.
            place = error.filename or "the output or the working directory"
            print(f"{place}: {error.strerror}", file=sys.stderr)
            return int(ExitCode.INPUT_WRONG)
        traceback.print_exc()
        print("this is a fault of Rackwright's own: please report it with the lines above", file=sys.stderr)
        return int(ExitCode.OWN_ERROR)


if __name__ == "__main__":
    sys.exit(main())
