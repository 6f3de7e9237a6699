"""Accounts: who buys here, and the balance some of them keep with the shop."""

import sqlite3

from legacy_monolith import money
from legacy_monolith.errors import NotPaid

SCHEMA = (
    """CREATE TABLE accounts (
        account_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        email TEXT NOT NULL UNIQUE,
        since TEXT NOT NULL,
        balance_cents INTEGER NOT NULL CHECK (balance_cents >= 0)
    )""",
)

LATER_SCHEMA = (
    # What was taken from balances for orders that are still being placed: it can be put back.
    """CREATE TABLE IF NOT EXISTS balances_held (
        order_id INTEGER PRIMARY KEY,
        account_id INTEGER NOT NULL REFERENCES accounts,
        cents INTEGER NOT NULL CHECK (cents > 0)
    )""",
)


def exists(db: sqlite3.Connection, account_id: int) -> bool:
    """Say whether there is such an account."""
    return db.execute("SELECT 1 FROM accounts WHERE account_id = ?", (account_id,)).fetchone() is not None


def find(db: sqlite3.Connection, account_id: int) -> dict[str, object] | None:
    """Show one account as the API does."""
    row = db.execute(
        "SELECT name, email, since, balance_cents FROM accounts WHERE account_id = ?", (account_id,)
    ).fetchone()
    if row is None:
        return None
    name, email, since, balance_cents = row
    return {
        "account_id": account_id,
        "name": name,
        "email": email,
        "since": since,
        "balance": money.to_wire(balance_cents),
    }


def id_for_email(db: sqlite3.Connection, email: str) -> int | None:
    """Find the account of an e-mail address, which is in small letters."""
    row = db.execute("SELECT account_id FROM accounts WHERE email = ?", (email,)).fetchone()
    return row[0] if row else None


def withdraw(db: sqlite3.Connection, account_id: int, cents: int) -> None:
    """Take money from the balance of an account. Raises NotPaid when it is too small."""
    taken = db.execute(
        """UPDATE accounts SET balance_cents = balance_cents - ?1
        WHERE account_id = ?2 AND balance_cents >= ?1""",
        (cents, account_id),
    )
    if not taken.rowcount:
        raise NotPaid(f"the balance of account {account_id} is too small")


def deposit(db: sqlite3.Connection, account_id: int, cents: int) -> None:
    """Add money to the balance of an account."""
    db.execute(
        "UPDATE accounts SET balance_cents = balance_cents + ? WHERE account_id = ?", (cents, account_id)
    )


def hold(db: sqlite3.Connection, order_id: int, account_id: int, cents: int) -> None:
    """Take money from a balance for an order that may still be cancelled. Raises NotPaid."""
    withdraw(db, account_id, cents)
    db.execute(
        "INSERT INTO balances_held (order_id, account_id, cents) VALUES (?, ?, ?)",
        (order_id, account_id, cents),
    )


def spend(db: sqlite3.Connection, order_id: int) -> None:
    """Keep what is held for an order, if anything: it is paid."""
    db.execute("DELETE FROM balances_held WHERE order_id = ?", (order_id,))


def let_go(db: sqlite3.Connection, order_id: int) -> None:
    """Put what is held for an order, if anything, back on its balance."""
    held = db.execute(
        "DELETE FROM balances_held WHERE order_id = ? RETURNING account_id, cents", (order_id,)
    ).fetchall()
    for account_id, cents in held:
        deposit(db, account_id, cents)


def add(db: sqlite3.Connection, account_id: int, name: str, email: str, since: str) -> None:
    """Open an account with an empty balance; `since` is a date, YYYY-MM-DD."""
    db.execute(
        "INSERT INTO accounts (account_id, name, email, since, balance_cents) VALUES (?, ?, ?, ?, 0)",
        (account_id, name, email, since),
    )
