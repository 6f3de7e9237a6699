"""What the services take for an event, and what they refuse."""

from typing import Any

import pytest

from extracted.inventory import events as stock_events
from extracted.inventory.events import Level, StockChanged
from extracted.inventory.problems import Malformed as NoStock
from extracted.inventory.problems import UnknownEvent
from extracted.payments import events as payment_events
from extracted.payments.problems import Malformed as NoPayment
from tests.support.shop_events import event, payment, stock_1, stock_2


def test_both_versions_of_a_stock_change_are_one_thing() -> None:
    new = stock_events.read(event("StockChanged", 2, stock_2(reserved=2))).body
    old = stock_events.read(event("StockChanged", 1, stock_1(reserved=2))).body
    assert new == StockChanged("TEA-001", "LEJ", "reserved", Level(0, 2), Level(9, 5))
    assert old == StockChanged("TEA-001", "LEJ", "unknown", Level(0, 2), None)


def test_members_that_are_not_known_are_left_alone() -> None:
    known = payment_events.read(event("PaymentTaken", 1, payment()))
    assert payment_events.read(event("PaymentTaken", 1, payment() | {"tip": 1}) | {"trace": "x"}) == known


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("StockChanged", 3),
        ("StockChanged", 0),
        ("StockMoved", 1),
        ("PaymentTaken", 1),
        ("", 1),
        ("x" * 9999, 1),
    ],
)
def test_what_is_not_known_is_told_so(kind: str, version: int) -> None:
    with pytest.raises(UnknownEvent, match=r"is not known here$") as caught:
        stock_events.read(event(kind, version, {}))
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"type": 7}, "type must be a name"),
        ({"type": ["StockChanged"]}, "type must be a name"),
        ({"version": "2"}, "version a number"),
        ({"version": True}, "version a number"),
        ({"id": "1"}, "id must be"),
        ({"id": None}, "id must be"),
        ({"source": "shop"}, "source must be"),
        ({"sequence": 0}, "sequence must be"),
        ({"sequence": 2**63}, "sequence must be"),
        ({"sequence": 1.0}, "sequence must be"),
        ({"at": "yesterday"}, "at must be"),
        ({"data": []}, "data must be an object"),
        ({"data": stock_2() | {"sku": "tea"}}, "sku must be"),
        ({"data": stock_2() | {"warehouse": 1}}, "warehouse must be"),
        ({"data": stock_2() | {"reason": ""}}, "reason must be"),
        ({"data": stock_2() | {"change": 2}}, "change and level must be objects"),
        ({"data": stock_2() | {"level": {"on_hand": -1, "reserved": 0}}}, "on_hand must be"),
        ({"data": stock_2() | {"change": {"on_hand": 10**10, "reserved": 0}}}, "on_hand must be"),
    ],
)
def test_what_is_no_event_is_refused_and_why(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(NoStock, match=complaint):
        stock_events.read(event("StockChanged", 2, stock_2()) | change)


@pytest.mark.parametrize(
    "change",
    [
        {"payment_id": "801"},
        {"method": "cash"},
        {"amount": {"amount": 12.9, "currency": "USD"}},
        {"amount": 1290},
        {"amount": {"amount": 0, "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"}},
        {"tax": {"amount": 99, "currency": "EUR"}},
        {"taken_at": "now"},
    ],
)
def test_a_payment_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NoPayment):
        payment_events.read(event("PaymentTaken", 1, payment() | change))
