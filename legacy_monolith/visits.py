"""A visit to a page: who is there, what goes wrong, and the cookies that go back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aiohttp import web

from legacy_monolith import accounts, pages, sessions, tokens
from legacy_monolith.callers import SESSION_COOKIE, TOKEN_COOKIE
from legacy_monolith.errors import NotLoggedIn, Refused
from legacy_monolith.front import FRONT, Front, now
from legacy_monolith.problems import answer_for
from legacy_monolith.sessions import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page, and who makes it: None where nobody has logged in."""

    request: web.Request
    front: Front
    session: Session | None

    @property
    def caller(self) -> Session:
        """Whoever has logged in. Raises NotLoggedIn, which leads to the login."""
        if self.session is None:
            raise NotLoggedIn("log in first")
        return self.session

    def render(self, template: str, status: int = HTTPStatus.OK, **shown: Any) -> web.Response:
        """Answer with a page, whose head says who has logged in."""
        account = accounts.find(self.front.reader, self.session.account_id) if self.session else None
        return pages.render(template, status, account=account, session=self.session, **shown)


Handler = Callable[[Visit], Awaitable[web.Response]]


def page(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make a handler of requests of one for visits; what it raises becomes a page, or the way to the login."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.Response:
        front = request.app[FRONT]
        visit = Visit(request, front, front.callers.session(request))
        try:
            response = await handler(visit)
        except NotLoggedIn:
            response = go_to(f"/shop/login?next={quote(request.path, safe='/')}")
        except Exception as error:
            response = _failure(visit, error)
        _keep_cookies(visit, response)
        return response

    return answer


def go_to(path: str) -> web.Response:
    """Answer that the next thing to read is at another path (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={**pages.HEADERS, "Location": path})


def set_session(visit: Visit, response: web.Response, session: Session) -> None:
    """Give the browser a session, and a token for the services."""
    _set(visit, response, SESSION_COOKIE, session.secret, sessions.LIFE)
    _set_token(visit, response, session)


def drop_session(response: web.Response) -> None:
    """Take the session and the token from the browser."""
    for name in (SESSION_COOKIE, TOKEN_COOKIE):
        response.del_cookie(name, path="/", httponly=True, samesite="Lax")


def set_cookie(visit: Visit, response: web.Response, name: str, value: str, **attributes: Any) -> None:
    """Set a cookie that no script can read, over TLS only where the caller came over TLS."""
    secure = visit.request.secure or visit.request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(name, value, httponly=True, secure=secure, **attributes)


def _keep_cookies(visit: Visit, response: web.Response) -> None:
    """Renew a token that is older than half its life; take back a session that is over.

    Pages do this and the API does not: an answer that sets a cookie would differ from that of a service, which can
    sign no tokens, wherever the two are compared.
    """
    if SESSION_COOKIE in response.cookies:
        return
    if visit.session is None:
        if SESSION_COOKIE in visit.request.cookies:
            drop_session(response)
        return
    claims = visit.front.callers.claims(visit.request)
    mine = claims is not None and claims.account_id == visit.session.account_id
    if claims is None or not mine or now() - claims.issued > tokens.LIFE // 2:
        _set_token(visit, response, visit.session)


def _set_token(visit: Visit, response: web.Response, session: Session) -> None:
    if visit.front.keys is not None:
        token = tokens.issue(visit.front.keys(), session.account_id, now())
        _set(visit, response, TOKEN_COOKIE, token, tokens.LIFE)


def _set(visit: Visit, response: web.Response, name: str, value: str, life: int) -> None:
    set_cookie(visit, response, name, value, max_age=life, path="/", samesite="Lax")


def _failure(visit: Visit, error: Exception) -> web.Response:
    plain = answer_for(error)  # which also tells the operator, where it is the operator's business
    said = str(error) if isinstance(error, Refused) else "This could not be answered."
    response = visit.render("failure", plain.status, title=HTTPStatus(plain.status).phrase, said=said)
    if "Retry-After" in plain.headers:
        response.headers["Retry-After"] = plain.headers["Retry-After"]
    return response
