"""An order in other forms than a page: as CSV, and as a stream of how far it has come."""

import csv
import io
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from legacy_monolith import status_stream
from tests.support.events import Stream, stream
from tests.support.shop_services import Done, Service, assert_one_line, run, running


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "shop.sqlite3"


@pytest.fixture(scope="module")
def shop(database: Path) -> Iterator[Service]:
    with running("legacy_monolith", "--database", database, "--release", "legacy-1") as service:
        yield service


@pytest.fixture
def order(shop: Service) -> int:
    items = [{"sku": "TEA-001", "quantity": 2}, {"sku": "CUP-001", "quantity": 1}]
    body = {"account_id": 7, "items": items, "payment": {"method": "card", "card": "tok_visa"}}
    return int(shop.ask("/orders", "POST", body).json["order_id"])


def step(database: Path, order_id: int, status: str) -> Done:
    return run("legacy_monolith", "order", order_id, status, "--database", database)


# -- CSV ---------------------------------------------------------------------------------------------------


def test_an_order_is_a_file_that_spreadsheets_open(shop: Service, order: int) -> None:
    answer = shop.ask(f"/orders/{order}.csv")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == f'attachment; filename="order-{order}.csv"'
    assert answer.headers["x-release"] == "legacy-1"
    assert answer.body.count(b"\r\n") == answer.body.count(b"\n") == 3
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    shown = shop.ask(f"/orders/{order}").json
    assert [row["sku"] for row in rows] == ["TEA-001", "CUP-001"]
    assert {row["placed_at"] for row in rows} == {shown["placed_at"]}
    assert [row["name"] for row in rows] == [shop.ask(f"/products/{row['sku']}").json["name"] for row in rows]
    assert sum(float(row["line_total"]) for row in rows) == pytest.approx(shown["total"]["amount"])
    assert {row["currency"] for row in rows} == {"EUR"}
    assert list(rows[0])[-1] == "status"
    assert {row["status"] for row in rows} == {"confirmed"}


def test_the_same_address_gives_json_or_csv_as_is_asked(shop: Service, order: int) -> None:
    as_csv = shop.ask(f"/orders/{order}", Accept="text/csv")
    assert as_csv.body == shop.ask(f"/orders/{order}.csv").body
    as_json = shop.ask(f"/orders/{order}", Accept="application/json, text/csv;q=0.5")
    assert as_json.json["order_id"] == order
    assert as_csv.headers["vary"] == as_json.headers["vary"] == "Accept"


@pytest.mark.parametrize("name", ["0", "99999", "x", "%FF", "01", "9" * 30, "1.5", ""])
def test_an_order_that_is_not_there_is_no_file(shop: Service, name: str) -> None:
    for target, headers in ((f"/orders/{name}.csv", {}), (f"/orders/{name or 'x'}", {"Accept": "text/csv"})):
        answer = shop.ask(target, **headers)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


# -- events ------------------------------------------------------------------------------------------------


def seen(events: Stream) -> tuple[int, str]:
    event = events.event()
    assert event is not None
    return event["id"], event["status"]


def test_a_stream_tells_the_status_at_once_and_every_change_and_ends(
    shop: Service, database: Path, order: int
) -> None:
    with stream(shop.port, f"/orders/{order}/events") as events:
        assert events.status == 200
        assert events.headers["content-type"] == "text/event-stream"
        assert events.headers["cache-control"] == "no-store"
        assert events.headers["x-release"] == "legacy-1"
        first = events.event()
        assert first is not None
        assert (first["id"], first["order_id"], first["status"]) == (2, order, "confirmed")
        assert first["at"] == shop.ask(f"/orders/{order}").json["placed_at"]
        step(database, order, "packed")
        assert seen(events) == (3, "packed")
        step(database, order, "shipped")
        assert seen(events) == (4, "shipped")
        assert events.part() is None
    assert shop.ask(f"/orders/{order}/events", Last_Event_ID="4").status == 204


