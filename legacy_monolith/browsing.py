"""`GET /catalogue`: what is sold and what is left of it, as JSON or as a page that is the same for everybody.

The old way: all products and all stock are read and joined, for each request. inventory, which takes this over,
answers from a table made for it.
"""

import json
import sqlite3
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from legacy_monolith import catalogue, pages, searching, stock
from legacy_monolith.errors import Malformed
from legacy_monolith.front import FRONT
from legacy_monolith.media import prefers
from legacy_monolith.problems import answer_for
from legacy_monolith.searching import Search

MOST: Final = 100  # products at a time

#: What is left changes with every order, so nothing is kept for long; a program gets another answer than a browser.
HEADERS: Final = {"Cache-Control": "no-cache", "Vary": "Accept"}


async def browse(request: web.Request) -> web.Response:
    """`GET /catalogue?q=green+tea&category=tea`: what is found, `MOST` at a time."""
    as_page = prefers(request.headers.get("Accept", ""), "text/html")
    try:
        search = searching.parse(request.query)
    except Malformed as error:
        response = _refusal(error) if as_page else answer_for(error)
    else:
        found, categories = _find(request.app[FRONT].reader, search)
        items = found[:MOST]
        further = search.link(after=items[-1]["sku"]) if len(found) > MOST else None
        if as_page:
            response = _page(
                "catalogue",
                HTTPStatus.OK,
                search=search,
                categories=categories,
                products=items,
                further=further,
            )
        else:
            response = _as_json({"count": len(items), "items": items, "next": further})
    response.headers.update(HEADERS)
    return response


def _find(db: sqlite3.Connection, search: Search) -> tuple[list[dict[str, Any]], list[str]]:
    """Find products by sku, and all categories that there are."""
    everything = catalogue.every(db)
    left = {item["sku"]: item["available"] for item in stock.every(db)}
    found = [
        each.to_wire() | {"available": left.get(each.sku, 0)}
        for each in everything
        if search.category in ("", each.category) and search.matches(each.sku, each.name, each.category)
    ]
    return found, list(dict.fromkeys(each.category for each in everything))


def _refusal(error: Malformed) -> web.Response:
    status = HTTPStatus.BAD_REQUEST
    return _page("failure", status, title=status.phrase, said=error)


def _page(template: str, status: int, **shown: Any) -> web.Response:
    """Answer with a page that knows no caller, and so says neither who has logged in nor that nobody has."""
    return pages.render(template, status, session=None, account=None, for_everybody=True, **shown)


def _as_json(body: dict[str, Any]) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), content_type="application/json")
