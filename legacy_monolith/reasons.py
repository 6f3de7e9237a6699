"""What a customer is told of an order that will be none: a plain sentence by kind. Pure.

What a service or the network has said stands in the log of the saga, for those who run the shop. Of that, customers
are told only what is in the shop's own words, which its services have too.
"""

import re

from legacy_monolith.errors import NotPaid, NotReached, OutOfStock, Refused
from legacy_monolith.saga import State

_OURS = {
    OutOfStock: re.compile(r"[0-9]{1,9} of [A-Z0-9-]{1,32} were ordered, [0-9]{1,9} are available", re.ASCII),
    NotPaid: re.compile(r"the card was declined|the balance of account [0-9]{1,19} is too small", re.ASCII),
}
_PLAIN = {
    OutOfStock: "there is too little in stock",
    NotPaid: "the payment was declined",
    NotReached: "a part of the shop could not be reached, so the order was cancelled",
}
#: Where money may have been taken that is not given back yet.
_OWING: frozenset[State] = frozenset(
    {"refunding", "refunding-last", "releasing-owing", "owing", "owing-and-holding"}
)


def for_customer(refusal: Refused, state: State) -> Refused:
    """Give the same kind of refusal in words for the customer; `state` is how far the saga has come."""
    kind = type(refusal)
    if kind not in _PLAIN:
        return refusal
    if kind in _OURS and _OURS[kind].fullmatch(str(refusal)):
        return refusal
    owed = "whatever was charged is given back" if state in _OWING else "you are charged nothing"
    return kind(f"{_PLAIN[kind]}; {owed}")
