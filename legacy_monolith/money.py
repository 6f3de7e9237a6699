"""Money: integer cents inside, a decimal number with its currency on the wire.

`{"amount": 12.9, "currency": "EUR"}` is the one form in which the shop shows money.
"""

CURRENCY = "EUR"


def to_wire(cents: int) -> dict[str, object]:
    """Show an amount of cents as the shop's API does."""
    # True division is correctly rounded, so the shortest decimal that names the float is the exact amount.
    return {"amount": cents / 100, "currency": CURRENCY}


def share_half_up(cents: int, numerator: int, denominator: int) -> int:
    """Take a fraction of a non-negative amount; half a cent counts as a whole one."""
    return (2 * cents * numerator + denominator) // (2 * denominator)


def tax_within(gross_cents: int, rate_percent: int) -> int:
    """Give the tax contained in a price that includes it."""
    return share_half_up(gross_cents, rate_percent, 100 + rate_percent)
