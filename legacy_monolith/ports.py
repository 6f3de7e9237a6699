"""The ports: how orders reach stock and payments, wherever those are.

A port does its part of an order in one of two ways, and each way is an adapter. `in_transaction` does the part at
once, in the transaction that is open. `over_http` does nothing by itself: it says which call does the part, and
that call is made when the transaction has been committed. So a part is either in the transaction or in the log of
the saga, and never in neither.
"""

import sqlite3
from dataclasses import dataclass
from typing import Literal, Protocol

from legacy_monolith.drafts import Draft

Where = Literal["local", "http"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that does one part of an order."""

    target: str  # path, below the address of the proxy; the method is POST
    body: str  # JSON


class StockPort(Protocol):
    """How orders reach stock. A result of None means that the part has been done in this transaction."""

    def reserve(self, db: sqlite3.Connection, draft: Draft) -> Call | None:
        """Set the goods of an order aside. Raises OutOfStock."""

    def confirm(self, db: sqlite3.Connection, draft: Draft) -> Call | None:
        """Make what was set aside sold."""

    def release(self, db: sqlite3.Connection, draft: Draft) -> Call | None:
        """Undo both, as far as they have happened, or keep them from happening later."""


class PaymentsPort(Protocol):
    """How orders reach payments. A result of None means that the part has been done in this transaction."""

    def charge(self, db: sqlite3.Connection, draft: Draft) -> Call | None:
        """Take the money for an order. Raises NotPaid."""

    def refund(self, db: sqlite3.Connection, draft: Draft) -> Call | None:
        """Give it back if it was taken, or keep it from being taken later."""
