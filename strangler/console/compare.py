"""POST /api/v1/compare: two reports beside each other."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from strangler.console.problems import Refusal
from strangler.evidence import changes_view, compare_reports, read_report

#: Reports hold up to 500 fingerprints a route, with examples.
LARGEST_REPORTS = 8 * 1024 * 1024


#: Whose turn it is: comparing two large reports takes seconds of the process that also observes.
TURN = web.AppKey("turn", asyncio.Lock)


class Two(msgspec.Struct, forbid_unknown_fields=True):
    """Two reports, not looked into yet."""

    before: msgspec.Raw
    after: msgspec.Raw


async def compare(request: web.Request) -> web.Response:
    """What `strangler compare --json` says of the two reports in the body."""
    body = await request.clone(client_max_size=LARGEST_REPORTS).read()
    async with request.app[TURN]:
        answer = await asyncio.to_thread(_compared, body)
    return web.Response(body=answer, content_type="application/json", headers={"Cache-Control": "no-store"})


def _compared(body: bytes) -> bytes:
    try:
        two = msgspec.json.decode(body, type=Two)
    except msgspec.ValidationError as error:
        raise Refusal(
            400, f'the body must be {{"before": REPORT, "after": REPORT}}: {_line(error)}'
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body is not JSON: {_line(error)}") from None
    reports: list[Any] = [read_report(bytes(two.before), "before"), read_report(bytes(two.after), "after")]
    return msgspec.json.encode(changes_view(compare_reports(*reports)))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
