"""Pages that keep themselves up to date: one address gives the page to a browser, and to its script what changes of it.

A page is a template and the values it shows. Blocks of the template whose names begin with `live_` are rendered again
about once a second while anybody looks, and those that have changed are sent as server-sent events. So what a page
shows first and what it shows later is made by the same few lines.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from strangler.console import looks
from strangler.console.events import SIGN_OF_LIFE, Pulse, streaming
from strangler.console.panel import PANEL, Panel
from strangler.console.problems import status_of
from strangler.console.session import SESSIONS, session_of

#: What a page shows: may read files, and is called in a thread.
Values = Callable[[Panel, web.Request], Mapping[str, Any]]

_EVENTS: Final = "text/event-stream"

log = logging.getLogger("strangler.console")


class Page:
    """A handler of one page."""

    def __init__(self, template: str, values: Values) -> None:
        self._template = template
        self._values = values

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The page, or what changes of it."""
        if _EVENTS in request.headers.get("Accept", ""):
            return await streaming(request, self._follow)
        values = await asyncio.to_thread(self._values, request.app[PANEL], request)
        return looks.whole(self._template, {**around(request), **values})

    async def _follow(self, request: web.Request, response: web.StreamResponse, pulse: Pulse) -> None:
        """Send every live part once, and then whenever it is another."""
        sent: dict[str, str] = {}
        quiet_since = time.monotonic()
        while not pulse.ending.is_set() and request.transport is not None:
            try:
                found = {"trouble": "", **await pulse.shared(request.path_qs, lambda: self._parts(request))}
            except Exception as error:  # the page stays as it is, and says why
                found = {"trouble": _told(error)}
                if sent.get("trouble") != found["trouble"]:
                    log.warning("%s cannot be kept up to date", request.path, exc_info=error)
            changed = {name: text for name, text in found.items() if sent.get(name) != text}
            if changed:
                await response.write(b"event: parts\ndata: " + msgspec.json.encode(changed) + b"\n\n")
                sent |= changed
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= SIGN_OF_LIFE:
                await response.write(b": still here\n\n")
                quiet_since = time.monotonic()
            await pulse.rest()

    def _parts(self, request: web.Request) -> dict[str, str]:
        """What everybody who looks at this page is sent: nothing of whose session it is."""
        values = self._values(request.app[PANEL], request)
        return looks.parts(self._template, {"faults": request.app[PANEL].faults(), **values})


def around(request: web.Request) -> dict[str, Any]:
    """What the frame of every page shows."""
    session = session_of(request)
    return {
        "path": request.path,
        "faults": request.app[PANEL].faults(),
        "logged_in": session is not None,
        "form_token": request.app[SESSIONS].form_token(session),
    }


def _told(error: Exception) -> str:
    return (
        str(error) if status_of(error) != 500 else "the console cannot read what it shows; its log says why"
    )
