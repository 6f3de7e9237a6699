"""An order as CSV (RFC 4180), which a spreadsheet may open without carrying out what is in it.

A text that a spreadsheet would take for a formula gets an apostrophe in front, and so does one that begins with an
apostrophe. So whoever reads the file by program drops one leading apostrophe of a text, and has what the shop has.
"""

import csv
import io
import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web

from legacy_monolith import catalogue
from legacy_monolith.errors import NotFound
from legacy_monolith.front import FRONT, find_order, status_of

COLUMNS = (
    *("order_id", "placed_at", "line", "sku", "name", "quantity", "unit_price", "line_total", "currency"),
    "status",  # came later, so it is the last: who reads by position goes on
)

#: What begins a formula (OWASP, CSV Injection), the full-width forms too; and our own mark, to tell it apart.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

Cell = str | int


def to_csv(rows: Iterable[Sequence[Cell]]) -> str:
    """Write rows as CSV. Texts are guarded; numbers are ours, and are not."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def guarded(text: str) -> str:
    """Keep a text from being taken for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


async def order_as_csv(request: web.Request) -> web.Response:
    """`GET /orders/{order_id}.csv`, and `GET /orders/{order_id}` with `Accept: text/csv`."""
    front = request.app[FRONT]
    permit = front.callers.permit(request)
    text = request.match_info["order_id"]
    known = _ID.fullmatch(text) and int(text) < 2**63
    order = find_order(front.reader, int(text)) if known else None
    if order is None or not permit.covers(order["account_id"]):
        raise NotFound(f"there is no order {text}")
    status = status_of(front.reader, order)
    rows = (COLUMNS, *((*_row(front.reader, order, line), status) for line in order["lines"]))
    return web.Response(
        body=to_csv(rows).encode(),
        headers={
            "Content-Type": "text/csv; charset=utf-8; header=present",
            "Content-Disposition": f'attachment; filename="order-{text}.csv"',
            "Cache-Control": "private, no-cache",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _row(db: sqlite3.Connection, order: dict[str, Any], line: dict[str, Any]) -> tuple[Cell, ...]:
    product = catalogue.find(db, line["sku"])
    price = line["unit_price"]
    return (
        order["order_id"],
        order["placed_at"],
        line["line"],
        line["sku"],
        product.name if product else "",
        line["quantity"],
        f"{price['amount']:.2f}",
        f"{round(price['amount'] * 100) * line['quantity'] / 100:.2f}",
        price["currency"],
    )
