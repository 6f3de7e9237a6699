"""The service's HTTP API: the part of the monolith's that speaks of stock."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from extracted.inventory import records
from extracted.inventory.problems import Malformed, NotFound, answer_for
from extracted.inventory.releases import Release


@dataclass(frozen=True, slots=True)
class Service:
    """What the handlers work with; a read takes microseconds and may be done on the loop's thread."""

    db: sqlite3.Connection
    release: Release


SERVICE = web.AppKey("service", Service)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(db: sqlite3.Connection, release: Release) -> web.Application:
    """Build the application on an open database; it does not close it."""
    app = web.Application(middlewares=[_finish])
    app[SERVICE] = Service(db, release)
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/stock", stock),
            web.get("/stock/{sku}", stock_of_product),
        ]
    )
    return app


async def healthz(request: web.Request) -> web.Response:
    """`GET /healthz`: is the database there?"""
    service = request.app[SERVICE]
    service.db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    body = {"status": "ok", "service": "inventory", "release": service.release.label}
    return _answer(body, cache_control="no-store")


async def stock(request: web.Request) -> web.Response:
    """`GET /stock?below=5`: all stock, or only what is running out."""
    service = request.app[SERVICE]
    return _answer(records.all_stock(service.db, service.release, _below(request)), cache_control="no-cache")


async def stock_of_product(request: web.Request) -> web.Response:
    """`GET /stock/{sku}`."""
    service = request.app[SERVICE]
    sku = request.match_info["sku"]
    # What is not ASCII names nothing, and may hold bytes that a database cannot be asked for.
    found = records.stock_of(service.db, service.release, sku) if sku.isascii() else None
    if found is None:
        raise NotFound(f"there is no stock of {sku}")
    return _answer(found, cache_control="no-cache")


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
