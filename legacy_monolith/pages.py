"""The storefront's pages: from what is shown to an answer that browsers are held to.

Everything that is shown is escaped; a page loads nothing but the shop's own stylesheet and runs nothing.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from legacy_monolith import tags

_HERE: Final = Path(__file__).parent

STYLESHEET: Final = (_HERE / "static" / "shop.css").read_bytes()
#: One address for good: the pages of services link it too, and cannot know what is in it.
STYLESHEET_PATH: Final = "/shop/shop.css"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie",
}


def euro(amount: dict[str, Any]) -> str:
    """Write an amount, as the API shows it, for people."""
    return f"{amount['amount']:,.2f} €"


def day(moment: str) -> str:
    """Write the day of a time, as the API shows it, for people."""
    return moment[:10]


def sentence(said: object) -> str:
    """Write a refusal as a sentence."""
    text = str(said)
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(euro=euro, day=day, sentence=sentence, segment=lambda text: quote(text, safe=""))
    made.globals.update(stylesheet=STYLESHEET_PATH)
    return made


_ENVIRONMENT: Final = _environment()


def render(template: str, status: int = HTTPStatus.OK, **shown: Any) -> web.Response:
    """Answer with a page of `templates/`."""
    text = _ENVIRONMENT.get_template(f"{template}.html").render(**shown)
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=HEADERS)


def stylesheet(request: web.Request) -> web.Response:
    """Answer with the stylesheet."""
    headers = {"Cache-Control": "public, max-age=60", "X-Content-Type-Options": "nosniff"}
    response = web.Response(body=STYLESHEET, content_type="text/css", charset="utf-8", headers=headers)
    tags.add(request, response)
    return response
