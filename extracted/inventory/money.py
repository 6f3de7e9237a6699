"""Money: integer cents inside, `{"amount": 12.9, "currency": "EUR"}` on the wire."""

CURRENCY = "EUR"


def to_wire(cents: int) -> dict[str, object]:
    """Show an amount of cents as the API does."""
    return {"amount": cents / 100, "currency": CURRENCY}
