"""What a form of the storefront sends: reading it, and knowing that it was one of ours."""

import hmac
import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from legacy_monolith.callers import check_origin
from legacy_monolith.errors import Forbidden, Malformed
from legacy_monolith.sessions import SECRET, Session

#: Stands for a session before there is one: the login form has no other secret that only we and the browser know.
FORM_COOKIE = "shop_form"

MOST_FIELDS = 20

_NEXT = re.compile(r"/shop(?:/[A-Za-z0-9-]{1,64}){0,2}", re.ASCII)


async def read(request: web.Request) -> dict[str, str]:
    """Read the fields of a form, each of which stands once. Raises Malformed."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Malformed("the body is not a form")
    try:
        text = (await request.read()).decode()
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except (web.RequestPayloadError, BadHttpMessage) as error:
        raise Malformed("the body is not well-formed HTTP") from error
    except ValueError as error:
        raise Malformed("the body is not a form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a field of the form stands there twice")
    return fields


def check(request: web.Request, fields: Mapping[str, str], session: Session | None) -> None:
    """Refuse a form that is none of ours, or none of this session's. Raises Forbidden."""
    check_origin(request)
    key = session.form_key if session else known_key(request)
    if key is None or not hmac.compare_digest(key.encode(), fields.get("form", "").encode()):
        raise Forbidden("this form is out of date: go back, load the page anew and try again")


def known_key(request: web.Request) -> str | None:
    """Give the key of the login form that the browser has already."""
    key = request.cookies.get(FORM_COOKIE, "")
    return key if SECRET.fullmatch(key) else None


def new_key() -> str:
    """Make a key for the login form of a browser that has none."""
    return secrets.token_urlsafe(32)


def safe_next(path: str) -> str:
    """Give a path to go to after the login: a page of the storefront that says who is there, whatever was asked."""
    return path if _NEXT.fullmatch(path) else "/shop/orders"
