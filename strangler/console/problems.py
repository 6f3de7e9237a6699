"""Errors as problems (RFC 9457), or as a page for a browser: one function gives the status code of each."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TypedDict

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from strangler.compare import printable
from strangler.console import looks
from strangler.cutover import BadValue, CannotWrite, UnknownReleases, UnknownRoute
from strangler.evidence import ReportError, StoreError
from strangler.routes import CannotEdit, Faults

log = logging.getLogger("strangler.console")


class Problem(TypedDict):
    """Why there is no other answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class Refusal(Exception):
    """A request that is not carried out, with its status code. The message is for who sent it."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownRoute, 404),
    (UnknownReleases, 404),
    (BadValue, 400),
    (ReportError, 400),
    (CannotEdit, 409),  # the request is fine; routes.yaml as it stands is in the way
    (Faults, 409),
    (CannotWrite, 503),
    (StoreError, 503),
)


def status_of(error: Exception) -> int:
    """The status code that tells an error."""
    if isinstance(error, Refusal):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """The answer that tells a problem."""
    body: Problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem. What nobody expected is logged, not shown."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return _told(request, error.status, _explained(error, request), kept)
    except Exception as error:
        status = status_of(error)
        if status == 500:
            log.exception("%s %s failed", request.method, request.path)
            return _told(request, 500, "the console failed; its log says more")
        return _told(request, status, str(error), error.headers if isinstance(error, Refusal) else None)


def _told(
    request: web.Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> web.Response:
    if not looks.is_for_people(request):
        return problem(status, detail, headers)
    values = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    page = looks.whole("error.html", values, status)
    page.headers.update(headers or {})
    return page


def _explained(error: web.HTTPException, request: web.Request) -> str:
    if error.status == 404:
        return f"nothing is at {printable(request.path, 200)}; docs/commands.md lists the endpoints"
    if error.status == 405:
        return f"{request.method} is not for {request.path}; it takes {error.headers.get('Allow', '')}"
    return error.text or error.reason
