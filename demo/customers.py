"""`python -m demo.customers`: the demo's customers, for whoever takes the shop apart by hand. See docs/tutorial.md."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from urllib.parse import urlsplit

from demo import traffic
from demo.screen import Screen, number
from demo.traffic import Crowd
from demo.usage import Parser

AT_A_TIME = 25
SHOWN_FAILURES = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Shop as the command line says: 0 when every request was answered, 1 when not."""
    options = _parser().parse_args(arguments)
    return asyncio.run(_come(options))


async def _come(options: argparse.Namespace) -> int:
    if (trouble := await _nobody_at(options.at)) is not None:
        print(
            f"nobody answers at {options.at}: does `strangler serve` run there? ({trouble})", file=sys.stderr
        )
        return 1
    return await _shop(options)


async def _nobody_at(url: str) -> OSError | None:
    """Why nobody can be reached there, before hundreds of requests fail for it; None when somebody can."""
    where = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(where.hostname, where.port or 80)
    except OSError as error:
        return error
    writer.close()
    return None


async def _shop(options: argparse.Namespace) -> int:
    told = asyncio.Event()  # to leave: then what was seen until now is told
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, told.set)
    random, who = Random(options.seed), traffic.customers()
    orders = traffic.orders(who, random, options.orders)
    releases: Counter[str] = Counter()
    began = time.monotonic()
    async with Crowd(options.at) as crowd:
        with Screen().progress("customers", options.orders + options.looks) as advance:
            while crowd.count.requests < options.orders + options.looks and not told.is_set():
                left = options.orders + options.looks - crowd.count.requests
                looks = traffic.browsing(who, random, min(AT_A_TIME, left))
                portion = [orders.pop() for _ in looks[: len(orders)]] or looks
                answers = await crowd.send(portion, advance)
                releases.update(answer.release or "nobody who says so" for answer in answers)
                ahead = crowd.count.requests / options.rate - (time.monotonic() - began)
                if ahead > 0:
                    await _either(told, ahead)
    return _tell(crowd.count, releases)


async def _either(told: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(told.wait(), seconds)
    except TimeoutError:
        return


def _tell(count: traffic.Count, releases: Counter[str]) -> int:
    by = ", ".join(f"{release} {number(releases[release])}" for release in sorted(releases))
    print(
        f"{number(count.requests)} requests, {number(len(count.failures))} failed"
        + (f"; answered by {by}" if by else "")
    )
    for failure in count.failures[:SHOWN_FAILURES]:
        print(f"  {failure}", file=sys.stderr)
    return 1 if count.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m demo.customers",
        description="400 customers who look around in the shop, and order if asked to. Says how many requests "
        "failed, and which release answered how many.",
    )
    parser.add_argument(
        "--at",
        type=_address,
        default="http://127.0.0.1:8080",
        metavar="URL",
        help="where the proxy listens (default: %(default)s)",
    )
    parser.add_argument(
        "--looks", type=_count, default=1000, metavar="N", help="how often they look (default: %(default)s)"
    )
    parser.add_argument(
        "--orders",
        type=_count,
        default=0,
        metavar="N",
        help="how often they order first (default: %(default)s)",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=400,
        metavar="N",
        help="requests a second at most (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of their wishes (default: %(default)s)")
    return parser


def _address(text: str) -> str:
    try:
        where = urlsplit(text)
        usable = where.scheme == "http" and where.hostname and where.port != 0 and not where.path.strip("/")
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8080")
    return f"http://{where.netloc}"


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 7:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 9999999")


def _rate(text: str) -> int:
    if not (rate := _count(text)):
        raise argparse.ArgumentTypeError("at least one request a second")
    return rate


if __name__ == "__main__":
    sys.exit(main())
