"""`relay`: bring the events to their consumers, in a process of its own."""

import argparse
import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from shop_events.delivery import Patience
from shop_events.program import Program, Sign
from shop_events.relay import Pace, relaying


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Offer the command."""
    parser = commands.add_parser(
        "relay",
        help="deliver events until told to stop",
        description="Deliver the events of the outbox to those who subscribed, until told to stop.",
        allow_abbrev=False,
    )
    parser.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")
    parser.add_argument(
        "--token-keys",
        type=Path,
        metavar="FILE",
        help="the keys of the shop, to sign what is delivered to consumers that require a login",
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Offer the options of delivering."""
    usual = Pace()
    parser.add_argument(
        "--deliver-attempts",
        type=_count,
        default=usual.patience.attempts,
        metavar="COUNT",
        help="how often an event is tried before it is a dead letter (default: %(default)s)",
    )
    for name, default, words in (
        ("every", usual.every, "how often to look for new events"),
        ("within", usual.within, "how long to wait for a consumer's answer"),
        ("longest-pause", usual.patience.most, "the longest pause between two attempts"),
    ):
        parser.add_argument(
            f"--deliver-{name}",
            type=_seconds,
            default=default,
            metavar="SECONDS",
            help=f"{words} (default: %(default)s)",
        )


def pace_of(options: argparse.Namespace) -> Pace:
    """Read the options that `add_options` has offered."""
    patience = Patience(most=options.deliver_longest_pause, attempts=options.deliver_attempts)
    return Pace(options.deliver_every, options.deliver_within, patience)


def run(program: Program, options: argparse.Namespace) -> int:
    """Deliver until told to stop. Raises what the program raises for a database or for keys that cannot be used."""
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_relay(program, options.database, pace_of(options), program.signer(options.token_keys)))
    return 0


def beside(program: Program, options: argparse.Namespace) -> Callable[[web.Application], AsyncIterator[None]]:
    """Give what delivers while an application serves; its database work is on a thread of its own.

    Raises what the program raises for keys that cannot be used.
    """
    sign = program.signer(options.token_keys)

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        async with relaying(
            program, options.database, pace_of(options), clock=time.time, draw=random.random, sign=sign
        ):
            yield

    return lifetime


async def _relay(program: Program, database: Path, pace: Pace, sign: Sign) -> None:
    async with relaying(program, database, pace, clock=time.time, draw=random.random, sign=sign) as task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        print(f"delivering the events of {database}", flush=True)
        await task


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, above 0 and at most an hour")
    return seconds


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a count from 1 to 9999")
