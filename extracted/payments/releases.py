"""The releases of this service, and the mistake of the first one.

v1 computes the fee of a card payment, 2.5 % of the amount, with floats and Python's `round`. That rounds half
a cent to the *even* cent, where the monolith counts half a cent as a whole one. So the fee is a cent too low
wherever 2.5 % ends in exactly half a cent above an even one: 0.20, 1.00, 1.80, 2.60 EUR and so on, one card
payment in eight among prices in steps of ten cents. All other amounts agree, which is how it got through review.

It shows as a smaller number at `$.fee.amount` of `GET /payments/{payment_id}` and at
`$.payments[*].fee.amount` of `GET /accounts/{account_id}/payments`.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """What one release does differently from the other."""

    label: str
    card_fee: Callable[[int], int]


def _half_to_even(amount_cents: int) -> int:
    return round(amount_cents * 0.025)


def _half_up(amount_cents: int) -> int:
    return (amount_cents * 25 + 500) // 1000


RELEASES = {
    "v1": Release("v1", card_fee=_half_to_even),
    "v2": Release("v2", card_fee=_half_up),
}
