"""`GET /catalogue`: what is found, as JSON or as a page; the same for everybody, whoever has logged in."""

import json
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from extracted.inventory import catalogue, pages, searching
from extracted.inventory.media import wants_page
from extracted.inventory.problems import Malformed, answer_for
from extracted.inventory.searching import Query

#: Fresh, for what is left changes with every order; and another one for a browser than for a program.
_HEADERS: Final = {"Cache-Control": "no-cache", "Vary": "Accept"}


def answer(request: web.Request, db: sqlite3.Connection) -> web.Response:
    """Answer a request for the catalogue, also one that cannot be understood."""
    page = wants_page(request.headers.get("Accept", ""))
    try:
        query = searching.read(request.query)
    except Malformed as refusal:
        response = pages.failure(HTTPStatus.BAD_REQUEST, str(refusal)) if page else answer_for(refusal)
        response.headers.update(_HEADERS)
        return response
    found = catalogue.find(db, query)
    further = query.address(after=found.items[-1]["sku"]) if found.more else None
    response = _page(query, found, further) if page else _json(found.items, further)
    response.headers.update(_HEADERS)
    return response


def _page(query: Query, found: catalogue.Shown, further: str | None) -> web.Response:
    return pages.render(
        "catalogue", query=query, products=found.items, categories=found.categories, further=further
    )


def _json(items: list[dict[str, Any]], further: str | None) -> web.Response:
    body: Mapping[str, object] = {"count": len(items), "items": items, "next": further}
    return web.Response(body=json.dumps(body).encode(), content_type="application/json")
