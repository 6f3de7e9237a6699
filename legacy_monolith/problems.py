"""Errors on the wire: one small `application/problem+json` (RFC 9457) for each."""

import json
import logging
import sqlite3
from http import HTTPStatus

from aiohttp import web

from legacy_monolith.errors import (
    Contradiction,
    Forbidden,
    KeyReused,
    Malformed,
    NotFound,
    NotLoggedIn,
    NotPaid,
    NotReached,
    OutOfStock,
    OutOfTurn,
    Refused,
    TooMany,
    TooManyAttempts,
    UnknownReference,
)

_STATUS: dict[type[Refused], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    NotLoggedIn: HTTPStatus.UNAUTHORIZED,
    NotPaid: HTTPStatus.PAYMENT_REQUIRED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Contradiction: HTTPStatus.CONFLICT,
    OutOfStock: HTTPStatus.CONFLICT,
    OutOfTurn: HTTPStatus.CONFLICT,
    UnknownReference: HTTPStatus.UNPROCESSABLE_ENTITY,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotReached: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    TooMany: HTTPStatus.SERVICE_UNAVAILABLE,
}

_log = logging.getLogger(__name__)


def answer_for(error: Exception) -> web.Response:
    """Turn whatever went wrong into the answer the caller gets."""
    match error:
        case Refused():
            return _problem(status_of(error), str(error), _headers(error))
        case web.HTTPException():
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return _problem(HTTPStatus(error.status), _detail(error), allow)
        case sqlite3.OperationalError():
            _log.error("the database does not answer: %s", error)
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer")
    _log.error("a handler failed", exc_info=error)
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the request could not be answered")


def status_of(error: Refused) -> HTTPStatus:
    """Give the HTTP status of a refusal."""
    return _STATUS[type(error)]


def _headers(error: Refused) -> dict[str, str] | None:
    match error:
        case NotLoggedIn():
            return {"WWW-Authenticate": 'Bearer realm="shop"'}  # RFC 9110 section 15.5.2 wants one
        case TooMany():
            return {"Retry-After": str(error.retry_after)}
    return None


def _detail(error: web.HTTPException) -> str:
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return "there is nothing at this path"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return "this path does not answer to this method"
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "the body is too large"
    return error.reason


def _problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
