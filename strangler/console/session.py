"""Who has logged in to the console, and which forms are ours.

A session is a cookie that says until when it holds, signed under the listener's token: nothing is kept here, it lives
through a restart, and another token ends every session. A form carries a second value that only a page of ours can
have read, so that another site cannot send it (RFC 6265 section 8.2 says why the cookie alone is not enough).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

#: The cookie. Cookies know no ports: docs/operations.md says what follows.
COOKIE: Final = "strangler_console"
#: How long somebody stays logged in (seconds): a working day.
LIFE: Final = 12 * 3600
#: Where the token for changes comes from: a form's field, or this header for scripts of our pages.
FIELD: Final = "csrf"
HEADER: Final = "X-CSRF-Token"

_NONCE = 16
#: Who asks without a session: on loopback everybody is the same somebody.
_LOCAL = "local"


class Sessions:
    """Makes and checks sessions under one token; None: nobody needs to log in. `now` gives Unix time."""

    def __init__(self, token: str | None, now: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"console session\0" + (token or "").encode()).digest() if token else b""
        self._forms = secrets.token_bytes(32)
        self._now = now

    def begin(self) -> str:
        """The value of a new session's cookie."""
        said = f"{int(self._now()) + LIFE}.{secrets.token_hex(_NONCE)}"
        return f"{said}.{self._sign(said)}"

    def holds(self, value: str) -> bool:
        """Whether a cookie's value is a session of ours that is not over."""
        said, _, signature = value.rpartition(".")
        if not self._key or not _same(signature, self._sign(said)):
            return False
        return float(said.partition(".")[0]) > self._now()

    def form_token(self, session: str | None) -> str:
        """What a form on a page of this session carries. It is for this process's life only."""
        return hmac.new(self._forms, (session or _LOCAL).encode(), hashlib.sha256).hexdigest()

    def is_our_form(self, session: str | None, given: str) -> bool:
        """Whether a change comes from a page of this session."""
        return _same(given, self.form_token(session))

    def _sign(self, said: str) -> str:
        return hmac.new(self._key, said.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="surrogateescape"), other.encode())


def session_of(request: web.Request) -> str | None:
    """The session that the guard has found good, if the request came with one."""
    return request.get(SESSION)


def set_cookie(response: web.StreamResponse, value: str, *, secure: bool) -> None:
    """Let a browser keep a session."""
    response.set_cookie(COOKIE, value, max_age=LIFE, httponly=True, samesite="Lax", secure=secure, path="/")


SESSIONS = web.AppKey("sessions", Sessions)
#: Where the guard leaves the session that a request came with.
SESSION = web.RequestKey("session", str)
