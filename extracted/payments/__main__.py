"""`python -m extracted.payments`: serve payments, or import them from the monolith."""

import argparse
import json
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import uvloop

from extracted.payments import __doc__ as about
from extracted.payments.callers import Login
from extracted.payments.database import UnusableDatabase, open_database
from extracted.payments.importing import import_from
from extracted.payments.reconciling import reconcile
from extracted.payments.releases import RELEASES
from extracted.payments.serving import serve
from extracted.payments.telling import COMMAND, PROGRAM
from extracted.payments.tokens import KeyFile, UnusableKeys
from extracted.payments.web import make_app
from shop_events import consume_command, events_command, relay_command
from shop_events.program import WrongUse

SHOWN = 20  # rows that differ are shown, and the others counted


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help says more)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the result is the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "serve")
    options = _parser().parse_args(given)
    try:
        return COMMANDS[options.command](options)
    except (UnusableDatabase, UnusableKeys, WrongUse) as error:
        return _refuse(str(error))
    except sqlite3.Error as error:  # it could be opened, and then it was busy, or its disk was full
        return _refuse(f"cannot use the database {options.database}: {error}")


def _serve(options: argparse.Namespace) -> int:
    login = _login(options)
    try:
        with (
            closing(open_database(options.database)) as writer,
            closing(open_database(options.database)) as reader,
        ):
            reader.execute("PRAGMA query_only = ON")
            app = make_app(reader, writer, RELEASES[options.release], login=login)
            if options.relay:
                app.cleanup_ctx.append(relay_command.beside(PROGRAM, options))
            if options.consume:
                app.cleanup_ctx.append(consume_command.beside(PROGRAM, options))
            uvloop.run(serve(app, options.host, options.port))
    except KeyboardInterrupt:
        pass  # told to stop before it listened: nothing was begun that must be ended
    except OSError as error:
        return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}")
    return 0


def _login(options: argparse.Namespace) -> Login | None:
    """Raises UnusableKeys."""
    if not options.require_login:
        return None
    if options.token_keys is None:
        raise UnusableKeys("--require-login needs the monolith's --token-keys")
    return Login(KeyFile(options.token_keys), options.login_at)


def _import(options: argparse.Namespace) -> int:
    try:
        done = import_from(options.source, options.database)
    except KeyboardInterrupt:
        print(f"{COMMAND}: interrupted, nothing was imported", file=sys.stderr)
        return 130
    print(f"imported {options.source} into {options.database}")
    for table in done:
        print(f"  {table}")
    return 0


def _reconcile(options: argparse.Namespace) -> int:
    """0 when both are the same, 1 when not."""
    found = reconcile(options.source, options.database)
    if options.json:
        print(json.dumps({"equal": not found.differences, **asdict(found)}, indent=2))
    else:
        words = f"{len(found.differences)} differ" if found.differences else "all the same"
        print(
            f"{found.compared} rows compared, {words}; {found.to_come} events of the monolith are still to come"
        )
        if not found.imported:
            print("  nothing was imported from there yet: `import` does it")
        for each in found.differences[:SHOWN]:
            print(f"  {each}")
        if len(found.differences) > SHOWN:
            print(f"  and {len(found.differences) - SHOWN} more, all of them with --json")
    return 1 if found.differences else 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=COMMAND,
        description=about,
        epilog="Without a command it serves. `serve --help`, `import --help` and so on list the options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="{serve,import,reconcile,events,relay,consume}")
    _add_serve(commands)
    _add_import(commands)
    _add_reconcile(commands)
    events_command.add_to(commands)
    relay_command.add_to(commands)
    consume_command.add_to(PROGRAM, commands)
    return parser


def _add_serve(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = commands.add_parser("serve", help="answer requests until told to stop", allow_abbrev=False)
    command.add_argument(
        "--database", type=Path, required=True, metavar="FILE", help="the service's own SQLite database"
    )
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument(
        "--port",
        type=_port,
        default=8002,
        help="port to listen on, 0 for any free one (default: %(default)s)",
    )
    command.add_argument(
        "--release", choices=sorted(RELEASES), default="v2", help="which release to be (default: %(default)s)"
    )
    command.add_argument(
        "--require-login", action="store_true", help="show what belongs to an account to that account only"
    )
    command.add_argument(
        "--token-keys",
        type=Path,
        metavar="FILE",
        help="the keys of the monolith's tokens, to verify them with",
    )
    command.add_argument(
        "--login-at",
        type=_url,
        metavar="URL",
        help="the monolith, to ask about sessions without a token (default: they are refused)",
    )
    command.add_argument("--relay", action="store_true", help="deliver the events too, as `relay` does")
    relay_command.add_options(command)
    consume_command.add_options(command)


def _add_import(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = commands.add_parser(
        "import",
        help="copy what is new or changed from the monolith's database",
        description="Copy the accounts and payments that are new or changed, as they are at one "
        "moment. The shop may go on meanwhile; what changes later comes as events. It may be done again until "
        "orders are placed here.",
        allow_abbrev=False,
    )
    command.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="FILE", help="the monolith's database"
    )
    command.add_argument(
        "--database", type=Path, required=True, metavar="FILE", help="the service's own SQLite database"
    )


def _add_reconcile(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = commands.add_parser(
        "reconcile",
        help="compare the monolith's database with the service's",
        description="Compare the accounts and payments of both databases, and count the events that are "
        "still to come. Exit codes: 0 the same, 1 something differs, 2 a file is wrong.",
        allow_abbrev=False,
    )
    command.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="FILE", help="the monolith's database"
    )
    command.add_argument(
        "--database", type=Path, required=True, metavar="FILE", help="the service's own SQLite database"
    )
    command.add_argument("--json", action="store_true", help="say it as JSON, for programs")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.netloc and not (parts.query or parts.fragment):
        return text.rstrip("/")
    raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://127.0.0.1:8001")


def _refuse(message: str) -> int:
    print(f"{COMMAND}: error: {message}", file=sys.stderr)
    return 2


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": _serve,
    "import": _import,
    "reconcile": _reconcile,
    "events": partial(events_command.run, PROGRAM),
    "relay": partial(relay_command.run, PROGRAM),
    "consume": partial(consume_command.run, PROGRAM),
}


if __name__ == "__main__":
    sys.exit(main())
