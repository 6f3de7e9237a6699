"""A draft: an order that is being placed, priced and numbered, and promised by nobody yet."""

import json
from dataclasses import asdict, dataclass

from legacy_monolith.order_request import Item
from legacy_monolith.payments import Method


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order: how many of which product, at which price; the price includes the tax."""

    sku: str
    quantity: int
    unit_price_cents: int
    tax_cents: int

    @property
    def total_cents(self) -> int:
        """What the whole line costs."""
        return self.quantity * self.unit_price_cents


@dataclass(frozen=True, slots=True)
class Draft:
    """All that stock and payments have to know of an order in order to do their part.

    Both ids are the monolith's, whoever does the part: so no two payments have one id, on whichever side they are.
    `at` is the time as the API shows it.
    """

    order_id: int
    payment_id: int
    account_id: int
    lines: tuple[Line, ...]
    method: Method
    card: str | None
    at: str

    @property
    def total_cents(self) -> int:
        """What the order costs."""
        return sum(line.total_cents for line in self.lines)

    @property
    def tax_cents(self) -> int:
        """The tax that the total includes."""
        return sum(line.tax_cents for line in self.lines)

    @property
    def items(self) -> tuple[Item, ...]:
        """What is taken from the shelves."""
        return tuple(Item(line.sku, line.quantity) for line in self.lines)


def to_text(draft: Draft) -> str:
    """Write a draft down, for a database."""
    return json.dumps(asdict(draft))


def from_text(text: str) -> Draft:
    """Read what `to_text` has written."""
    data = json.loads(text)
    return Draft(**{**data, "lines": tuple(Line(**line) for line in data["lines"])})
