"""The shop's HTTP API."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from legacy_monolith import (
    accounts,
    catalogue,
    events,
    faults,
    front,
    inbox,
    orders,
    payments,
    saga_log,
    status_stream,
    stock,
    storefront,
    tags,
)
from legacy_monolith.access import Access
from legacy_monolith.callers import Permit, check_origin
from legacy_monolith.database import open_reader
from legacy_monolith.errors import Malformed, NotFound, UnknownReference
from legacy_monolith.export import order_as_csv
from legacy_monolith.front import FRONT, find_order
from legacy_monolith.media import prefers
from legacy_monolith.order_keys import key_of
from legacy_monolith.order_request import MAX_ID, OrderRequest, parse
from legacy_monolith.problems import answer_for
from legacy_monolith.running import OrderDesk, Placed, open_desk
from legacy_monolith.settings import Settings
from legacy_monolith.token_keys import KeySource
from shop_events import metrics

MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Shop:
    """What the handlers work with: reads on the loop's thread, which take microseconds; writes on another."""

    reader: sqlite3.Connection
    writer: sqlite3.Connection
    writer_thread: ThreadPoolExecutor
    release: str
    desk: OrderDesk


SHOP = web.AppKey("shop", Shop)

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    writer: sqlite3.Connection,
    database: Path,
    release: str,
    settings: Settings | None = None,
    reach: Callable[[str], None] = faults.nothing,
    access: Access | None = None,
) -> web.Application:
    """Build the application on an open database; it does not close `writer`."""
    app = web.Application(middlewares=[_finish], client_max_size=MAX_BODY)
    let_in = access or Access()
    app.cleanup_ctx.append(_shop(writer, database, release, settings or Settings(), reach, let_in.keys))
    app.cleanup_ctx.append(front.lifetime(database, let_in, _write, _place))
    app.on_shutdown.append(front.leave)
    app.on_response_prepare.append(_name_release)
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/metrics", metrics_text),
            web.get("/products", product_list),
            web.get("/products/{sku}", product),
            web.get("/stock", stock_list),
            web.get("/stock/{sku}", stock_of_product),
            web.get("/accounts/{account_id}", account),
            web.get("/accounts/{account_id}/payments", account_payments),
            web.get("/payments/{payment_id}", payment),
            web.post("/orders", place_order),
            web.get("/orders/{order_id}.csv", order_as_csv),
            web.get("/orders/{order_id}", order),
            web.get("/orders/{order_id}/events", order_events),
            *storefront.routes(),
            web.post("/events", take_event),
        ]
    )
    return app


async def healthz(request: web.Request) -> web.Response:
    """`GET /healthz`: is the database there?"""
    shop = request.app[SHOP]
    shop.reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
    body = {"status": "ok", "service": "legacy_monolith", "release": shop.release}
    return _answer(body, cache_control="no-store")


