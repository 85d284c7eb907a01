"""``python -m rackwright.acceptance``: the same as ``rackwright accept``, with less to install."""

from __future__ import annotations

import argparse
import sys

from rackwright.cli.accept import arguments, run
from rackwright.errors import RackwrightError


def main() -> int:
    """Parse and run; never a traceback for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m rackwright.acceptance")
    arguments(parser)
    try:
        return run(parser.parse_args())
    except RackwrightError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
