"""Errors on the wire: one small `application/problem+json` (RFC 9457) for each, worded as the monolith does."""

import json
import logging
import sqlite3
from http import HTTPStatus

from aiohttp import web

_log = logging.getLogger(__name__)


class NotFound(Exception):
    """The thing that the request names does not exist; the text says which."""


def answer_for(error: Exception) -> web.Response:
    """Turn whatever went wrong into the answer the caller gets."""
    match error:
        case NotFound():
            return _problem(HTTPStatus.NOT_FOUND, str(error))
        case web.HTTPNotFound():
            return _problem(HTTPStatus.NOT_FOUND, "there is nothing at this path")
        case web.HTTPMethodNotAllowed():
            detail = "this path does not answer to this method"
            return _problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, error.headers["Allow"])
        case web.HTTPException():
            return _problem(HTTPStatus(error.status), error.reason)
        case sqlite3.OperationalError():
            _log.error("the database does not answer: %s", error)
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer")
    _log.error("a handler failed", exc_info=error)
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the request could not be answered")


def _problem(status: HTTPStatus, detail: str, allow: str | None = None) -> web.Response:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/problem+json",
        headers={"Allow": allow} if allow else None,
    )