async def metrics_text(request: web.Request) -> web.Response:
    """`GET /metrics`: what Prometheus scrapes."""
    body = metrics.text(request.app[SHOP].reader, time.time())
    return web.Response(body=body.encode(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def product_list(request: web.Request) -> web.Response:
    """`GET /products?category=tea`: the catalogue, or one category of it."""
    found = catalogue.every(request.app[SHOP].reader, request.query.get("category"))
    body = {"count": len(found), "items": [each.to_wire() for each in found]}
    return _answer(body, cache_control="public, max-age=60")


async def product(request: web.Request) -> web.Response:
    """`GET /products/{sku}`: with an entity tag, so that a page can ask whether it has changed."""
    sku = request.match_info["sku"]
    found = catalogue.find(request.app[SHOP].reader, _known_text(sku, "product"))
    if found is None:
        raise NotFound(f"there is no product {sku}")
    response = _answer(found.to_wire(), cache_control="public, max-age=60")
    tags.add(request, response)
    return response


async def stock_list(request: web.Request) -> web.Response:
    """`GET /stock?below=5`: all stock, or only what is running out."""
    _permit(request)
    found = stock.every(request.app[SHOP].reader, _below(request))
    return _answer({"count": len(found), "items": found}, cache_control="no-cache")


async def stock_of_product(request: web.Request) -> web.Response:
    """`GET /stock/{sku}`."""
    _permit(request)
    sku = request.match_info["sku"]
    found = stock.of(request.app[SHOP].reader, _known_text(sku, "stock of"))
    return _answer(_found(found, f"there is no stock of {sku}"), cache_control="no-cache")


async def account(request: web.Request) -> web.Response:
    """`GET /accounts/{account_id}`."""
    permit, account_id = _permit(request), _id(request, "account")
    found = accounts.find(request.app[SHOP].reader, account_id) if permit.covers(account_id) else None
    return _answer(_found(found, f"there is no account {account_id}"), cache_control="private, no-cache")


async def account_payments(request: web.Request) -> web.Response:
    """`GET /accounts/{account_id}/payments`: oldest first."""
    permit, account_id = _permit(request), _id(request, "account")
    reader = request.app[SHOP].reader
    if not permit.covers(account_id) or not accounts.exists(reader, account_id):
        raise NotFound(f"there is no account {account_id}")
    return _answer(payments.of_account(reader, account_id), cache_control="private, no-cache")


async def payment(request: web.Request) -> web.Response:
    """`GET /payments/{payment_id}`."""
    permit, payment_id = _permit(request), _id(request, "payment")
    found = payments.find(request.app[SHOP].reader, payment_id)
    return _answer(
        _own(permit, found, f"there is no payment {payment_id}"), cache_control="private, no-cache"
    )


async def place_order(request: web.Request) -> web.Response:
    """`POST /orders`: all or nothing, and once for each Idempotency-Key.

    202 when that takes longer than a caller should wait.
    """
    shop, permit = request.app[SHOP], _permit(request)
    key = key_of(request.headers.get("Idempotency-Key"))
    wanted = parse(await _body(request))
    if not permit.everything:
        check_origin(request)
    if not permit.covers(wanted.account_id):
        raise UnknownReference(f"there is no account {wanted.account_id}")
    placed = await shop.desk.place(wanted, key)
    response = _placed(shop, placed)
    if placed.again:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _placed(shop: Shop, placed: Placed) -> web.Response:
    if placed.refusal or placed.order_id is None:
        return answer_for(placed.refusal or NotFound("there is no such order"))
    show = saga_log.order_shown if placed.pending else orders.find
    response = _answer(show(shop.reader, placed.order_id), cache_control="private, no-cache")
    response.set_status(202 if placed.pending else 201)
    response.headers["Location"] = f"/orders/{placed.order_id}"
    return response


async def take_event(request: web.Request) -> web.Response:
    """`POST /events`: what a service that has taken over stock or payments tells us, which has its effect once."""
    shop = request.app[SHOP]
    request.app[FRONT].callers.check_shop(request)
    event = events.read(events.object_of(await _body(request)))
    loop = asyncio.get_running_loop()
    outcome = await loop.run_in_executor(shop.writer_thread, inbox.handle, shop.writer, event)
    return _answer({"id": event.id, "outcome": outcome}, cache_control="no-store")


async def order(request: web.Request) -> web.Response:
    """`GET /orders/{order_id}`: as JSON, or as CSV where that is asked for; also what is no order yet."""
    if prefers(request.headers.get("Accept", ""), "text/csv"):
        response = await order_as_csv(request)
    else:
        permit, order_id = _permit(request), _id(request, "order")
        found = find_order(request.app[SHOP].reader, order_id)
        body = _own(permit, found, f"there is no order {order_id}")
        response = _answer(body, cache_control="private, no-cache")
    response.headers["Vary"] = "Accept"
    return response


async def order_events(request: web.Request) -> web.StreamResponse:
    """`GET /orders/{order_id}/events`: how far the order has come, as a stream."""
    return await status_stream.order_events(request, _id(request, "order"))


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        return answer_for(error)


async def _name_release(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Release"] = request.app[SHOP].release


async def _write(app: web.Application, work: Callable[..., T], *arguments: object) -> T:
    """Do something with the writer, on its thread: `work(writer, *arguments)`."""
    shop = app[SHOP]
    return await asyncio.get_running_loop().run_in_executor(shop.writer_thread, work, shop.writer, *arguments)


async def _place(app: web.Application, wanted: OrderRequest) -> int:
    """Place an order; its id, also when it is pending still. Raises Refused."""
    placed = await app[SHOP].desk.place(wanted)
    if placed.refusal or placed.order_id is None:
        raise placed.refusal or NotFound("there is no such order")
    return placed.order_id


def _shop(
    writer: sqlite3.Connection,
    database: Path,
    release: str,
    settings: Settings,
    reach: Callable[[str], None],
    keys: KeySource | None,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        with (
            closing(open_reader(database)) as reader,
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="orders") as thread,
        ):
            async with open_desk(writer, thread, settings, reach, keys) as desk:
                app[SHOP] = Shop(reader, writer, thread, release, desk)
                desk.resume(saga_log.under_way(reader))
                yield

    return lifetime


def _answer(body: object, *, cache_control: str) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(),
        content_type="application/json",
        headers={"Cache-Control": cache_control},
    )


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except (web.RequestPayloadError, BadHttpMessage) as error:
        raise Malformed("the body is not well-formed HTTP") from error


def _id(request: web.Request, kind: str) -> int:
    text = request.match_info[f"{kind}_id"]
    # Ids are written in one way only, so that 42 and 042 are not two addresses of one thing.
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 19 and int(text) <= MAX_ID:
        return int(text)
    raise NotFound(f"there is no {kind} {text}")


def _known_text(text: str, kind: str) -> str:
    # What is not ASCII names nothing, and may hold bytes that a database cannot be asked for.
    if text.isascii():
        return text
    raise NotFound(f"there is no {kind} {text}")


def _below(request: web.Request) -> int | None:
    text = request.query.get("below")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise Malformed("below must be a whole number")


def _permit(request: web.Request) -> Permit:
    return request.app[FRONT].callers.permit(request)


def _own(permit: Permit, thing: dict[str, object] | None, missing: str) -> dict[str, object]:
    """What belongs to another account is not there for this caller."""
    return _found(thing if thing and permit.covers(thing["account_id"]) else None, missing)


def _found(thing: dict[str, object] | None, missing: str) -> dict[str, object]:
    if thing is None:
        raise NotFound(missing)
    return thing
