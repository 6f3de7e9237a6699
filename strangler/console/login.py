"""Logging in with the listener's token, and out again."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from strangler.console import looks
from strangler.console.forms import read_form
from strangler.console.guard import is_token
from strangler.console.live import around
from strangler.console.panel import PANEL
from strangler.console.session import COOKIE, SESSIONS, set_cookie

#: A wrong token is answered after so many seconds, and one at a time: guessing takes for ever.
PAUSE: Final = 1.0

_GUESSES: Final = web.AppKey("guesses", asyncio.Lock)


def prepare(app: web.Application) -> None:
    """What the login needs of the application."""
    app[_GUESSES] = asyncio.Lock()


async def ask(request: web.Request) -> web.Response:
    """The page that asks for the token."""
    if not request.app[PANEL].token:
        return looks.go_to("/")
    return _page(request, request.query.get("next", "/"))


async def begin(request: web.Request) -> web.Response:
    """A session for whoever knows the token."""
    token = request.app[PANEL].token
    if not token:
        return looks.go_to("/")
    posted = await request.post()
    given, wanted = posted.get("token"), posted.get("next")
    address = ours(wanted) if isinstance(wanted, str) else "/"
    if not isinstance(given, str) or not is_token(given, token):
        async with request.app[_GUESSES]:
            await asyncio.sleep(PAUSE)
        return _page(request, address, "That is not the token of this listener.", 403)
    response = looks.go_to(address)
    set_cookie(response, request.app[SESSIONS].begin(), secure=request.secure)
    return response


async def end(request: web.Request) -> web.Response:
    """No session any more in this browser."""
    await read_form(request)
    response = looks.go_to("/login")
    response.del_cookie(COOKIE, path="/")
    return response


def ours(address: str) -> str:
    """An address on this listener: nobody is sent elsewhere by a link to the login."""
    parts = urlsplit(address)
    is_ours = (
        not parts.scheme and not parts.netloc and address.startswith("/") and address[1:2] not in ("/", "\\")
    )
    return address if is_ours and address.isprintable() else "/"


def _page(request: web.Request, wanted: str, wrong: str = "", status: int = 200) -> web.Response:
    values = {**around(request), "next": ours(wanted), "wrong": wrong}
    return looks.whole("login.html", values, status)
