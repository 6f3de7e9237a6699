"""Money: integer cents inside, `{"amount": 12.9, "currency": "EUR"}` on the wire."""

from decimal import Decimal

CURRENCY = "EUR"
MOST_CENTS = 10**12


def to_wire(cents: int) -> dict[str, object]:
    """Show an amount of cents as the API does."""
    return {"amount": cents / 100, "currency": CURRENCY}


def from_wire(data: object) -> int:
    """Read an amount, its number as int or Decimal, in cents. Raises ValueError: "must be ..."."""
    if not isinstance(data, dict) or data.get("currency") != CURRENCY:
        raise ValueError(f"must be an amount with the currency {CURRENCY}")
    amount = data.get("amount")
    # bool is an int too, and is not meant.
    if (
        isinstance(amount, bool)
        or not isinstance(amount, int | Decimal)
        or not 0 <= amount <= MOST_CENTS // 100
    ):
        raise ValueError(f"must have a number from 0 to {MOST_CENTS // 100} as its amount")
    cents = amount * 100
    if cents != int(cents):
        raise ValueError("must be in whole cents")
    return int(cents)
