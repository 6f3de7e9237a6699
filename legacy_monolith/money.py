"""Money: integer cents inside, a decimal number with its currency on the wire.

`{"amount": 12.9, "currency": "EUR"}` is the one form in which the shop shows money.
"""

from decimal import Decimal

CURRENCY = "EUR"
MOST_CENTS = 10**12


def to_wire(cents: int) -> dict[str, object]:
    """Show an amount of cents as the shop's API does."""
    # True division is correctly rounded, so the shortest decimal that names the float is the exact amount.
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


def share_half_up(cents: int, numerator: int, denominator: int) -> int:
    """Take a fraction of a non-negative amount; half a cent counts as a whole one."""
    return (2 * cents * numerator + denominator) // (2 * denominator)


def tax_within(gross_cents: int, rate_percent: int) -> int:
    """Give the tax contained in a price that includes it."""
    return share_half_up(gross_cents, rate_percent, 100 + rate_percent)
