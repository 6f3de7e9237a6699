"""How pages are made: templates that escape everything, and the headers that let nothing foreign run in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import jinja2
from aiohttp import web

from strangler import __version__
from strangler.compare import printable
from strangler.console import words
from strangler.evidence import number, percent

#: Only our own files may run, style or be asked. What an upstream has answered stands on these pages as text; were it
#: ever to get out of a template as markup, it still could do nothing.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Under "no-referrer" a browser would send our own forms with `Origin: null` (Fetch standard, section 3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: The longest text of somebody else's that is shown in one place.
LONGEST: Final = 4096
#: The blocks of a page that are sent again when they change.
LIVE: Final = "live_"

_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain",
}


class File(NamedTuple):
    """A file that pages load: its bytes, its media type, and a hash of it that stands in its address."""

    body: bytes
    media_type: str
    version: str


def _files() -> dict[str, File]:
    found = {}
    for entry in resources.files(__package__).joinpath("static").iterdir():
        media_type = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type is not None:
            body = entry.read_bytes()
            found[entry.name] = File(body, media_type, hashlib.sha256(body).hexdigest()[:12])
    return found


FILES: Final = _files()


def _address(name: str) -> str:
    return f"/static/{name}?v={FILES[name].version}"


def shown(value: object, longest: int = LONGEST) -> str:
    """Text of somebody else's: without control characters, and cut where it is too long."""
    return printable(str(value), longest)


def segment(value: object) -> str:
    """A name as one segment of an address."""
    return quote(str(value), safe="")


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("strangler.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shown": shown,
        "number": number,
        "percent": lambda value, up=False: "–" if value is None else percent(value, up=up),
        "segment": segment,
        "moment": words.moment,
        "ms": words.milliseconds,
        "part": words.share,
        "rate": words.per_second,
    }
    made.globals |= {"static": _address, "version": __version__}
    made.globals["ui"] = made.get_template("ui.html").module
    return made


_PAGES: Final = _environment()


def whole(template: str, values: Mapping[str, Any], status: int = 200) -> web.Response:
    """A page."""
    text = _PAGES.get_template(template).render(values)
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def parts(template: str, values: Mapping[str, Any]) -> dict[str, str]:
    """The live blocks of a page by name, each as it stands in the whole page."""
    page = _PAGES.get_template(template)
    context = page.new_context(dict(values))
    return {
        name: "".join(block(context)).strip() for name, block in page.blocks.items() if name.startswith(LIVE)
    }


def is_for_people(request: web.Request) -> bool:
    """Whether a browser asks for a page, and not a program for JSON."""
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


def go_to(address: str) -> web.Response:
    """Send a browser to another page of ours, with a GET."""
    return web.Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


async def static(request: web.Request) -> web.Response:
    """A stylesheet or script. Its address changes with it, so a browser may keep it for good."""
    file = FILES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    kept = "public, max-age=31536000, immutable" if request.query.get("v") == file.version else "no-cache"
    return web.Response(
        body=file.body,
        content_type=file.media_type,
        charset="utf-8",
        headers={"Cache-Control": kept, "X-Content-Type-Options": "nosniff", "ETag": f'"{file.version}"'},
    )
