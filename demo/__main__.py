"""`python -m demo`: see `make demo`."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from demo.usage import Parser

#: Those of `demo.story`, which takes too long to import for a `--help`, or for an early Ctrl-C.
CHAPTERS = ("observe", "shadow", "find", "fix", "compare", "ramp", "crash", "roll-back", "finish")


def main() -> int:
    """Run the demo; the result is the exit code."""
    # Until the demo can take a signal in an orderly way, there is nothing yet to put in order.
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    options = _parser().parse_args()
    from demo.running import run  # noqa: PLC0415 - so that a Ctrl-C during these imports is quiet too

    return run(
        keep=options.keep,
        quick=options.quick,
        verbose=options.verbose,
        until=options.until,
        seed=options.seed,
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m demo",
        description="A shop is taken apart while its customers go on shopping: nine chapters, two lines each.",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running at the end, until Ctrl-C"
    )
    parser.add_argument("--quick", action="store_true", help="the same story with fewer requests")
    parser.add_argument(
        "--until",
        choices=CHAPTERS,
        default=CHAPTERS[-1],
        metavar="CHAPTER",
        help=f"end after this one of {', '.join(CHAPTERS)} (default: %(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="show what the commands print, too")
    parser.add_argument("--seed", type=int, default=1, help="of the customers' wishes (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
