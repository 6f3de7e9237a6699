"""What the relay does next, how long it waits, and when it gives up."""

import pytest

from legacy_monolith import versions
from shop_events.delivery import (
    MOST_WAITING,
    Absent,
    Deliver,
    Head,
    PassOver,
    Patience,
    Spoiled,
    Taken,
    Wait,
    Waiting,
    judge,
    next_step,
)

NOW, MOST = 1_000.0, 30.0


@pytest.mark.parametrize(
    ("waiting", "head", "expected"),
    [
        ([], None, Wait(None)),
        ([], Head(7, "a"), Deliver(7, 0)),
        ([Waiting(3, "a", 2, NOW)], Head(7, "b"), Deliver(3, 2)),
        ([Waiting(3, "a", 2, NOW + 5)], Head(7, "b"), Deliver(7, 0)),
        ([Waiting(3, "a", 2, NOW + 5)], Head(7, "a"), PassOver(7)),
        ([Waiting(3, "a", 2, NOW + 5)], None, Wait(5.0)),
        ([Waiting(3, "a", 2, NOW + MOST)], None, Wait(MOST)),
        ([Waiting(3, "a", 2, NOW + 3_600)], Head(7, "b"), Deliver(3, 2)),
        ([Waiting(3, "a", 2, NOW + 5), Waiting(4, "b", 1, NOW + 2)], None, Wait(2.0)),
        ([Waiting(3, "a", 2, NOW + 5), Waiting(4, "a", 0, 0.0)], Head(7, "b"), Deliver(7, 0)),
        ([Waiting(4, "a", 0, 0.0), Waiting(3, "a", 2, NOW + 5)], None, Wait(5.0)),
        ([Waiting(4, "a", 0, 0.0), Waiting(9, "b", 0, 0.0)], Head(12, "c"), Deliver(4, 0)),
    ],
    ids=[
        "nothing",
        "a new one",
        "one that is due comes before new ones",
        "one that is not due lets others pass",
        "but none of its key",
        "waits until it is due",
        "for as long as a pause may be",
        "and for no longer, though the clock was put back",
        "waits for the first that is due",
        "one behind it waits too, though it is due",
        "in whatever order they are listed",
        "the oldest that is due is first",
    ],
)
def test_what_is_next(waiting: list[Waiting], head: Head | None, expected: object) -> None:
    assert next_step(waiting, head, NOW, MOST) == expected


def test_no_more_than_so_many_are_passed_over() -> None:
    waiting = [Waiting(1, "a", 1, NOW + 5)] + [Waiting(n, "a", 0, 0.0) for n in range(2, MOST_WAITING + 1)]
    assert next_step(waiting[:-1], Head(5_000, "a"), NOW, MOST) == PassOver(5_000)
    assert next_step(waiting, Head(5_000, "a"), NOW, MOST) == Wait(5.0)
    assert next_step(waiting, Head(5_000, "b"), NOW, MOST) == Deliver(5_000, 0)


def test_waits_double_up_to_a_limit_and_are_drawn_from_nothing_to_all_of_it() -> None:
    patience = Patience(first=0.2, most=30.0, attempts=8)
    assert [patience.pause(n, 0.5) for n in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, 0.8]
    assert patience.pause(9, 0.5) == 15.0
    assert patience.pause(100_000, 0.5) == 15.0
    assert patience.pause(3, 0.0) == 0.0


def test_an_event_is_given_up_after_so_many_attempts() -> None:
    patience = Patience(attempts=3)
    assert [patience.exhausted(n) for n in (1, 2, 3, 4)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Taken()),
        (204, Taken()),
        (400, Spoiled("400 no", hopeless=True)),
        (413, Spoiled("413 no", hopeless=True)),
        (422, Spoiled("422 no", hopeless=True)),
        (401, Absent("401 no", wrong=True)),
        (302, Spoiled("302 no")),
        (404, Spoiled("404 no")),
        (409, Spoiled("409 no")),
        (500, Spoiled("500 no")),
        (502, Absent("502 no")),
        (503, Absent("503 no")),
        (504, Absent("504 no")),
    ],
)
def test_what_an_answer_means(status: int, expected: object) -> None:
    assert judge(status, "no") == expected


STOCK_2 = {
    "sku": "TEA-001",
    "warehouse": "LEJ",
    "reason": "reserved",
    "change": {"on_hand": 0, "reserved": 2},
    "level": {"on_hand": 9, "reserved": 5},
}


def test_who_knows_an_old_version_only_is_told_that() -> None:
    old = {"sku": "TEA-001", "warehouse": "LEJ", "on_hand": 0, "reserved": 2}
    assert versions.no_newer_than(1, "StockChanged", 2, STOCK_2) == (1, old)
    assert versions.no_newer_than(2, "StockChanged", 2, STOCK_2) == (2, STOCK_2)
    assert versions.no_newer_than(2, "StockChanged", 1, old) == (1, old)
    assert versions.no_newer_than(1, "PriceChanged", 1, {"sku": "x"}) == (1, {"sku": "x"})
