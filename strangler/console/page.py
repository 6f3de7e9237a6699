"""`/`: the routes on one plain page, made here, without a script. Everything shown is escaped."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

from aiohttp import web

from strangler.console.panel import PANEL
from strangler.console.views import pairs

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;"
    "border-bottom:1px solid #ccc;vertical-align:top}td.n{text-align:right}"
    ".pass{color:#176b2c}.fail{color:#b00020}.fault{color:#b00020;white-space:pre-wrap}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
#: Nothing may run, load or frame this page; the one style is known by its hash.
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HEAD = ("route", "stage", "share", "shadow", "match rate (95 % interval)", "pairs", "mismatches", "verdict")


async def page(request: web.Request) -> web.Response:
    """The page, which loads itself again every two seconds."""
    panel = request.app[PANEL]
    report = await asyncio.to_thread(panel.report, None)
    text = render(report, panel.faults())
    return web.Response(text=text, content_type="text/html", headers=HEADERS)


def render(report: dict[str, Any], faults: list[str]) -> str:
    """The page as text."""
    wrong = "".join(f'<p class="fault">{escape(fault)}</p>' for fault in faults)
    if wrong:
        wrong = f"<p>routes.yaml was saved with faults; the table before it is still running.</p>{wrong}"
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEAD)
    rows = "".join(_row(route) for route in report["routes"]) or '<tr><td colspan="8">no routes</td></tr>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        f"<title>strangler</title><style>{_STYLE}</style></head><body><h1>strangler</h1>{wrong}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>as of {escape(str(report['generated_at']))}</p></body></html>"
    )


def _row(route: dict[str, Any]) -> str:
    verdict, reasons = str(route["verdict"]), route["reasons"]
    why = f"<br>{escape(str(reasons[0]))}" if reasons else ""
    if "ramp" in route:
        why = f"<br>ramp: {escape(str(route['ramp']['waits']))}"
    in_file = f"<br>(routes.yaml: {route['file_share']:g} %)" if "file_share" in route else ""
    known = verdict if verdict in ("pass", "fail") else ""
    cells = [
        escape(str(route["route"])),
        escape(str(route["stage"])),
        f"{route['share']:g} %{in_file}",
        f"{route['shadow']:g} %",
        _rate(route["match_rate"]),
        str(pairs(route)),
        str(route["outcomes"]["mismatch"]),
    ]
    plain = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr>{plain}<td><strong class="{known}">{escape(verdict)}</strong>{why}</td></tr>'


def _rate(rate: dict[str, Any]) -> str:
    if rate["estimate"] is None:
        return "–"
    return f"{rate['estimate']:.2%} ({rate['low']:.2%} … {rate['high']:.2%})"
