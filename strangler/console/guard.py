"""Who may ask the admin listener.

On a loopback address everybody on the machine may, but a page in that machine's browser may not: it could
reach the listener under a name of its own (DNS rebinding), so the Host must be a loopback one, and it could
send changes across sites, so a foreign Origin is refused. On any other address there must be a token: commands send
it as it is, people log in with it once.
"""

from __future__ import annotations

import ipaddress
import re
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from strangler.console.looks import go_to, is_for_people
from strangler.console.panel import PANEL
from strangler.console.problems import Refusal
from strangler.console.session import COOKIE, HEADER, SESSION, SESSIONS, session_of
from strangler.routes import SAFE_METHODS, Address

#: Probes come without credentials and with any Host, and learn nothing but "up".
OPEN: Final = frozenset({"/healthz", "/readyz"})
#: What a browser needs before anybody has logged in. It tells nothing of what runs here.
LOGIN: Final = "/login"
_STATIC: Final = "/static/"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(?::[0-9]*)?")


def check(address: Address, token: str | None) -> str | None:
    """What is wrong with listening on this address with this token, or None."""
    if token is not None and token != token.strip():
        return "STRANGLER_TOKEN begins or ends with white space, which a header cannot carry"
    if not token and not is_loopback(address.host):
        return (
            f"admin: {address} can be reached from other machines, so a token is needed: "
            "set the environment variable STRANGLER_TOKEN, or listen on 127.0.0.1"
        )
    return None


def is_loopback(host: str) -> bool:
    """Whether a host, as a name or an address without brackets, can only mean this machine (RFC 6761)."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who may not ask, before anything else is looked at."""
    if request.path not in OPEN:
        token = request.app[PANEL].token
        if not token:
            _check_name(request)
        elif not _may_pass(request, token):
            return _turned_away(request)
        if request.method not in SAFE_METHODS:
            _check_origin(request)
            _check_script(request)
    return await handler(request)


def is_token(given: str, token: str) -> bool:
    """Whether this is the listener's token, in a time that does not tell how much of it is right."""
    return compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())


def _may_pass(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_token(given, token):
        return True
    session = request.cookies.get(COOKIE)
    if session is not None and request.app[SESSIONS].holds(session):
        request[SESSION] = session
        return True
    return request.path == LOGIN or request.path.startswith(_STATIC)


def _turned_away(request: web.Request) -> web.StreamResponse:
    if is_for_people(request) and request.method in SAFE_METHODS:
        return go_to(f"{LOGIN}?next={quote(request.raw_path, safe='')}")
    raise Refusal(401, "this listener asks for `Authorization: Bearer TOKEN`", WWW_Authenticate="Bearer")


def _check_name(request: web.Request) -> None:
    if not is_loopback(_host(request.headers.get("Host", ""))):
        raise Refusal(403, "without a token this listener answers only to localhost, 127.0.0.1 and [::1]")


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        raise Refusal(403, "a change from a page of another site is refused")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "a change from a page of another site is refused")


def _check_script(request: web.Request) -> None:
    """A browser sends the session by itself, so a change through the API needs what only our pages know.

    The pages' own forms are checked where they are read (hands.py): what they know is in their body.
    """
    session = session_of(request)
    if session is None or not request.path.startswith("/api/"):
        return
    if not request.app[SESSIONS].is_our_form(session, request.headers.get(HEADER, "")):
        raise Refusal(403, f"a change under a login needs the page's token in {HEADER}")


def _host(authority: str) -> str:
    found = _HOST.fullmatch(authority)
    return found[1].strip("[]") if found else ""
