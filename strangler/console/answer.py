"""How the admin API reads a query and writes an answer."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from strangler.console.problems import Refusal


def json_answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer, which nobody may keep."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def asked_once(request: web.Request, name: str) -> str | None:
    """The value of a query parameter, None without it. Raises Refusal when it is there more than once."""
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise Refusal(400, f"the query has {name!r} {len(values)} times; give it once")
    return values[0] if values else None
