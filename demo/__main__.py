"""`python -m demo`: see `make demo`."""

from __future__ import annotations

import argparse
import os
import signal
import sys


def main() -> int:
    """Run the demo; the result is the exit code."""
    # Until the demo can take a signal in an orderly way, there is nothing yet to put in order.
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    options = _parser().parse_args()
    from demo.running import run  # noqa: PLC0415 - so that a Ctrl-C during these imports is quiet too

    return run(keep=options.keep, quick=options.quick, seed=options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="A shop, two services, live traffic, a bug found, a share that moves and comes back.",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running at the end, until Ctrl-C"
    )
    parser.add_argument("--quick", action="store_true", help="the same story with fewer requests")
    parser.add_argument("--seed", type=int, default=1, help="of the customers' wishes (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
