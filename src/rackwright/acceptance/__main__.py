"""``python -m rackwright.acceptance``: the same as ``rackwright accept``, with less to install."""

from __future__ import annotations

import argparse
import sys

from rackwright.cli.accept import arguments, run
from rackwright.errors import ExitCode, RackwrightError


def main() -> int:
    """Parse and run; never a traceback for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m rackwright.acceptance")
    arguments(parser)
    try:
        return run(parser.parse_args())
    except RackwrightError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: nothing was judged; run it again", file=sys.stderr)
        return int(ExitCode.NOT_AS_IT_SHOULD_BE)


if __name__ == "__main__":
    sys.exit(main())
