"""The service's HTTP API: the part of the monolith's that speaks of payments."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from extracted.payments import records
from extracted.payments.problems import NotFound, answer_for
from extracted.payments.releases import Release


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
            web.get("/payments/{payment_id}", payment),
            web.get("/accounts/{account_id}/payments", account_payments),
        ]
    )
    return app


async def healthz(request: web.Request) -> web.Response:
    """`GET /healthz`: is the database there?"""
    service = request.app[SERVICE]
    service.db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    body = {"status": "ok", "service": "payments", "release": service.release.label}
    return _answer(body, cache_control="no-store")


async def payment(request: web.Request) -> web.Response:
    """`GET /payments/{payment_id}`."""
    payment_id = _id(request, "payment")
    service = request.app[SERVICE]
    found = records.payment(service.db, service.release, payment_id)
    if found is None:
        raise NotFound(f"there is no payment {payment_id}")
    return _answer(found, cache_control="private, no-cache")


async def account_payments(request: web.Request) -> web.Response:
    """`GET /accounts/{account_id}/payments`: oldest first."""
    account_id = _id(request, "account")
    service = request.app[SERVICE]
    found = records.payments_of(service.db, service.release, account_id)
    if found is None:
        raise NotFound(f"there is no account {account_id}")
    return _answer(found, cache_control="private, no-cache")


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


def _id(request: web.Request, kind: str) -> int:
    text = request.match_info[f"{kind}_id"]
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 19 and int(text) < 2**63:
        return int(text)
    raise NotFound(f"there is no {kind} {text}")
