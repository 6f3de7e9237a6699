"""GET /api/v1/diagram: the running table as a picture."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from aiohttp import web

from strangler.console.panel import PANEL
from strangler.console.problems import Refusal
from strangler.cutover.diagram import picture
from strangler.cutover.drawing import STYLE, svg
from strangler.cutover.mermaid import mermaid

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
#: A drawing that is opened by itself is a document: nothing may run, load or frame it.
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


async def diagram(request: web.Request) -> web.Response:
    """The picture as Mermaid text, or with `?format=svg` as a drawing."""
    form = request.query.get("format", "mermaid")
    drawn = picture(request.app[PANEL].table())
    if form == "svg":
        return web.Response(text=svg(drawn), content_type="image/svg+xml", headers=HEADERS)
    if form == "mermaid":
        return web.Response(text=mermaid(drawn), content_type="text/plain", headers=HEADERS)
    raise Refusal(400, f"{form[:60]!a} is no format: write mermaid or svg")
