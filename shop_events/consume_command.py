"""`consume`: take events from a stream in Redis, in a process of its own."""

import argparse
import asyncio
import fcntl
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from aiohttp import web

from shop_events import relay_command, stream
from shop_events.optional import check_redis
from shop_events.program import Program, WrongUse, is_name
from shop_events.stream import Stream

_log = logging.getLogger(__name__)


def add_to(program: Program, commands: "argparse._SubParsersAction[Any]") -> None:
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
        default=program.group,
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


def run(program: Program, options: argparse.Namespace) -> int:
    """Take events until told to stop. Raises WrongUse, and what the program raises for an unusable database."""
    with suppress(KeyboardInterrupt):
        _consume(program, options, options.group, options.consumer or options.group, Event(), _print)
    return 0


def beside(program: Program, options: argparse.Namespace) -> Callable[[web.Application], AsyncIterator[None]]:
    """Give what takes events while an application serves, on a thread of its own. Raises WrongUse."""
    check_redis()

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        stop = Event()
        thread = Thread(target=_consume_surely, args=(program, options, stop), name="consume")
        thread.start()
        yield
        stop.set()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    return lifetime


def _consume_surely(program: Program, options: argparse.Namespace, stop: Event) -> None:
    while not stop.is_set():
        try:
            _consume(program, options, program.group, program.group, stop, _log.info)
        except (program.unusable, WrongUse) as error:
            _log.error("no events are taken: %s", error)
            stop.wait(1.0)


def _consume(
    program: Program,
    options: argparse.Namespace,
    group: str,
    name: str,
    stop: Event,
    say: Callable[[str], None],
) -> None:
    check_redis()
    from shop_events.consuming import Consumer  # noqa: PLC0415 - it needs what is optional

    source: Stream = options.consume
    with (
        closing(program.open_existing(options.database)) as db,
        _alone(Path(f"{options.database.resolve()}-{group}-{source.name}.lock"), stop, say),
    ):
        if not stop.is_set():
            say(f"taking the events of {source.name} as {group}")
        pace = relay_command.pace_of(options)
        Consumer(db, program, source, group, name, pace, clock=time.time, draw=random.random).run(stop)


@contextmanager
def _alone(path: Path, stop: Event, say: Callable[[str], None]) -> Iterator[None]:
    """Be the only one during the block; stand by until then. Raises WrongUse.

    The system takes the lock from a process that dies.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise WrongUse(f"cannot open {path}: {error.strerror or error}") from error
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
    if is_name(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no name: small letters, digits and dashes")
