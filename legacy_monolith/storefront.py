"""The storefront: the way to the catalogue, a product to buy, the own orders, and the login, as pages for browsers."""

import json
import re
from http import HTTPStatus
from typing import Any

from aiohttp import web

from legacy_monolith import browsing, catalogue, forms, pages, progress, searching, sessions, stock, tokens
from legacy_monolith.callers import SESSION_COOKIE, check_origin
from legacy_monolith.errors import (
    Forbidden,
    Malformed,
    NotFound,
    NotLoggedIn,
    NotPaid,
    NotReached,
    OutOfStock,
    OutOfTurn,
    Refused,
    TooMany,
)
from legacy_monolith.front import FRONT, find_order, latest_order, now, orders_of
from legacy_monolith.media import prefers
from legacy_monolith.order_request import MAX_ID, Item, OrderRequest
from legacy_monolith.problems import status_of
from legacy_monolith.visits import Visit, drop_session, go_to, page, set_cookie, set_session

MOST_ORDERS = 50  # that are listed
MOST_ITEMS = 20  # of a product, in one order of the storefront's
CARDS = {"tok_visa": "Visa (a test card)", "tok_declined": "A test card that is always declined"}

_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def routes() -> list[web.RouteDef]:
    """Everything below `/shop`, the way there, and the door at which services ask for tokens."""
    return [
        web.get("/", entrance),
        web.get("/catalogue", browsing.browse),
        web.get("/shop", page(shelf)),
        web.get("/shop/products/{sku}", page(product)),
        web.post("/shop/products/{sku}", page(buy)),
        web.get("/shop/orders", page(own_orders)),
        web.get("/shop/orders/{order_id}", page(own_order)),
        web.get("/shop/login", page(login_form)),
        web.post("/shop/login", page(log_in)),
        web.post("/shop/logout", page(log_out)),
        web.get(pages.STYLESHEET_PATH, style),
        web.get("/shop/{rest:.*}", page(nowhere)),
        web.post("/session/token", session_token),
    ]


async def entrance(request: web.Request) -> web.Response:
    """`GET /`: browsers are shown the way to the storefront; for programs there is nothing."""
    if prefers(request.headers.get("Accept", ""), "text/html"):
        return web.Response(status=302, headers={"Location": "/catalogue", "Vary": "Accept"})
    raise web.HTTPNotFound


async def style(request: web.Request) -> web.Response:
    """`GET /shop/shop.css`."""
    return pages.stylesheet(request)


async def nowhere(visit: Visit) -> web.Response:
    """`GET /shop/…`, where there is no page."""
    raise NotFound("there is no such page")


async def shelf(visit: Visit) -> web.Response:
    """`GET /shop?category=tea`: where the catalogue was before it had an address of its own."""
    return go_to(searching.parse(visit.request.query).link())


async def product(visit: Visit) -> web.Response:
    """`GET /shop/products/{sku}`: one product, and the form to buy it with."""
    return _product(visit)


async def buy(visit: Visit) -> web.Response:
    """`POST /shop/products/{sku}`: place an order for one product, and show it."""
    account_id, front = visit.caller.account_id, visit.front
    fields = await forms.read(visit.request)
    forms.check(visit.request, fields, visit.session)
    try:
        # What was the latest order when the form was made still is: a form that is sent twice orders once.
        if account_id in front.buying or fields.get("after") != str(_latest_order(visit)):
            raise OutOfTurn("you have ordered since this page was loaded: look at your orders, or buy again")
        wanted = _wanted(account_id, visit.request.match_info["sku"], fields)
        front.buying.add(account_id)
        try:
            order_id = await front.place(wanted)
        finally:
            front.buying.discard(account_id)
    except (Malformed, NotPaid, NotReached, OutOfStock, OutOfTurn) as refusal:
        return _product(visit, refusal)
    return go_to(f"/shop/orders/{order_id}")


async def own_orders(visit: Visit) -> web.Response:
    """`GET /shop/orders`: the caller's orders, latest first, and what has become of each."""
    found = orders_of(visit.front.reader, visit.caller.account_id, MOST_ORDERS)
    return visit.render("orders", orders=found, most=MOST_ORDERS)


