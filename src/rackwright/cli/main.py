"""The entry point of the ``rackwright`` command."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import traceback

from rackwright import __version__
from rackwright.errors import ExitCode, RackwrightError

COMMANDS = ("validate", "render", "rollout", "rehearse", "lab", "bundle", "report", "doctor")


def parser() -> argparse.ArgumentParser:
    """The argument parser with every command registered."""
    root = argparse.ArgumentParser(prog="rackwright", description="Roll out a rack of GPU servers from one site file.")
    root.add_argument("--version", action="version", version=f"rackwright {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = f"rackwright.cli.{name}"
        if importlib.util.find_spec(module):
            importlib.import_module(module).register(commands)
    return root


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code and never shows a traceback for a user's mistake."""
    args = parser().parse_args(argv)
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
    except Exception:
        traceback.print_exc()
        print("this is a fault of Rackwright's own: please report it with the lines above", file=sys.stderr)
        return int(ExitCode.OWN_ERROR)


if __name__ == "__main__":
    sys.exit(main())
