"""The service's HTTP API: the part of the monolith's that speaks of payments."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from extracted.payments import callers, charging, events, handling, records, requests
from extracted.payments.callers import CALLERS, Login, shop_only
from extracted.payments.problems import NotFound, answer_for
from extracted.payments.releases import Release
from extracted.payments.writing import Writer, json_of
from shop_events import metrics


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

    `clock` gives seconds since the epoch; keys are forgotten by it. With `login`, accounts see their own payments only,
    and the rest is for the shop itself.
    """
    app = web.Application(middlewares=[_finish], client_max_size=MAX_BODY)
    app[SERVICE] = Service(reader, Writer(writer, clock), release)
    app.cleanup_ctx.append(_lifetime)
    app.cleanup_ctx.append(callers.lifetime(login))
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/metrics", metrics_text),
            web.get("/payments/{payment_id}", payment),
            web.get("/accounts/{account_id}/payments", account_payments),
            web.post("/payments", shop_only(charge)),
            web.post("/payments/{payment_id}/refund", shop_only(refund)),
            web.post("/events", shop_only(take_event)),
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
    permit = await request.app[CALLERS].permit(request)
    payment_id = _id(request, "payment")
    service = request.app[SERVICE]
    found = records.payment(service.db, service.release, payment_id)
    if found is None or not permit.covers(found["account_id"]):
        raise NotFound(f"there is no payment {payment_id}")
    return _answer(found, cache_control="private, no-cache")


async def account_payments(request: web.Request) -> web.Response:
    """`GET /accounts/{account_id}/payments`: oldest first."""
    permit = await request.app[CALLERS].permit(request)
    account_id = _id(request, "account")
    service = request.app[SERVICE]
    covered = permit.covers(account_id)
    found = records.payments_of(service.db, service.release, account_id) if covered else None
    if found is None:
        raise NotFound(f"there is no account {account_id}")
    return _answer(found, cache_control="private, no-cache")


async def charge(request: web.Request) -> web.Response:
    """`POST /payments`: take a payment, once for each Idempotency-Key."""
    service = request.app[SERVICE]
    data = await json_of(request)
    wanted = requests.charge(data)
    response = await service.writer.answer(
        request, data, lambda db: charging.charge(db, service.release, wanted)
    )
    if response.status == 201:
        response.headers["Location"] = f"/payments/{wanted.payment_id}"
    return response


async def refund(request: web.Request) -> web.Response:
    """`POST /payments/{payment_id}/refund`: give a payment back, once for each Idempotency-Key."""
    service = request.app[SERVICE]
    payment_id = _id(request, "payment")
    data = await json_of(request)
    order_id = requests.order_of(data)
    return await service.writer.answer(
        request, data, lambda db: charging.refund(db, service.release, payment_id, order_id)
    )


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


def _id(request: web.Request, kind: str) -> int:
    text = request.match_info[f"{kind}_id"]
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 19 and int(text) < 2**63:
        return int(text)
    raise NotFound(f"there is no {kind} {text}")
