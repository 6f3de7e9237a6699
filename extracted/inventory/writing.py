"""Writes over HTTP: one at a time, on a thread of their own, each with a key."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from extracted.inventory.idempotency import Work, key_of, once
from extracted.inventory.problems import Malformed

_Result = TypeVar("_Result")


class Writer:
    """Carries out the writes of a service, on a connection that nobody else uses; it does not close it.

    `clock` gives seconds since the epoch.
    """

    def __init__(self, db: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._db = db
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writes")

    async def answer(self, request: web.Request, data: object, work: Work) -> web.Response:
        """Do the work of a request whose body is `data`, once, and answer. Raises Malformed, KeyReused."""
        key = key_of(request.headers.get("Idempotency-Key"))
        target = f"{request.method} {request.path}"
        given = await asyncio.get_running_loop().run_in_executor(
            self._thread, once, self._db, key, target, data, work, self._clock()
        )
        return web.Response(
            status=given.status,
            body=given.body.encode(),
            content_type="application/json" if given.status < 400 else "application/problem+json",
            headers={"Cache-Control": "no-store"} | ({"Idempotency-Replayed": "true"} if given.again else {}),
        )

    async def do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do what needs no key, for it knows by itself whether it was done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._db)

    def close(self) -> None:
        """Wait for the write that is under way."""
        self._thread.shutdown()


async def json_of(request: web.Request) -> dict[str, Any]:
    """Read the body of a write: a JSON object, its fractions as Decimal. Raises Malformed."""
    try:
        body = await request.read()
    except (web.RequestPayloadError, BadHttpMessage) as error:
        raise Malformed("the body is not well-formed HTTP") from error
    return object_of(body)


def object_of(body: bytes) -> dict[str, Any]:
    """Read what came as JSON: an object, its fractions as Decimal. Raises Malformed."""
    try:
        data = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise Malformed("the body is not JSON") from error
    if not isinstance(data, dict):
        raise Malformed("the body must be an object")
    return data


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")
