"""The books of the shop: what was sold and taken, read from all databases, and whether it adds up."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

LAST_OF_THE_PAST = 10_800  # the orders of the seed end here

_STOCK = {
    "local": ("shop", "SELECT sku, sum({}) FROM stock_levels GROUP BY sku"),
    "http": ("inventory", "SELECT sku, sum({}) FROM levels GROUP BY sku"),
}
_KEPT = """SELECT order_id, amount_cents - refunded_cents FROM payments
    WHERE order_id > ? AND amount_cents > refunded_cents"""

_ORDERED = "SELECT sku, sum(quantity) FROM order_lines GROUP BY sku"


@dataclass(frozen=True)
class Books:
    """All of it since the seed; money in cents."""

    on_hand: Counter[str]
    reserved: Counter[str]
    ordered: Counter[str]
    totals: dict[int, int]  # of the confirmed orders
    charged: dict[int, int]  # less what was given back, of the orders where something is left
    balances: int
    by_balance: int  # the totals of orders that were paid from a balance
    held: int  # rows that only an order under way has
    under_way: list[tuple[int, str]]
    ended: dict[int, str]
    dead: int


def read(folder: Path, stock: str = "http", payments: str = "http") -> Books:
    """Read the books; `folder` has the databases shop, payments and inventory."""
    with opened(folder / "shop") as shop, opened(folder / _STOCK[stock][0]) as shelves:
        money = shop if payments == "local" else None
        with opened(folder / ("shop" if money else "payments")) as till:
            levels = _STOCK[stock][1]
            charged = dict(till.execute(_KEPT, (LAST_OF_THE_PAST,)).fetchall())
            return Books(
                on_hand=Counter(dict(shelves.execute(levels.format("on_hand")).fetchall())),
                reserved=Counter(dict(shelves.execute(levels.format("reserved")).fetchall())),
                ordered=Counter(
                    dict(shop.execute("SELECT sku, sum(quantity) FROM order_lines GROUP BY sku").fetchall())
                ),
                totals=dict(
                    shop.execute(
                        "SELECT order_id, total_cents FROM orders WHERE order_id > ?", (LAST_OF_THE_PAST,)
                    )
                ),
                charged=charged,
                balances=_one(shop, "SELECT sum(balance_cents) FROM accounts"),
                by_balance=_one(
                    till,
                    "SELECT sum(amount_cents - refunded_cents) FROM payments "
                    f"WHERE method = 'balance' AND order_id > {LAST_OF_THE_PAST}",
                ),
                held=_one(
                    shop, "SELECT (SELECT count(*) FROM stock_held) + (SELECT count(*) FROM balances_held)"
                ),
                under_way=shop.execute("SELECT order_id, state FROM sagas WHERE ended_at IS NULL").fetchall(),
                ended=dict(
                    shop.execute("SELECT order_id, state FROM sagas WHERE ended_at IS NOT NULL").fetchall()
                ),
                dead=_one(shop, "SELECT count(*) FROM dead_letters"),
            )


def disagreements(before: Books, after: Books) -> list[str]:
    """Everything that does not add up: an order that is stuck, or a change that was not ordered."""
    sold = {sku: count for sku, count in (after.reserved - before.reserved).items() if count}
    put_back = before.reserved - after.reserved
    new_totals = {number: cents for number, cents in after.totals.items() if number not in before.totals}
    held = {
        "orders are under way": (after.under_way, []),
        "dead letters": (after.dead, 0),
        "rows that only an order under way has": (after.held, 0),
        "goods on hand": (after.on_hand, before.on_hand),
        "goods sold, and ordered": (sold, dict(after.ordered - before.ordered)),
        "goods that came back from nowhere": (dict(put_back), {}),
        "charged less refunded, and the totals of orders": (after.charged, before.charged | new_totals),
        "balances, with what was paid from them": (
            after.balances + after.by_balance,
            before.balances + before.by_balance,
        ),
    }
    return [f"{what}: {found!r}, not {wanted!r}" for what, (found, wanted) in held.items() if found != wanted]


def assert_they_add_up(before: Books, after: Books) -> None:
    """Nothing is stuck, and what has changed is what was ordered."""
    assert disagreements(before, after) == []


def enrich(folder: Path, account_id: int) -> None:
    """Give an account of a monolith that is not running a large balance."""
    with closing(sqlite3.connect(folder / "shop", isolation_level=None)) as shop:
        shop.execute("UPDATE accounts SET balance_cents = 100000000 WHERE account_id = ?", (account_id,))


def open_sagas(folder: Path) -> int:
    """How many orders have not come to an end."""
    with opened(folder / "shop") as shop:
        return _one(shop, "SELECT count(*) FROM sagas WHERE ended_at IS NULL")


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        yield db


def _one(db: sqlite3.Connection, sql: str) -> int:
    return int(db.execute(sql).fetchone()[0] or 0)
