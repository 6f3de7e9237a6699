"""Errors on the wire: one small `application/problem+json` (RFC 9457) for each, worded as the monolith does."""

import json
import logging
import sqlite3
from http import HTTPStatus

from aiohttp import web

_log = logging.getLogger(__name__)


class Malformed(Exception):
    """The request cannot be understood; the text says why."""


class NotFound(Exception):
    """The thing that the request names does not exist; the text says which."""


class UnknownEvent(Exception):
    """The event, or its version, is not known here; the text says which."""


class NotReady(Exception):
    """The service cannot do that yet; the text says what it waits for."""


class KeyReused(Exception):
    """The key of a write belongs to another request."""


class Refused(Exception):
    """The service understands a write, and will not do it; the text says why, `status` is 409."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class NotLoggedIn(Exception):
    """The thing is for callers who have logged in."""


class LoginUnknown(Exception):
    """Whether the caller has logged in cannot be found out just now; the text says why."""


_STATUS = {
    Malformed: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownEvent: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    NotLoggedIn: HTTPStatus.UNAUTHORIZED,
    LoginUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
}
#: RFC 9110 section 15.5.2 wants a challenge with a 401.
_HEADERS = {
    NotLoggedIn: {"WWW-Authenticate": 'Bearer realm="shop"'},
    LoginUnknown: {"Retry-After": "1"},
}
RETRY_AFTER_SECONDS = 1  # when the database is busy


def answer_for(error: Exception) -> web.Response:
    """Turn whatever went wrong into the answer the caller gets."""
    status = error.status if isinstance(error, Refused) else _STATUS.get(type(error))
    if status is not None:
        return _problem(status, str(error), **_HEADERS.get(type(error), {}))
    match error:
        case web.HTTPNotFound():
            return _problem(HTTPStatus.NOT_FOUND, "there is nothing at this path")
        case web.HTTPMethodNotAllowed():
            detail = "this path does not answer to this method"
            return _problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, Allow=error.headers["Allow"])
        case web.HTTPException():
            return _problem(HTTPStatus(error.status), error.reason)
        case sqlite3.OperationalError():
            _log.error("the database does not answer: %s", error)
            detail, wait = "the database does not answer", {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, **wait)
    _log.error("a handler failed", exc_info=error)
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the request could not be answered")


def problem(status: HTTPStatus, detail: str) -> dict[str, object]:
    """Build the body of an error."""
    return {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}


def _problem(status: HTTPStatus, detail: str, **headers: str) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(problem(status, detail)).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
