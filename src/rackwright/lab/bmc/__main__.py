"""``python -m rackwright.lab.bmc --config FILE``: serve until told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab.bmc.config import read_configs
from rackwright.lab.bmc.server import serve


def main() -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m rackwright.lab.bmc", description="Serve virtual BMCs.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: one BMC, or {'bmcs': [...]}")
    until = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: until.set())
    try:
        serve(read_configs(parser.parse_args().config), until)
    except RackwrightError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"the virtual BMC can't start: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
