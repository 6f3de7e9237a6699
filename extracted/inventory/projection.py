"""The projection: what an event makes of a row of the catalogue. Pure.

Events come in any order, for there are several who tell them and some come late. So a row is a sum of changes of
stock, and the newest offer: the events of a history give the same rows in whatever order they are taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from extracted.inventory.events import Event, PriceChanged, StockChanged


@dataclass(frozen=True, slots=True)
class Offer:
    """What a product is called and costs, as the event `sequence` of `source` has told it."""

    name: str
    category: str
    price_cents: int
    tax_percent: int
    source: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Row:
    """A product of the catalogue. It is shown as soon as there is an offer."""

    sku: str
    available: int = 0
    offer: Offer | None = None


def project(row: Row, event: Event) -> Row:
    """Give what a row becomes by an event about its product."""
    match event.body:
        case StockChanged(change=change):
            return replace(row, available=row.available + change.on_hand - change.reserved)
        case PriceChanged() as price:
            told = Offer(
                price.name, price.category, price.price_cents, price.tax_percent, event.source, event.sequence
            )
            return row if row.offer and _age(told) <= _age(row.offer) else replace(row, offer=told)


def fold(rows: Mapping[str, Row], events: Iterable[Event]) -> dict[str, Row]:
    """Give the rows that events change, as they are after them; `rows` has those that there are, by sku."""
    changed: dict[str, Row] = {}
    for event in events:
        sku = event.body.sku
        changed[sku] = project(changed.get(sku) or rows.get(sku) or Row(sku), event)
    return changed


def _age(offer: Offer) -> tuple[str, int]:
    return offer.source, offer.sequence
