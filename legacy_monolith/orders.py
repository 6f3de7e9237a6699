"""Orders: what the shop has promised, and the one transaction in which it promises.

A row of `orders` is a promise: the goods are set aside and the money is taken. An order that is still being
placed is a draft, and has no row yet.
"""

import sqlite3
from typing import Any

from legacy_monolith import accounts, catalogue, money, order_keys, payments
from legacy_monolith.drafts import Draft, Line
from legacy_monolith.errors import NotPaid, OutOfStock, UnknownReference
from legacy_monolith.in_transaction import PAYMENTS, STOCK
from legacy_monolith.numbering import next_id
from legacy_monolith.order_keys import Known
from legacy_monolith.order_request import Item, OrderRequest
from shop_events import outbox
from shop_events.transactions import savepoint, transaction

SCHEMA = (
    """CREATE TABLE orders (
        order_id INTEGER PRIMARY KEY AUTOINCREMENT,
        account_id INTEGER NOT NULL,
        total_cents INTEGER NOT NULL CHECK (total_cents > 0),
        tax_cents INTEGER NOT NULL,
        placed_at TEXT NOT NULL
    )""",
    """CREATE TABLE order_lines (
        order_id INTEGER NOT NULL REFERENCES orders,
        line INTEGER NOT NULL,
        sku TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        unit_price_cents INTEGER NOT NULL,
        PRIMARY KEY (order_id, line)
    ) WITHOUT ROWID""",
    # The first order is 10001: nobody wants to be the first customer of a shop.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('orders', 10000)",
)

LATER_SCHEMA = (
    "CREATE INDEX IF NOT EXISTS orders_of_account ON orders (account_id)",
    # The payments of orders whose money a service has taken: it has the payment, we have its number.
    """CREATE TABLE IF NOT EXISTS payments_elsewhere (
        order_id INTEGER PRIMARY KEY REFERENCES orders,
        payment_id INTEGER NOT NULL UNIQUE
    )""",
)


def place(db: sqlite3.Connection, wanted: OrderRequest, at: str) -> int:
    """Reserve the stock, take the payment and write the order, or do nothing of it.

    `at` is the time as the API shows it. Returns the order's id.
    Raises UnknownReference, OutOfStock, NotPaid.
    """
    with transaction(db):
        return place_within(db, wanted, at)


def place_once(db: sqlite3.Connection, wanted: OrderRequest, key: str, at: str) -> tuple[Known, bool]:
    """Place an order unless its key is known; what the key stands for, and whether it has for some time.

    A refusal is kept like an order. Raises UnknownReference, after which the key is free, and KeyReused.
    """
    with transaction(db):
        known = order_keys.find(db, key, wanted, at)
        if known is not None:
            return known, True
        try:
            with savepoint(db):
                known = Known(place_within(db, wanted, at))
        except (OutOfStock, NotPaid) as refusal:
            known = Known(None, refusal)
        order_keys.keep(db, key, wanted, known, at)
        return known, False


def place_within(db: sqlite3.Connection, wanted: OrderRequest, at: str) -> int:
    """Place an order as a part of a transaction that the caller holds, and undoes if this raises."""
    draft = prepare(db, wanted, at)
    STOCK.reserve(db, draft)
    PAYMENTS.charge(db, draft)
    STOCK.confirm(db, draft)
    confirm(db, draft)
    return draft.order_id


def prepare(db: sqlite3.Connection, wanted: OrderRequest, at: str) -> Draft:
    """Price an order and give it its numbers; nothing is promised by that. Raises UnknownReference."""
    if not accounts.exists(db, wanted.account_id):
        raise UnknownReference(f"there is no account {wanted.account_id}")
    return Draft(
        lines=tuple(_priced(db, item) for item in wanted.items),
        order_id=next_id(db, "orders"),
        payment_id=payments.next_payment_id(db),
        account_id=wanted.account_id,
        method=wanted.method,
        card=wanted.card,
        at=at,
    )


def confirm(db: sqlite3.Connection, draft: Draft, *, paid_elsewhere: bool = False) -> None:
    """Promise it: from here on it is an order. Whether a service has the payment, `paid_elsewhere` says."""
    db.execute(
        "INSERT INTO orders (order_id, account_id, total_cents, tax_cents, placed_at) VALUES (?, ?, ?, ?, ?)",
        (draft.order_id, draft.account_id, draft.total_cents, draft.tax_cents, draft.at),
    )
    db.executemany(
        "INSERT INTO order_lines (order_id, line, sku, quantity, unit_price_cents) VALUES (?, ?, ?, ?, ?)",
        [
            (draft.order_id, number, line.sku, line.quantity, line.unit_price_cents)
            for number, line in enumerate(draft.lines, 1)
        ],
    )
    if paid_elsewhere:
        db.execute(
            "INSERT INTO payments_elsewhere (order_id, payment_id) VALUES (?, ?)",
            (draft.order_id, draft.payment_id),
        )
    data = {
        "order_id": draft.order_id,
        "account_id": draft.account_id,
        "payment_id": draft.payment_id,
        "placed_at": draft.at,
        "total": money.to_wire(draft.total_cents),
        "tax": money.to_wire(draft.tax_cents),
        "items": [{"sku": line.sku, "quantity": line.quantity} for line in draft.lines],
    }
    outbox.write(db, "OrderConfirmed", 1, str(draft.order_id), data)


def find(db: sqlite3.Connection, order_id: int) -> dict[str, object] | None:
    """Show one order as the API does."""
    row = db.execute(
        "SELECT account_id, total_cents, tax_cents, placed_at FROM orders WHERE order_id = ?", (order_id,)
    ).fetchone()
    if row is None:
        return None
    account_id, total_cents, tax_cents, placed_at = row
    lines = db.execute(
        "SELECT line, sku, quantity, unit_price_cents FROM order_lines WHERE order_id = ? ORDER BY line",
        (order_id,),
    )
    return {
        "order_id": order_id,
        "account_id": account_id,
        "payment_id": _payment_id(db, order_id),
        "placed_at": placed_at,
        "total": money.to_wire(total_cents),
        "tax": money.to_wire(tax_cents),
        "lines": [
            {"line": line, "sku": sku, "quantity": quantity, "unit_price": money.to_wire(unit_price_cents)}
            for line, sku, quantity, unit_price_cents in lines
        ],
    }


def of_account(db: sqlite3.Connection, account_id: int, most: int) -> list[dict[str, Any]]:
    """List the `most` latest orders of an account, latest first: their id, time and total."""
    rows = db.execute(
        """SELECT order_id, placed_at, total_cents FROM orders WHERE account_id = ?
        ORDER BY order_id DESC LIMIT ?""",
        (account_id, most),
    )
    return [
        {"order_id": order_id, "placed_at": placed_at, "total": money.to_wire(total_cents)}
        for order_id, placed_at, total_cents in rows
    ]


def _payment_id(db: sqlite3.Connection, order_id: int) -> int:
    row: tuple[int] | None = db.execute(
        "SELECT payment_id FROM payments_elsewhere WHERE order_id = ?", (order_id,)
    ).fetchone()
    return row[0] if row else payments.id_for_order(db, order_id)


def _priced(db: sqlite3.Connection, item: Item) -> Line:
    product = catalogue.find(db, item.sku)
    if product is None:
        raise UnknownReference(f"there is no product {item.sku}")
    tax_cents = money.tax_within(item.quantity * product.price_cents, product.tax_percent)
    return Line(item.sku, item.quantity, product.price_cents, tax_cents)
