import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy_monolith.errors import Malformed
from legacy_monolith.order_request import Item, OrderRequest, parse

GOOD: dict[str, Any] = {
    "account_id": 7,
    "items": [{"sku": "TEA-001", "quantity": 2}],
    "payment": {"method": "card", "card": "tok_visa"},
}


def test_a_good_order_is_read() -> None:
    expected = OrderRequest(7, (Item("TEA-001", 2),), "card", "tok_visa")
    assert parse(json.dumps(GOOD).encode()) == expected


def test_paying_from_the_balance_needs_no_card() -> None:
    assert parse(json.dumps(GOOD | {"payment": {"method": "balance"}}).encode()).card is None


def item(**change: object) -> dict[str, object]:
    return {"items": [{"sku": "TEA-001", "quantity": 2} | change]}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"account_id": "7"}, "account_id must be a whole number"),
        ({"account_id": True}, "account_id must be a whole number"),
        ({"account_id": 0}, "account_id must be a whole number"),
        ({"account_id": 7.0}, "account_id must be a whole number"),
        ({"account_id": 2**63}, "account_id must be a whole number"),
        ({"items": []}, "items must be a list of 1 to 50"),
        ({"items": {}}, "items must be a list"),
        ({"items": [7]}, "items[0] must be an object"),
        ({"items": GOOD["items"] * 51}, "items must be a list of 1 to 50"),
        (item(sku="tea"), "items[0].sku must be a stock-keeping unit"),
        (item(sku="TEA-\ud800"), "items[0].sku must be"),
        (item(sku="TEA-001\n"), "items[0].sku must be"),
        (item(quantity=0), "items[0].quantity must be a whole number from 1 to 1000"),
        (item(quantity=1001), "items[0].quantity must be"),
        (item(quantity=None), "items[0].quantity must be"),
        ({"payment": "card"}, "payment must be an object"),
        ({"payment": {"method": "cash"}}, "payment.method must be"),
        ({"payment": {"method": ["card"]}}, "payment.method must be"),
        ({"payment": {"method": "card"}}, "payment.card must be a card token"),
        ({"payment": {"method": "card", "card": "4111"}}, "payment.card must be a card token"),
    ],
)
def test_a_bad_order_is_refused_by_the_name_of_what_is_wrong(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse(json.dumps(GOOD | change).encode())
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="not JSON"):
        parse(body)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "sku"]), inner),
    max_leaves=12,
)


@given(ANY_JSON | st.fixed_dictionaries(dict.fromkeys(GOOD, ANY_JSON)))
def test_any_json_is_read_or_refused(data: object) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(parse(json.dumps(data).encode()), OrderRequest)
