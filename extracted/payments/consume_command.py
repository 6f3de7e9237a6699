"""`python -m extracted.payments consume`: take events from a stream in Redis, in a process of its own."""

import argparse
import asyncio
import fcntl
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from aiohttp import web

from extracted.payments import relay_command, stream
from extracted.payments.database import UnusableDatabase, open_existing
from extracted.payments.optional import check_redis
from extracted.payments.stream import Stream

GROUP = "payments"

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Offer the command."""
    parser = commands.add_parser(
        "consume",
        help="take events from a stream in Redis until told to stop",
        description="Take the events of a stream in Redis, until told to stop. Of several that take the events of one "
        "group into one database, one works and the others stand by.",
        allow_abbrev=False,
    )
    parser.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")
    parser.add_argument(
        "--from",
        dest="consume",
        type=_stream,
        required=True,
        metavar="URL",
        help=f"the stream, such as {stream.EXAMPLE}",
    )
    parser.add_argument(
        "--group",
        type=_name,
        default=GROUP,
        metavar="NAME",
        help="the group, which is the name of the subscription (default: %(default)s)",
    )
    parser.add_argument(
        "--consumer",
        type=_name,
        metavar="NAME",
        help="what this one is called in Redis (default: as the group)",
    )
    relay_command.add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Offer what lets a server consume too."""
    parser.add_argument(
        "--consume", type=_stream, metavar="URL", help="take the events of this stream too, as `consume` does"
    )


def run(options: argparse.Namespace) -> int:
    """Take events until told to stop. Raises UnusableDatabase, WrongUse."""
    with suppress(KeyboardInterrupt):
        _consume(options, options.group, options.consumer or options.group, Event(), _print)
    return 0


def beside(options: argparse.Namespace) -> Callable[[web.Application], AsyncIterator[None]]:
    """Give what takes events while an application serves, on a thread of its own. Raises WrongUse."""
    check_redis()

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        stop = Event()
        thread = Thread(target=_consume_surely, args=(options, stop), name="consume")
        thread.start()
        yield
        stop.set()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    return lifetime


def _consume_surely(options: argparse.Namespace, stop: Event) -> None:
    while not stop.is_set():
        try:
            _consume(options, GROUP, GROUP, stop, _log.info)
        except UnusableDatabase as error:
            _log.error("no events are taken: %s", error)
            stop.wait(1.0)


def _consume(
    options: argparse.Namespace, group: str, name: str, stop: Event, say: Callable[[str], None]
) -> None:
    check_redis()
    from extracted.payments.consuming import Consumer  # noqa: PLC0415 - it needs what is optional

    source: Stream = options.consume
    with (
        closing(open_existing(options.database)) as db,
        _alone(Path(f"{options.database.resolve()}-{group}-{source.name}.lock"), stop, say),
    ):
        if not stop.is_set():
            say(f"taking the events of {source.name} as {group}")
        pace = relay_command.pace_of(options)
        Consumer(db, source, group, name, pace, clock=time.time, draw=random.random).run(stop)


@contextmanager
def _alone(path: Path, stop: Event, say: Callable[[str], None]) -> Iterator[None]:
    """Be the only one during the block; stand by until then. Raises UnusableDatabase.

    The system takes the lock from a process that dies.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise UnusableDatabase(f"cannot open {path}: {error.strerror or error}") from error
    with file:
        said = False
        while not stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    say("standing by: another one takes these events")
                said = True
                stop.wait(0.1)
        yield


def _print(text: str) -> None:
    print(text, flush=True)


def _stream(text: str) -> Stream:
    try:
        return stream.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _name(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no name: small letters, digits and dashes")
