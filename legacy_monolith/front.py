"""What the storefront, the export and the stream of an order's status work with."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from legacy_monolith import orders, progress, saga_log
from legacy_monolith.access import Access
from legacy_monolith.callers import Callers
from legacy_monolith.database import open_reader
from legacy_monolith.login import Desk
from legacy_monolith.order_request import OrderRequest
from legacy_monolith.token_keys import KeySource


@dataclass(slots=True)
class Streams:
    """The streams that are open, by account; `leaving` is set when the shop is about to stop."""

    open: dict[int, int] = field(default_factory=dict)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Front:
    """`write` does something with the database's writer, on its thread; `place` places an order."""

    reader: sqlite3.Connection
    write: Callable[..., Awaitable[Any]]
    place: Callable[[OrderRequest], Awaitable[int]]
    desk: Desk
    callers: Callers
    keys: KeySource | None
    streams: Streams
    buying: set[int]  # accounts whose order is being placed


FRONT = web.AppKey("front", Front)


def find_order(reader: sqlite3.Connection, order_id: int) -> dict[str, Any] | None:
    """Find an order, or what is none yet or will never be one, as the API shows it."""
    return orders.find(reader, order_id) or saga_log.order_shown(reader, order_id)


def orders_of(reader: sqlite3.Connection, account_id: int, most: int) -> list[dict[str, Any]]:
    """List the `most` latest orders of an account, latest first, also what is being placed or was cancelled.

    Each with its `status`.
    """
    unplaced = [find_order(reader, order_id) for order_id in saga_log.of_account(reader, account_id, most)]
    shown: dict[int, dict[str, Any]] = {each["order_id"]: each for each in unplaced if each}
    # Read later, so that what is confirmed meanwhile is in both, and not in neither.
    shown |= {each["order_id"]: each for each in orders.of_account(reader, account_id, most)}
    latest = sorted(shown.values(), key=lambda each: -each["order_id"])[:most]
    return [each | {"status": status_of(reader, each)} for each in latest]


def status_of(reader: sqlite3.Connection, order: dict[str, Any]) -> str:
    """Say how far an order has come, be it none yet or the warehouse's already."""
    return progress.steps(reader, order)[-1].status


def latest_order(reader: sqlite3.Connection, account_id: int) -> int:
    """Give the latest order of an account that is promised, or may be soon; 0 when there is none."""
    pending = saga_log.latest_pending(reader, account_id) or 0
    return max(pending, *(int(each["order_id"]) for each in orders.of_account(reader, account_id, 1)), 0)


def now() -> int:
    """Give the time in whole seconds since 1970."""
    return int(time.time())


def lifetime(
    database: Path,
    access: Access,
    write: Callable[..., Awaitable[Any]],
    place: Callable[[web.Application, OrderRequest], Awaitable[int]],
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Build the front as long as an application lives; `write` and `place` get the application first."""

    async def context(app: web.Application) -> AsyncIterator[None]:
        reader = open_reader(database)
        desk = Desk(reader, partial(write, app))
        app[FRONT] = Front(
            reader=reader,
            write=partial(write, app),
            place=partial(place, app),
            desk=desk,
            callers=Callers(reader, access.keys, now, required=access.require_login),
            keys=access.keys,
            streams=Streams(),
            buying=set(),
        )
        yield
        desk.close()
        reader.close()

    return context


async def leave(app: web.Application) -> None:
    """End all streams, for nobody would wait for them."""
    app[FRONT].streams.leaving.set()
