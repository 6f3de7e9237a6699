"""An order's status as server-sent events (WHATWG HTML, section 9.2): now, and whenever it changes.

    id: 3
    event: status
    data: {"order_id": 10801, "status": "packed", "at": "2019-04-02T08:00:00Z"}

The id is the number of the step. A caller that names the last one it has seen gets all that came after it; any other
gets the latest. The stream ends with the final status, and who comes back after that is told that there is no more.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from legacy_monolith import progress
from legacy_monolith.errors import NotFound, TooMany
from legacy_monolith.front import FRONT, Front, Streams, find_order
from legacy_monolith.progress import Step

MOST = 100  # streams at a time
MOST_PER_ACCOUNT = 20  # so that nobody takes them all, however much they have ordered
LOOK = 0.2  # seconds between two looks at whether the database has changed
ALIVE = 15.0  # seconds without a change before a comment says that the stream is alive
LONGEST = 600.0  # seconds; then the caller comes again, and shows again who it is
PATIENCE = 10.0  # seconds that a caller may take to read one event


async def order_events(request: web.Request, order_id: int) -> web.StreamResponse:
    """`GET /orders/{order_id}/events`. Raises NotLoggedIn, NotFound, TooMany."""
    front = request.app[FRONT]
    permit = front.callers.permit(request)
    order = find_order(front.reader, order_id)
    if order is None or not permit.covers(order["account_id"]):
        raise NotFound(f"there is no order {order_id}")
    seen = last_seen(request.headers.get("Last-Event-ID", ""))
    latest = progress.steps(front.reader, order)[-1]
    if latest.final and seen == latest.number:
        return web.Response(status=204)  # which tells a browser not to come back
    with _counted(front.streams, order["account_id"]):
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        if request.method != "HEAD":
            with suppress(ConnectionError, TimeoutError):  # the caller has left, or does not read
                async for part in _parts(request, front, order_id, seen):
                    async with asyncio.timeout(PATIENCE):
                        await response.write(part)
    return response


def last_seen(field: str) -> int:
    """Read a Last-Event-ID field; 0 for none, and for what is none of ours."""
    return int(field) if field.isascii() and field.isdigit() and len(field) <= 9 else 0


def due(steps: list[Step], seen: int) -> list[Step]:
    """Choose what a caller gets that has seen the steps up to number `seen`: what is new, or else the latest."""
    latest = steps[-1:]
    return (
        [step for step in steps if step.number > seen] if latest and 0 < seen <= latest[0].number else latest
    )


def event(order_id: int, step: Step) -> bytes:
    """Write one step as an event."""
    data = json.dumps({"order_id": order_id, "status": step.status, "at": step.at})
    return f"id: {step.number}\nevent: status\ndata: {data}\n\n".encode()


async def _parts(request: web.Request, front: Front, order_id: int, seen: int) -> AsyncIterator[bytes]:
    """Give what is to be sent, when it is to be sent, until the order is final or the stream has lasted too long."""
    clock = asyncio.get_running_loop().time
    end, quiet_since, version = clock() + LONGEST, clock(), None
    while request.transport is not None and not front.streams.leaving.is_set() and clock() < end:
        # Changes with every commit of another connection, be it the shop's own writer or another process.
        looked = front.reader.execute("PRAGMA data_version").fetchone()
        if looked != version:
            version = looked
            order = find_order(front.reader, order_id)
            steps = progress.steps(front.reader, order) if order else []
            for step in due(steps, seen):
                yield event(order_id, step)
                seen, quiet_since = step.number, clock()
            if not steps or steps[-1].final:
                return
        if clock() - quiet_since >= ALIVE:
            yield b": alive\n\n"
            quiet_since = clock()
        with suppress(TimeoutError):
            await asyncio.wait_for(front.streams.leaving.wait(), LOOK)


@contextmanager
def _counted(streams: Streams, account_id: int) -> Iterator[None]:
    """Count a stream as long as it is open. Raises TooMany."""
    mine = streams.open.get(account_id, 0)
    if mine >= MOST_PER_ACCOUNT or sum(streams.open.values()) >= MOST:
        raise TooMany("too many streams are open", retry_after=5)
    streams.open[account_id] = mine + 1
    try:
        yield
    finally:
        streams.open[account_id] -= 1
        if not streams.open[account_id]:
            del streams.open[account_id]
