"""The adapters of the two ports for parts that live in this database: what they do is a part of the transaction."""

import sqlite3

from legacy_monolith import payments, stock
from legacy_monolith.drafts import Draft


class StockHere:
    """The stock of this database."""

    def reserve(self, db: sqlite3.Connection, draft: Draft) -> None:
        """See StockPort."""
        for item in draft.items:
            stock.reserve(db, draft.order_id, item.sku, item.quantity)

    def confirm(self, db: sqlite3.Connection, draft: Draft) -> None:
        """See StockPort."""
        stock.confirm(db, draft.order_id)

    def release(self, db: sqlite3.Connection, draft: Draft) -> None:
        """See StockPort."""
        stock.release(db, draft.order_id)


class PaymentsHere:
    """The payments of this database."""

    def charge(self, db: sqlite3.Connection, draft: Draft) -> None:
        """See PaymentsPort."""
        payments.take(
            db,
            payment_id=draft.payment_id,
            account_id=draft.account_id,
            order_id=draft.order_id,
            method=draft.method,
            card=draft.card,
            amount_cents=draft.total_cents,
            tax_cents=draft.tax_cents,
            at=draft.at,
        )

    def refund(self, db: sqlite3.Connection, draft: Draft) -> None:
        """See PaymentsPort."""
        payments.give_back(db, draft.order_id)


STOCK = StockHere()
PAYMENTS = PaymentsHere()
