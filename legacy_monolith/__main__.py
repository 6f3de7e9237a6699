"""`python -m legacy_monolith`: start the shop, or look after its sagas, events and prices."""

import argparse
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NoReturn

import uvloop

from legacy_monolith import __doc__ as about
from legacy_monolith import access, faults, operating, price_command, sagas_command, seed, settings
from legacy_monolith.database import open_writer
from legacy_monolith.errors import UnusableDatabase, UnusableKeys, WrongUse
from legacy_monolith.serving import serve
from legacy_monolith.telling import COMMAND, PROGRAM
from legacy_monolith.web import make_app
from shop_events import consume_command, events_command, program, relay_command


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help says more)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; without a command, serve. The result is the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "serve")
    try:
        options = _parser().parse_args(given)
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return 0 if given[0] == "serve" else 130  # told to stop before it listened: nothing was begun
    except (UnusableDatabase, UnusableKeys, WrongUse, program.WrongUse) as error:
        return _refuse(str(error))
    except sqlite3.Error as error:  # it could be opened, and then it was busy, or its disk was full
        return _refuse(f"cannot use the database {options.database}: {error}")


def _serve(options: argparse.Namespace) -> int:
    reach, let_in = faults.reach_of(os.environ), access.access_of(options)
    with closing(open_writer(options.database, partial(_fill, options.seed))) as writer:
        app = make_app(
            writer, options.database, options.release, settings.settings_of(options), reach, let_in
        )
        if options.relay:
            app.cleanup_ctx.append(relay_command.beside(PROGRAM, options))
        if options.consume:
            app.cleanup_ctx.append(consume_command.beside(PROGRAM, options))
        try:
            uvloop.run(serve(app, options.host, options.port))
        except OSError as error:
            return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}")
    return 0


def _fill(number: int, db: sqlite3.Connection) -> None:
    seed.fill(db, number)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=COMMAND,
        description=about,
        epilog="Without a command it serves. `serve --help`, `sagas --help` and so on list the options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(
        dest="command", metavar="{serve,sagas,events,relay,consume,price,keys,order}"
    )
    _add_serve(commands)
    sagas_command.add_to(commands, os.environ)
    events_command.add_to(commands)
    relay_command.add_to(commands)
    consume_command.add_to(PROGRAM, commands)
    price_command.add_to(commands)
    operating.add_commands(commands)
    return parser


def _add_serve(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser("serve", help="answer requests until told to stop", allow_abbrev=False)
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
    access.add_options(parser)
    parser.add_argument("--relay", action="store_true", help="deliver the events too, as `relay` does")
    relay_command.add_options(parser)
    consume_command.add_options(parser)
    settings.add_options(parser, os.environ)


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


def _label(text: str) -> str:
    if text and text.isascii() and text.isprintable() and " " not in text:
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a label of visible ASCII characters")


def _refuse(message: str) -> int:
    print(f"{COMMAND}: error: {message}", file=sys.stderr)
    return 2


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": _serve,
    "sagas": sagas_command.run,
    "events": partial(events_command.run, PROGRAM),
    "relay": partial(relay_command.run, PROGRAM),
    "consume": partial(consume_command.run, PROGRAM),
    "price": price_command.run,
    **dict.fromkeys(operating.COMMANDS, operating.run),
}


if __name__ == "__main__":
    sys.exit(main())
