"""The page that sets two reports side by side: two releases of a route, or two files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from strangler.console import looks
from strangler.console.forms import FILES, read_form
from strangler.console.live import around
from strangler.console.panel import PANEL, Panel
from strangler.cutover.report import releases_on, report_on
from strangler.evidence import Releases, ReportError, changes_view, compare_reports, read_report
from strangler.evidence.shape import ReleasePair

#: The lists of `Changes`, worst news first, and what they are called on the page.
_LISTS: Final = (
    ("new", "New"),
    ("worse", "More often than before"),
    ("persisting", "Still there"),
    ("unseen", "Not seen again, among too few pairs to call it fixed"),
    ("better", "Less often than before"),
    ("fixed", "Fixed"),
)


async def ask(request: web.Request) -> web.Response:
    """Two releases of a route, as the query names them; the latest two where it does not."""
    values = await asyncio.to_thread(_releases, request.app[PANEL], request.query)
    return looks.whole("compare.html", {**around(request), **values})


async def upload(request: web.Request) -> web.Response:
    """Two files, or a file and what is seen now."""
    files = (await read_form(request, FILES)).files
    panel = request.app[PANEL]
    nothing = await asyncio.to_thread(_releases, panel, {})
    try:
        before = read_report(files.get("before", b""), "the report before")
        given = files.get("after", b"")
        after = (
            read_report(given, "the report after") if given else await asyncio.to_thread(panel.report, None)
        )
        found = _compared(before, after)
        status = 200
    except ReportError as error:
        found, status = {"wrong": str(error)}, 400
    return looks.whole("compare.html", {**around(request), **nothing, **found}, status)


def _releases(panel: Panel, query: Mapping[str, str]) -> dict[str, Any]:
    table = panel.table()
    names = [route.name for route in table.routes]
    values: dict[str, Any] = {
        "names": names,
        "route": query.get("route") or (names[0] if names else ""),
        "choices": [],
        "before": "",
        "after": "",
        "changes": None,
        "lists": [],
        "sides": [],
        "wrong": "",
    }
    if not values["route"]:
        return values
    pairs = [each["releases"] for each in releases_on(table, panel.state, values["route"])["pairs"]]
    if not pairs:
        return values
    values["choices"] = [
        (_key(pair), f"{pair['legacy'] or 'unknown'} → {pair['extracted'] or 'unknown'}") for pair in pairs
    ]
    known = {_key(pair): pair for pair in pairs}
    before, after = query.get("before", ""), query.get("after", "")
    values["before"] = before if before in known else _key(pairs[max(0, len(pairs) - 2)])
    values["after"] = after if after in known else _key(pairs[-1])
    if values["before"] == values["after"]:
        return values
    chosen = (Releases(**known[values[key]]) for key in ("before", "after"))
    return values | _compared(*(report_on(table, panel.state, values["route"], each) for each in chosen))


def _compared(before: Any, after: Any) -> dict[str, Any]:
    changes = compare_reports(before, after)
    view: Mapping[str, Any] = changes_view(changes)
    return {
        "changes": view,
        "lists": [(title, view[name]) for name, title in _LISTS],
        "sides": [
            {"route": each.route, "before": each.before, "after": each.after} for each in changes.routes
        ],
        "wrong": "",
    }


def _key(pair: ReleasePair) -> str:
    return msgspec.json.encode([pair["legacy"], pair["extracted"]]).decode()
