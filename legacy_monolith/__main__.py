"""`python -m legacy_monolith`: start the shop."""

import argparse
import signal
import sqlite3
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import uvloop

from legacy_monolith import __doc__ as about
from legacy_monolith import seed
from legacy_monolith.database import open_writer
from legacy_monolith.errors import UnusableDatabase
from legacy_monolith.serving import serve
from legacy_monolith.web import make_app


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help says more)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the shop and run it until it is told to stop; the result is the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = _parser().parse_args(arguments)
        _run(options)
    except KeyboardInterrupt:
        pass  # told to stop before it listened: nothing was begun that must be ended
    except UnusableDatabase as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}")
    return 0


def _run(options: argparse.Namespace) -> None:
    writer = open_writer(options.database, partial(_fill, options.seed))
    try:
        uvloop.run(serve(make_app(writer, options.database, options.release), options.host, options.port))
    finally:
        writer.close()


def _fill(number: int, db: sqlite3.Connection) -> None:
    seed.fill(db, number)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m legacy_monolith",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=8001,
        help="port to listen on, 0 for any free one (default: %(default)s)",
    )
    parser.add_argument(
        "--release", type=_label, default="2019.4", help="what X-Release says (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=2019, help="seed of the data in a new database (default: %(default)s)"
    )
    return parser


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


def _label(text: str) -> str:
    if text and text.isascii() and text.isprintable() and " " not in text:
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a label of visible ASCII characters")


def _refuse(message: str) -> int:
    print(f"python -m legacy_monolith: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
