"""What a customer is told of an order that will be none."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy_monolith.errors import NotPaid, NotReached, OutOfStock, Refused, UnknownReference
from legacy_monolith.reasons import for_customer
from legacy_monolith.saga import State

INTERNALS = "ClientConnectorError: Cannot connect to host 10.0.0.7:8002"


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            OutOfStock("5 of CUP-004 were ordered, 1 are available"),
            "5 of CUP-004 were ordered, 1 are available",
        ),
        (OutOfStock(f"reserve: {INTERNALS}"), "there is too little in stock; you are charged nothing"),
        (NotPaid("the card was declined"), "the card was declined"),
        (NotPaid("the balance of account 190 is too small"), "the balance of account 190 is too small"),
        (
            NotPaid("the card was declined\nat host 10.0.0.7"),
            "the payment was declined; you are charged nothing",
        ),
        (NotPaid("charge was refused"), "the payment was declined; you are charged nothing"),
        (UnknownReference("there is no product NOPE"), "there is no product NOPE"),
    ],
)
def test_the_shops_own_words_are_told_and_no_others(refusal: Refused, said: str) -> None:
    told = for_customer(refusal, "cancelled")
    assert (type(told), str(told)) == (type(refusal), said)


@pytest.mark.parametrize("state", get_args(State))
def test_money_that_may_be_out_is_never_said_to_be_none(state: State) -> None:
    told = str(for_customer(NotReached(f"charge failed: {INTERNALS}"), state))
    owed = "owing" in state or "refunding" in state
    assert told.startswith("a part of the shop could not be reached, so the order was cancelled; ")
    assert told.endswith("whatever was charged is given back" if owed else "you are charged nothing")


@pytest.mark.parametrize("kind", [OutOfStock, NotPaid, NotReached])
@given(text=st.text())
def test_nothing_that_a_service_makes_up_comes_through(kind: type[Refused], text: str) -> None:
    assert f"<{text}>" not in str(for_customer(kind(f"<{text}>"), "cancelled"))
