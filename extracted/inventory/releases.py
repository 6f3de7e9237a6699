"""The releases of this service, and the two mistakes of the first one.

1. v1 computes with `Decimal`, which JSON cannot hold, and shows what a product costs as a *string*:
   `"4.62"` at `$.unit_cost.amount` of `GET /stock/{sku}` and at `$.items[*].unit_cost.amount` of `GET /stock`,
   where the monolith shows the number 4.62.
2. v1 lists the warehouses by their code, where the monolith lists them in *the order* in which goods are picked:
   BER LEJ MUC instead of LEJ BER MUC, at `$.warehouses` of `GET /stock/{sku}` and at `$.items[*].warehouses`
   of `GET /stock`. Products that lie in one warehouse only do not show it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from extracted.inventory import money


@dataclass(frozen=True, slots=True)
class Release:
    """What one release does differently from the other."""

    label: str
    cost: Callable[[int], dict[str, object]]
    warehouse_order: Literal["code", "picking_rank"]


def _cost_as_text(cents: int) -> dict[str, object]:
    return {"amount": str(Decimal(cents) / 100), "currency": money.CURRENCY}


RELEASES = {
    "v1": Release("v1", cost=_cost_as_text, warehouse_order="code"),
    "v2": Release("v2", cost=money.to_wire, warehouse_order="picking_rank"),
}
