"""The pages of this service. They look as the storefront's do, and link its stylesheet.

Everything that is shown is escaped; a page loads nothing but that stylesheet and runs nothing.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def render(template: str, status: int = HTTPStatus.OK, **shown: Any) -> web.Response:
    """Answer with a page of `templates/`."""
    text = _ENVIRONMENT.get_template(f"{template}.html").render(**shown)
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)


def failure(status: HTTPStatus, detail: str) -> web.Response:
    """Answer with a page that says what is wrong."""
    return render("failure", status, title=status.phrase, said=f"{detail[:1].upper()}{detail[1:]}.")


def _euro(amount: dict[str, Any]) -> str:
    return f"{amount['amount']:,.2f} €"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(euro=_euro, segment=lambda text: quote(text, safe=""))
    return made


_ENVIRONMENT: Final = _environment()
