"""The service's HTTP API: the part of the monolith's that speaks of stock."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from extracted.inventory import browsing, callers, events, handling, metrics, records, requests, reserving
from extracted.inventory.callers import CALLERS, Login, shop_only
from extracted.inventory.problems import Malformed, NotFound, answer_for
from extracted.inventory.releases import Release
from extracted.inventory.writing import Writer, json_of


@dataclass(frozen=True, slots=True)
class Service:
    """What the handlers work with; a read takes microseconds and may be done on the loop's thread."""

    db: sqlite3.Connection
    writer: Writer
    release: Release


SERVICE = web.AppKey("service", Service)

MAX_BODY = 64 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    reader: sqlite3.Connection,
    writer: sqlite3.Connection,
    release: Release,
    clock: Callable[[], float] = time.time,
    login: Login | None = None,
) -> web.Application:
    """Build the application on two open connections to its database; it does not close them.

    `clock` gives seconds since the epoch; keys are forgotten by it. With `login`, strangers see nothing, and
    reservations and events are for the shop itself.
    """
    app = web.Application(middlewares=[_finish], client_max_size=MAX_BODY)
    app[SERVICE] = Service(reader, Writer(writer, clock), release)
    app.cleanup_ctx.append(_lifetime)
    app.cleanup_ctx.append(callers.lifetime(login))
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/metrics", metrics_text),
            web.get("/catalogue", catalogue_found),
            web.get("/stock", stock),
            web.get("/stock/{sku}", stock_of_product),
            web.post("/reservations", shop_only(make_reservation)),
            web.get("/reservations/{order_id}", shop_only(reservation)),
            web.post("/reservations/{order_id}/confirm", shop_only(confirm_reservation)),
            web.post("/reservations/{order_id}/release", shop_only(release_reservation)),
            web.post("/events", shop_only(take_event)),
        ]
    )
    return app


async def healthz(request: web.Request) -> web.Response:
    """`GET /healthz`: is the database there?"""
    service = request.app[SERVICE]
    service.db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    body = {"status": "ok", "service": "inventory", "release": service.release.label}
    return _answer(body, cache_control="no-store")


async def catalogue_found(request: web.Request) -> web.Response:
    """`GET /catalogue?q=green+tea&category=tea`: what is sold, as JSON for programs and as a page for browsers."""
    return browsing.answer(request, request.app[SERVICE].db)


async def stock(request: web.Request) -> web.Response:
    """`GET /stock?below=5`: all stock, or only what is running out."""
    await request.app[CALLERS].check(request)
    service = request.app[SERVICE]
    return _answer(records.all_stock(service.db, service.release, _below(request)), cache_control="no-cache")


async def stock_of_product(request: web.Request) -> web.Response:
    """`GET /stock/{sku}`."""
    await request.app[CALLERS].check(request)
    service = request.app[SERVICE]
    sku = request.match_info["sku"]
    # What is not ASCII names nothing, and may hold bytes that a database cannot be asked for.
    found = records.stock_of(service.db, service.release, sku) if sku.isascii() else None
    if found is None:
        raise NotFound(f"there is no stock of {sku}")
    return _answer(found, cache_control="no-cache")


async def make_reservation(request: web.Request) -> web.Response:
    """`POST /reservations`: set the goods of an order aside, once for each Idempotency-Key."""
    data = await json_of(request)
    wanted = requests.reservation(data)
    writer = request.app[SERVICE].writer
    response = await writer.answer(request, data, lambda db: reserving.reserve(db, wanted))
    if response.status == 201:
        response.headers["Location"] = f"/reservations/{wanted.order_id}"
    return response


async def reservation(request: web.Request) -> web.Response:
    """`GET /reservations/{order_id}`."""
    order_id = _order_id(request)
    found = reserving.find(request.app[SERVICE].db, order_id)
    if found is None:
        raise NotFound(f"there is no reservation for order {order_id}")
    return _answer(found, cache_control="no-store")


async def confirm_reservation(request: web.Request) -> web.Response:
    """`POST /reservations/{order_id}/confirm`: sell what is set aside, once for each Idempotency-Key."""
    order_id, data = _order_id(request), await json_of(request)
    writer = request.app[SERVICE].writer
    return await writer.answer(request, data, lambda db: reserving.confirm(db, order_id))


async def release_reservation(request: web.Request) -> web.Response:
    """`POST /reservations/{order_id}/release`: put it back, sold or not, once for each Idempotency-Key."""
    order_id, data = _order_id(request), await json_of(request)
    writer = request.app[SERVICE].writer
    return await writer.answer(request, data, lambda db: reserving.release(db, order_id))


async def metrics_text(request: web.Request) -> web.Response:
    """`GET /metrics`: what Prometheus scrapes."""
    body = metrics.text(request.app[SERVICE].db, time.time())
    return web.Response(body=body.encode(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def take_event(request: web.Request) -> web.Response:
    """`POST /events`: what somebody else tells us, which has its effect once."""
    event = events.read(await json_of(request))
    outcome = await request.app[SERVICE].writer.do(lambda db: handling.handle(db, event))
    return _answer({"id": event.id, "outcome": outcome}, cache_control="no-store")


async def _lifetime(app: web.Application) -> AsyncIterator[None]:
    yield
    app[SERVICE].writer.close()


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except Exception as error:
        response = answer_for(error)
    response.headers["X-Release"] = request.app[SERVICE].release.label
    return response


def _answer(body: object, *, cache_control: str) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(),
        content_type="application/json",
        headers={"Cache-Control": cache_control},
    )


def _below(request: web.Request) -> int | None:
    text = request.query.get("below")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise Malformed("below must be a whole number")


def _order_id(request: web.Request) -> int:
    text = request.match_info["order_id"]
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 19 and int(text) < 2**63:
        return int(text)
    raise NotFound(f"there is no order {text}")
