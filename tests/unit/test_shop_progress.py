"""How far an order has come, and what a stream tells of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from legacy_monolith import progress, status_stream
from legacy_monolith.database import open_writer
from legacy_monolith.errors import OutOfTurn, TooMany
from legacy_monolith.front import Streams
from legacy_monolith.progress import Step
from legacy_monolith.status_stream import due, event, last_seen

PLACED = "2019-04-01T12:00:00Z"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "shop.sqlite3", lambda db: None)) as connection:
        yield connection


ORDER: dict[str, object] = {"order_id": 1, "placed_at": PLACED}


def statuses(db: sqlite3.Connection, order: dict[str, object] = ORDER) -> list[tuple[int, str]]:
    return [(step.number, step.status) for step in progress.steps(db, order)]


def test_an_order_is_confirmed_since_it_was_placed(db: sqlite3.Connection) -> None:
    assert progress.steps(db, ORDER) == [Step(2, "confirmed", PLACED)]
    assert not progress.steps(db, ORDER)[-1].final


def test_an_order_goes_through_the_warehouse_step_by_step(db: sqlite3.Connection) -> None:
    assert progress.advance(db, ORDER, "packed", "2019-04-02T08:00:00Z").status == "confirmed"
    assert progress.advance(db, ORDER, "shipped", "2019-04-02T14:00:00Z").status == "packed"
    assert statuses(db) == [(2, "confirmed"), (3, "packed"), (4, "shipped")]
    assert progress.steps(db, ORDER)[-1].final
    assert statuses(db, ORDER | {"order_id": 2}) == [(2, "confirmed")]


@pytest.mark.parametrize(
    ("status", "number", "final"), [("pending", 1, False), ("confirmed", 2, False), ("cancelled", 2, True)]
)
def test_what_an_order_says_of_itself_is_its_first_step(
    db: sqlite3.Connection, status: str, number: int, final: bool
) -> None:
    (step,) = progress.steps(db, ORDER | {"status": status})
    assert (step.number, step.status, step.final) == (number, status, final)


@pytest.mark.parametrize(
    ("order", "before", "status", "why"),
    [
        (ORDER, [], "shipped", "order 1 is confirmed, and packed comes next, not shipped"),
        (ORDER, ["packed"], "packed", "order 1 is packed, and shipped comes next, not packed"),
        (ORDER, ["packed", "shipped"], "packed", "order 1 is shipped, and nothing comes next, not packed"),
        (ORDER | {"status": "pending"}, [], "packed", "order 1 is pending, and nothing comes next"),
        (ORDER | {"status": "cancelled"}, [], "packed", "order 1 is cancelled, and nothing comes next"),
    ],
)
def test_no_step_is_left_out_or_taken_back(
    db: sqlite3.Connection, order: dict[str, object], before: list[str], status: str, why: str
) -> None:
    for each in before:
        progress.advance(db, order, each, PLACED)
    held = statuses(db)
    with pytest.raises(OutOfTurn, match=why):
        progress.advance(db, order, status, PLACED)
    assert statuses(db) == held


STEPS = [Step(2, "confirmed", PLACED), Step(3, "packed", PLACED), Step(4, "shipped", PLACED)]


@pytest.mark.parametrize(
    ("seen", "numbers"),
    [(0, [4]), (1, [2, 3, 4]), (2, [3, 4]), (3, [4]), (4, []), (5, [4]), (999_999_999, [4])],
)
def test_who_comes_back_gets_what_was_missed_and_who_is_new_the_latest(seen: int, numbers: list[int]) -> None:
    assert [step.number for step in due(STEPS, seen)] == numbers


@pytest.mark.parametrize(
    ("field", "number"),
    [("", 0), ("2", 2), ("-1", 0), ("2.0", 0), ("two", 0), ("٢", 0), ("9" * 5000, 0), ("2 ", 0)],
)
def test_a_last_event_id_that_is_none_of_ours_says_nothing(field: str, number: int) -> None:
    assert last_seen(field) == number


def test_an_event_is_one_block_of_lines() -> None:
    assert event(10801, STEPS[1]) == (
        b"id: 3\nevent: status\n"
        b'data: {"order_id": 10801, "status": "packed", "at": "2019-04-01T12:00:00Z"}\n\n'
    )


def test_streams_are_counted_by_account_and_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_stream, "MOST", 3)
    monkeypatch.setattr(status_stream, "MOST_PER_ACCOUNT", 2)
    streams = Streams()
    with status_stream._counted(streams, 1), status_stream._counted(streams, 1):
        with pytest.raises(TooMany), status_stream._counted(streams, 1):
            pass
        with (
            status_stream._counted(streams, 2),
            pytest.raises(TooMany),
            status_stream._counted(streams, 3),
        ):
            pass
        assert streams.open == {1: 2}
    assert streams.open == {}
