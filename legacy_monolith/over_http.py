"""The adapters of the two ports for parts that live in a service, behind the proxy: they say which call to make."""

import json
import sqlite3

from legacy_monolith import accounts, money
from legacy_monolith.drafts import Draft
from legacy_monolith.ports import Call


class StockOverHttp:
    """The stock of the inventory service."""

    def reserve(self, db: sqlite3.Connection, draft: Draft) -> Call:
        """See StockPort."""
        items = [{"sku": item.sku, "quantity": item.quantity} for item in draft.items]
        return _call("/reservations", {"order_id": draft.order_id, "items": items})

    def confirm(self, db: sqlite3.Connection, draft: Draft) -> Call:
        """See StockPort."""
        return _call(f"/reservations/{draft.order_id}/confirm", {})

    def release(self, db: sqlite3.Connection, draft: Draft) -> Call:
        """See StockPort."""
        return _call(f"/reservations/{draft.order_id}/release", {})


class PaymentsOverHttp:
    """The payments of the payments service. Balances stay here, with the accounts: they are held meanwhile."""

    def charge(self, db: sqlite3.Connection, draft: Draft) -> Call:
        """See PaymentsPort."""
        if draft.method == "balance":
            accounts.hold(db, draft.order_id, draft.account_id, draft.total_cents)
        body = {
            "payment_id": draft.payment_id,
            "order_id": draft.order_id,
            "account_id": draft.account_id,
            "method": draft.method,
            "card": draft.card,
            "amount": money.to_wire(draft.total_cents),
            "tax": money.to_wire(draft.tax_cents),
            "taken_at": draft.at,
        }
        return _call("/payments", body)

    def refund(self, db: sqlite3.Connection, draft: Draft) -> Call:
        """See PaymentsPort."""
        return _call(f"/payments/{draft.payment_id}/refund", {"order_id": draft.order_id})


STOCK = StockOverHttp()
PAYMENTS = PaymentsOverHttp()


def _call(target: str, body: object) -> Call:
    return Call(target, json.dumps(body))
