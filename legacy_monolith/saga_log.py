"""The durable log of the sagas: what was begun and how it ended, and the dead letters that wait for a person."""

import sqlite3
from dataclasses import dataclass

from legacy_monolith import drafts, errors, money
from legacy_monolith.drafts import Draft
from legacy_monolith.errors import Refused
from legacy_monolith.ports import Call, Where
from legacy_monolith.reasons import for_customer
from legacy_monolith.saga import ENDS, UNCHARGED, Entry, State, Step

REMOVED = "removed"  # stands in the place of a card that is not needed any more
_HAS_CARD = f"json_extract(draft, '$.card') <> '{REMOVED}'"

LATER_SCHEMA = (
    # Every order that was not placed in one transaction. `state` is what the log says, for those who list sagas.
    """CREATE TABLE IF NOT EXISTS sagas (
        order_id INTEGER PRIMARY KEY,
        draft TEXT NOT NULL,
        stock TEXT NOT NULL CHECK (stock IN ('local', 'http')),
        payments TEXT NOT NULL CHECK (payments IN ('local', 'http')),
        state TEXT NOT NULL,
        refusal TEXT,
        reason TEXT,
        begun_at TEXT NOT NULL,
        ended_at TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS sagas_under_way ON sagas (order_id) WHERE ended_at IS NULL",
    # What an account has ordered that is no order, or not yet one.
    """CREATE INDEX IF NOT EXISTS sagas_of_account ON sagas (json_extract(draft, '$.account_id'), order_id)
        WHERE state <> 'confirmed'""",
    # What of it may still become an order: few, however much an account was refused.
    """CREATE INDEX IF NOT EXISTS sagas_undecided ON sagas (json_extract(draft, '$.account_id'), order_id)
        WHERE state <> 'confirmed' AND refusal IS NULL""",
    # The sagas that have a card in their draft still.
    f"""CREATE INDEX IF NOT EXISTS sagas_with_card ON sagas (order_id)
        WHERE {_HAS_CARD}""",
    """CREATE TABLE IF NOT EXISTS saga_log (
        order_id INTEGER NOT NULL REFERENCES sagas,
        entry INTEGER NOT NULL,
        at TEXT NOT NULL,
        step TEXT NOT NULL,
        phase TEXT NOT NULL,
        key TEXT,
        target TEXT,
        body TEXT,
        note TEXT,
        PRIMARY KEY (order_id, entry)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS dead_letters (
        order_id INTEGER NOT NULL REFERENCES sagas,
        step TEXT NOT NULL,
        key TEXT NOT NULL,
        target TEXT NOT NULL,
        body TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        last_error TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (order_id, step)
    ) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the two parts of an order are done. A saga keeps to those it began with, whatever the settings say."""

    stock: Where = "local"
    payments: Where = "local"

    @property
    def one_transaction(self) -> bool:
        """Whether an order can be placed in one transaction."""
        return self.stock == self.payments == "local"


@dataclass(frozen=True, slots=True)
class Saga:
    """An order that is being placed in steps.

    `refusal` says why it will be none, once that is known, in words for those who run the shop.
    """

    draft: Draft
    places: Places
    state: State
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A step that has begun and is to be carried out by a call."""

    order_id: int
    step: Step
    entry: int
    call: Call
    key: str  # for Idempotency-Key


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A compensation that has failed for good, with what a person needs who looks into it."""

    order_id: int
    step: Step
    state: State
    call: Call
    key: str
    attempts: int
    last_error: str
    at: str


def start(db: sqlite3.Connection, draft: Draft, places: Places, at: str) -> None:
    """Write down that an order is to be placed."""
    db.execute(
        "INSERT INTO sagas (order_id, draft, stock, payments, state, begun_at) VALUES (?, ?, ?, ?, 'placed', ?)",
        (draft.order_id, drafts.to_text(draft), places.stock, places.payments, at),
    )


def find(db: sqlite3.Connection, order_id: int) -> Saga | None:
    """Read the saga of an order, if it has one."""
    row = db.execute(
        "SELECT draft, stock, payments, state, refusal, reason FROM sagas WHERE order_id = ?", (order_id,)
    ).fetchone()
    if row is None:
        return None
    draft, stock, payments, state, refusal, reason = row
    error: Refused | None = getattr(errors, refusal)(reason) if refusal else None
    return Saga(drafts.from_text(draft), Places(stock, payments), state, error)


def under_way(db: sqlite3.Connection) -> list[int]:
    """List the orders that have not come to an end, the oldest first."""
    rows = db.execute("SELECT order_id FROM sagas WHERE ended_at IS NULL ORDER BY order_id")
    return [row[0] for row in rows]


def come_to(db: sqlite3.Connection, order_id: int, state: State, at: str) -> None:
    """Write down how far a saga has come."""
    db.execute(
        "UPDATE sagas SET state = ?, ended_at = ? WHERE order_id = ?",
        (state, at if state in ENDS else None, order_id),
    )


def forget_card(db: sqlite3.Connection, order_id: int) -> None:
    """Take the card out of the draft of an order and out of the call that has charged it, or was to."""
    for table, column in (("sagas", "draft"), ("saga_log", "body")):
        db.execute(
            f"""UPDATE {table} SET {column} = json_set({column}, '$.card', '{REMOVED}')
            WHERE order_id = ? AND json_extract({column}, '$.card') IS NOT NULL""",
            (order_id,),
        )


def sweep_cards(db: sqlite3.Connection) -> int:
    """Forget the cards that an earlier release has left behind; gives of how many orders."""
    rows = db.execute(f"SELECT order_id, state FROM sagas WHERE {_HAS_CARD}").fetchall()
    left = [order_id for order_id, state in rows if state not in UNCHARGED]
    for order_id in left:
        forget_card(db, order_id)
    return len(left)


def refuse(db: sqlite3.Connection, order_id: int, refusal: Refused) -> None:
    """Write down why the order will be none. The first reason stays."""
    db.execute(
        "UPDATE sagas SET refusal = ?, reason = ? WHERE order_id = ? AND refusal IS NULL",
        (type(refusal).__name__, str(refusal), order_id),
    )


def entries(db: sqlite3.Connection, order_id: int) -> list[Entry]:
    """Read the log of an order."""
    rows = db.execute(
        "SELECT entry, step, phase FROM saga_log WHERE order_id = ? ORDER BY entry", (order_id,)
    )
    return [Entry(*row) for row in rows]


def write(
    db: sqlite3.Connection,
    order_id: int,
    entry: Entry,
    at: str,
    *,
    call: Call | None = None,
    key: str | None = None,
    note: str | None = None,
) -> None:
    """Add an entry to the log of an order; the call with what has begun, a note with what has ended."""
    target, body = (call.target, call.body) if call else (None, None)
    db.execute(
        """INSERT INTO saga_log (order_id, entry, at, step, phase, key, target, body, note)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (order_id, entry.number, at, entry.step, entry.phase, key, target, body, note),
    )


def pending(db: sqlite3.Connection, order_id: int, number: int) -> Pending:
    """Read what an entry has begun: the very call, so that it is the same however often it is made."""
    step, target, body, key = db.execute(
        "SELECT step, target, body, key FROM saga_log WHERE order_id = ? AND entry = ?", (order_id, number)
    ).fetchone()
    return Pending(order_id, step, number, Call(target, body), key)


def bury(db: sqlite3.Connection, what: Pending, attempts: int, last_error: str, at: str) -> None:
    """Make a compensation that has failed for good a dead letter; the attempts of earlier rounds count too."""
    db.execute(
        """INSERT INTO dead_letters (order_id, step, key, target, body, attempts, last_error, at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET (key, attempts, last_error, at)
            = (excluded.key, attempts + excluded.attempts, excluded.last_error, excluded.at)""",
        (what.order_id, what.step, what.key, what.call.target, what.call.body, attempts, last_error, at),
    )


def dig_out(db: sqlite3.Connection, order_id: int, step: Step) -> None:
    """Forget a dead letter, if there is one: its step is done."""
    db.execute("DELETE FROM dead_letters WHERE order_id = ? AND step = ?", (order_id, step))


def is_buried(db: sqlite3.Connection, order_id: int, step: Step) -> bool:
    """Say whether there is a dead letter of a step, which may just be carried out once more."""
    found = db.execute("SELECT 1 FROM dead_letters WHERE order_id = ? AND step = ?", (order_id, step))
    return found.fetchone() is not None


def dead_letters(db: sqlite3.Connection) -> list[DeadLetter]:
    """List the dead letters, the oldest order first."""
    rows = db.execute(
        """SELECT order_id, step, state, target, body, key, attempts, last_error, at
        FROM dead_letters JOIN sagas USING (order_id) ORDER BY order_id, step"""
    )
    return [
        DeadLetter(order_id, step, state, Call(target, body), *rest)
        for order_id, step, state, target, body, *rest in rows
    ]


def begun_at(db: sqlite3.Connection, order_id: int) -> str:
    """Say when the saga of an order began, as the API shows a time."""
    row: tuple[str] = db.execute("SELECT begun_at FROM sagas WHERE order_id = ?", (order_id,)).fetchone()
    return row[0]


def of_account(db: sqlite3.Connection, account_id: int, most: int) -> list[int]:
    """List what an account has ordered that is no order, or not yet one: the `most` latest, latest first."""
    rows = db.execute(
        """SELECT order_id FROM sagas WHERE json_extract(draft, '$.account_id') = ? AND state <> 'confirmed'
        ORDER BY order_id DESC LIMIT ?""",
        (account_id, most),
    )
    return [row[0] for row in rows]


def latest_pending(db: sqlite3.Connection, account_id: int) -> int | None:
    """Give the latest of these that may still become an order."""
    row: tuple[int] | None = db.execute(
        """SELECT order_id FROM sagas INDEXED BY sagas_undecided
        WHERE json_extract(draft, '$.account_id') = ? AND state <> 'confirmed' AND refusal IS NULL
        ORDER BY order_id DESC LIMIT 1""",
        (account_id,),
    ).fetchone()
    return row[0] if row else None


def order_shown(db: sqlite3.Connection, order_id: int) -> dict[str, object] | None:
    """Show an order that is none yet, or will never be one, as the API does."""
    saga = find(db, order_id)
    if saga is None:
        return None
    draft = saga.draft
    return {
        "order_id": order_id,
        "account_id": draft.account_id,
        "status": "cancelled" if saga.refusal else "pending",
        "reason": str(for_customer(saga.refusal, saga.state)) if saga.refusal else None,
        "placed_at": draft.at,
        "total": money.to_wire(draft.total_cents),
        "tax": money.to_wire(draft.tax_cents),
        "lines": [
            {
                "line": number,
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price": money.to_wire(line.unit_price_cents),
            }
            for number, line in enumerate(draft.lines, 1)
        ],
    }