def test_who_comes_back_gets_what_was_missed(shop: Service, database: Path, order: int) -> None:
    step(database, order, "packed")
    step(database, order, "shipped")
    with stream(shop.port, f"/orders/{order}/events", Last_Event_ID="2") as events:
        assert [seen(events), seen(events)] == [(3, "packed"), (4, "shipped")]
        assert events.part() is None
    with stream(shop.port, f"/orders/{order}/events") as events:
        assert seen(events) == (4, "shipped")
        assert events.part() is None


def test_who_has_seen_the_latest_waits_for_the_next(shop: Service, database: Path, order: int) -> None:
    with stream(shop.port, f"/orders/{order}/events", Last_Event_ID="2") as events:
        step(database, order, "packed")
        assert seen(events) == (3, "packed")


def test_head_tells_what_would_come_and_opens_no_stream(shop: Service, order: int) -> None:
    answer = shop.ask(f"/orders/{order}/events", "HEAD")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/event-stream", b"")


@pytest.mark.parametrize("name", ["0", "99999", "x"])
def test_an_order_that_is_not_there_has_no_events(shop: Service, name: str) -> None:
    answer = shop.ask(f"/orders/{name}/events")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_streams_are_bounded_and_a_caller_who_leaves_makes_room(shop: Service) -> None:
    wish = {
        "items": [{"sku": "TEA-001", "quantity": 1}],
        "payment": {"method": "card", "card": "tok_visa"},
    }
    # Whoever orders again has no more of them for that.
    target, again, other = (
        shop.ask("/orders", "POST", wish | {"account_id": each}).headers["location"] + "/events"
        for each in (17, 17, 18)
    )
    with ExitStack() as stack:
        held = [
            stack.enter_context(stream(shop.port, (target, again)[number % 2]))
            for number in range(status_stream.MOST_PER_ACCOUNT)
        ]
        assert {seen(each) for each in held} == {(2, "confirmed")}
        refused = shop.ask(target)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert shop.ask("/healthz").status == 200
        with stream(shop.port, other) as of_another:
            assert seen(of_another) == (2, "confirmed")
    for _ in range(200):
        with stream(shop.port, target) as next_one:
            if next_one.status == 200:
                assert seen(next_one) == (2, "confirmed")
                return
        time.sleep(0.05)
    pytest.fail("nobody made room")


def test_a_shop_that_leaves_ends_its_streams(tmp_path: Path) -> None:
    with running("legacy_monolith", "--database", tmp_path / "shop.sqlite3") as shop:
        body = {
            "account_id": 7,
            "items": [{"sku": "TEA-001", "quantity": 1}],
            "payment": {"method": "card", "card": "tok_visa"},
        }
        order_id = shop.ask("/orders", "POST", body).json["order_id"]
        with stream(shop.port, f"/orders/{order_id}/events") as events:
            assert seen(events) == (2, "confirmed")
            shop.process.send_signal(signal.SIGTERM)
            assert events.part() is None
            assert shop.process.wait(30) == 0


# -- the command of the warehouse --------------------------------------------------------------------------


def test_the_warehouse_says_what_it_has_done(database: Path, order: int) -> None:
    done = step(database, order, "packed")
    assert (done.code, done.out, done.err) == (0, f"order {order}: confirmed, now packed\n", "")
    done = step(database, order, "packed")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"python -m legacy_monolith: order {order} is packed, and shipped comes next, not packed\n"
    )
    assert step(database, 99999, "packed").err == "python -m legacy_monolith: there is no order 99999\n"


@pytest.mark.parametrize(
    "options", [["order"], ["order", "x", "packed"], ["order", "1", "cancelled"], ["order", "1", "sold"]]
)
def test_what_is_typed_wrong_is_one_line(database: Path, options: list[str]) -> None:
    assert_one_line(run("legacy_monolith", *options, "--database", database), "legacy_monolith")


def test_no_shop_is_opened_where_there_is_none(tmp_path: Path) -> None:
    assert_one_line(step(tmp_path / "none.sqlite3", 1, "packed"), "legacy_monolith")
    (tmp_path / "empty.sqlite3").touch()
    assert_one_line(step(tmp_path / "empty.sqlite3", 1, "packed"), "legacy_monolith")
    assert [each.name for each in tmp_path.iterdir()] == ["empty.sqlite3"]
