"""Who is calling, and what they may read: by a token first, then by a session."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from legacy_monolith import sessions, tokens
from legacy_monolith.errors import Forbidden, NotLoggedIn
from legacy_monolith.sessions import Session
from legacy_monolith.token_keys import KeySource
from legacy_monolith.tokens import Claims

SESSION_COOKIE = "session"
TOKEN_COOKIE = "shop_token"
NOT_THE_SHOP = "this is for the shop itself, by a token of its own"


@dataclass(frozen=True, slots=True)
class Permit:
    """What a caller may read: everything, or what is theirs."""

    everything: bool
    account_id: int | None = None

    def covers(self, account_id: object) -> bool:
        """Say whether what belongs to an account may be read."""
        return self.everything or self.account_id == account_id


class Callers:
    """Recognises callers. Without `required`, everybody may read everything, as ever."""

    def __init__(
        self, reader: sqlite3.Connection, keys: KeySource | None, now: Callable[[], int], *, required: bool
    ) -> None:
        self._reader = reader
        self._keys = keys
        self._now = now
        self._required = required

    def permit(self, request: web.Request) -> Permit:
        """Find out what the caller may read through the API. Raises NotLoggedIn."""
        if not self._required:
            return Permit(everything=True)
        if claims := self.claims(request):
            return Permit(everything=False, account_id=claims.account_id)
        if session := self.session(request):
            return Permit(everything=False, account_id=session.account_id)
        raise NotLoggedIn("log in first")

    def check_shop(self, request: web.Request) -> None:
        """Let nobody through but the shop's own parts, by a token that no customer has. Raises NotLoggedIn."""
        if not self._required:
            return
        if self._keys is None or not tokens.is_of_shop(self._keys(), _bearer(request) or "", self._now()):
            raise NotLoggedIn(NOT_THE_SHOP)

    def session(self, request: web.Request) -> Session | None:
        """Find the session of a request."""
        return sessions.find(self._reader, request.cookies.get(SESSION_COOKIE), self._now())

    def claims(self, request: web.Request) -> Claims | None:
        """Read the token of a request: of its Authorization field (RFC 6750 section 2.1), or else of its cookie."""
        if self._keys is None:
            return None
        token = _bearer(request)
        if token is None:
            token = request.cookies.get(TOKEN_COOKIE, "")
        return tokens.read(self._keys(), token, self._now())


def _bearer(request: web.Request) -> str | None:
    """The token of the Authorization field, if it has one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def check_origin(request: web.Request) -> None:
    """Refuse what a page of another site has sent, as far as a browser tells. Raises Forbidden.

    Programs that are no browsers send neither field, and have no cookies that somebody else could use.
    """
    origin = request.headers.get("Origin")
    # The scheme is not compared: the shop cannot know whether there is TLS in front of the proxy.
    ours = origin is None or origin.partition("://")[2].lower() == request.host.lower()
    if not ours or request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise Forbidden("this request was not made by a page of the shop")
