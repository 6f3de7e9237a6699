"""Orders: what the shop has promised, and the one transaction in which it promises."""

import sqlite3
from dataclasses import dataclass

from legacy_monolith import accounts, catalogue, money, payments, stock
from legacy_monolith.errors import UnknownReference
from legacy_monolith.order_request import Item, OrderRequest
from legacy_monolith.transactions import transaction

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


@dataclass(frozen=True, slots=True)
class _Line:
    sku: str
    quantity: int
    unit_price_cents: int
    tax_cents: int

    @property
    def total_cents(self) -> int:
        return self.quantity * self.unit_price_cents


def place(db: sqlite3.Connection, wanted: OrderRequest, at: str) -> int:
    """Reserve the stock, take the payment and write the order, or do nothing of it.

    `at` is the time as the API shows it. Returns the order's id.
    Raises UnknownReference, OutOfStock, NotPaid.
    """
    with transaction(db):
        return place_within(db, wanted, at)


def place_within(db: sqlite3.Connection, wanted: OrderRequest, at: str) -> int:
    """Place an order as a part of a transaction that the caller holds, and undoes if this raises."""
    if not accounts.exists(db, wanted.account_id):
        raise UnknownReference(f"there is no account {wanted.account_id}")
    lines = [_priced(db, item) for item in wanted.items]
    for line in lines:
        stock.reserve(db, line.sku, line.quantity)
    order_id = _write(db, wanted.account_id, lines, at)
    payments.take(
        db,
        account_id=wanted.account_id,
        order_id=order_id,
        method=wanted.method,
        card=wanted.card,
        amount_cents=_total(lines),
        tax_cents=_tax(lines),
        at=at,
    )
    return order_id


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
        "payment_id": payments.id_for_order(db, order_id),
        "placed_at": placed_at,
        "total": money.to_wire(total_cents),
        "tax": money.to_wire(tax_cents),
        "lines": [
            {"line": line, "sku": sku, "quantity": quantity, "unit_price": money.to_wire(unit_price_cents)}
            for line, sku, quantity, unit_price_cents in lines
        ],
    }


def _priced(db: sqlite3.Connection, item: Item) -> _Line:
    product = catalogue.find(db, item.sku)
    if product is None:
        raise UnknownReference(f"there is no product {item.sku}")
    tax_cents = money.tax_within(item.quantity * product.price_cents, product.tax_percent)
    return _Line(item.sku, item.quantity, product.price_cents, tax_cents)


def _total(lines: list[_Line]) -> int:
    return sum(line.total_cents for line in lines)


def _tax(lines: list[_Line]) -> int:
    return sum(line.tax_cents for line in lines)


def _write(db: sqlite3.Connection, account_id: int, lines: list[_Line], at: str) -> int:
    row: tuple[int] = db.execute(
        """INSERT INTO orders (account_id, total_cents, tax_cents, placed_at)
        VALUES (?, ?, ?, ?) RETURNING order_id""",
        (account_id, _total(lines), _tax(lines), at),
    ).fetchone()
    db.executemany(
        "INSERT INTO order_lines (order_id, line, sku, quantity, unit_price_cents) VALUES (?, ?, ?, ?, ?)",
        [
            (row[0], number, line.sku, line.quantity, line.unit_price_cents)
            for number, line in enumerate(lines, 1)
        ],
    )
    return row[0]