async def own_order(visit: Visit) -> web.Response:
    """`GET /shop/orders/{order_id}`: one of the caller's orders."""
    reader, text = visit.front.reader, visit.request.match_info["order_id"]
    account_id = visit.caller.account_id
    known = _NUMBER.fullmatch(text) and int(text) <= MAX_ID
    order = find_order(reader, int(text)) if known else None
    if order is None or order["account_id"] != account_id:
        raise NotFound(f"you have no order {text}")
    lines = [
        line | {"name": found.name if (found := catalogue.find(reader, line["sku"])) else line["sku"]}
        for line in order["lines"]
    ]
    steps = progress.steps(reader, order)
    return visit.render("order", order=order, lines=lines, steps=steps)


async def login_form(visit: Visit) -> web.Response:
    """`GET /shop/login?next=/shop/orders`."""
    after = forms.safe_next(visit.request.query.get("next", ""))
    return go_to(after) if visit.session else _login_form(visit, after)


async def log_in(visit: Visit) -> web.Response:
    """`POST /shop/login`: a new session, whatever there was before."""
    fields = await forms.read(visit.request)
    forms.check(visit.request, fields, None)
    after = forms.safe_next(fields.get("next", ""))
    try:
        session = await visit.front.desk.log_in(
            fields.get("email", ""),
            fields.get("password", ""),
            visit.request.cookies.get(SESSION_COOKIE),
            now(),
        )
    except (Forbidden, TooMany) as refusal:
        return _login_form(visit, after, refusal, fields.get("email", ""))
    response = go_to(after)
    set_session(visit, response, session)
    return response


async def log_out(visit: Visit) -> web.Response:
    """`POST /shop/logout`: the session ends; a token that somebody has kept is over in five minutes."""
    response = go_to("/catalogue")
    if visit.session is not None:
        forms.check(visit.request, await forms.read(visit.request), visit.session)
        await visit.front.write(sessions.end, visit.session.secret)
    drop_session(response)
    return response


async def session_token(request: web.Request) -> web.Response:
    """`POST /session/token`: a service that was given a session cookie asks whose it is, and gets a token."""
    front = request.app[FRONT]
    check_origin(request)
    if "Sec-Fetch-Site" in request.headers:
        raise Forbidden("tokens are handed out to services, not to pages")
    if front.keys is None:
        raise NotFound("this shop issues no tokens")
    session = front.callers.session(request)
    if session is None:
        raise NotLoggedIn("log in first")
    body = {"token": tokens.issue(front.keys(), session.account_id, now())}
    return web.Response(
        body=json.dumps(body).encode(),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _product(visit: Visit, refusal: Refused | None = None) -> web.Response:
    sku, reader = visit.request.match_info["sku"], visit.front.reader
    found = catalogue.find(reader, sku) if sku.isascii() else None
    if found is None:
        raise NotFound(f"there is no product {sku}")
    held: dict[str, Any] = stock.of(reader, sku) or {"available": 0}
    return visit.render(
        "product",
        HTTPStatus.OK if refusal is None else status_of(refusal),
        product=found.to_wire(),
        left=held["available"],
        most=min(MOST_ITEMS, held["available"]),
        cards=CARDS,
        after=_latest_order(visit),
        refusal=refusal,
    )


def _latest_order(visit: Visit) -> int:
    """Give the id of the caller's latest order; 0 when there is none."""
    return latest_order(visit.front.reader, visit.session.account_id) if visit.session else 0


def _wanted(account_id: int, sku: str, fields: dict[str, str]) -> OrderRequest:
    quantity, pay = fields.get("quantity", ""), fields.get("pay", "")
    if not _NUMBER.fullmatch(quantity) or int(quantity) > MOST_ITEMS:
        raise Malformed(f"the quantity must be a whole number from 1 to {MOST_ITEMS}")
    if pay == "balance":
        return OrderRequest(account_id, (Item(sku, int(quantity)),), "balance")
    if pay not in CARDS:
        raise Malformed("choose how to pay")
    return OrderRequest(account_id, (Item(sku, int(quantity)),), "card", pay)


def _login_form(visit: Visit, after: str, refusal: Refused | None = None, email: str = "") -> web.Response:
    key = forms.known_key(visit.request)
    form = key or forms.new_key()
    response = visit.render(
        "login",
        HTTPStatus.OK if refusal is None else status_of(refusal),
        form=form,
        after=after,
        email=email[:256],
        refusal=refusal,
    )
    if key is None:
        set_cookie(visit, response, forms.FORM_COOKIE, form, path="/shop/login", samesite="Strict")
    if isinstance(refusal, TooMany):
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
