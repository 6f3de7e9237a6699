"""The catalogue of inventory: projected from events in any order, whatever dies, and the same when built anew."""

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extracted.inventory import catalogue, events, handling, history, projecting
from extracted.inventory.bar import Bar, line
from extracted.inventory.catalogue import State
from extracted.inventory.database import open_database
from extracted.inventory.problems import Malformed
from extracted.inventory.projecting import next_batch, project_some, rebuild, standing
from extracted.inventory.projection import Offer, Row, fold, project
from extracted.inventory.searching import read
from shop_events.transactions import transaction
from tests.support.shop_catalogue import SOURCE, content, do, imported, price, stock, take
from tests.support.shop_events import event, stock_2
from tests.support.shop_services import dump

NOW = 2_000_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inventory.sqlite3"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(path)) as opened:
        imported(opened)
        yield opened


def bring_up(db: sqlite3.Connection) -> None:
    while project_some(db, lambda: NOW):
        pass


def quiet(done: int, total: int) -> None:
    pass


def shown(db: sqlite3.Connection, **fields: str) -> list[dict[str, Any]]:
    return catalogue.find(db, read(fields)).items


# -- one event and a row -----------------------------------------------------------------------------------


def test_a_row_is_a_sum_of_changes_and_the_newest_offer() -> None:
    row = Row("TEA-001")
    for told in (stock(1, 9), price(4), stock(2, -2), stock(3, -3, version=1)):
        row = project(row, events.read(told))
    assert row == Row("TEA-001", 4, Offer("Sencha", "tea", 1290, 7, SOURCE, 4))


def test_a_price_that_comes_late_brings_no_old_price_back() -> None:
    told = [price(5, amount="3"), price(9, amount="4"), price(7, amount="5"), price(9, amount="4")]
    rows = fold({}, map(events.read, told))
    assert rows["TEA-001"].offer == Offer("Sencha", "tea", 400, 7, SOURCE, 9)


def test_only_rows_that_change_are_given_back() -> None:
    known = {"TEA-001": Row("TEA-001", 3), "TEA-002": Row("TEA-002", 4)}
    assert fold(known, [events.read(stock(1, 5))]) == {"TEA-001": Row("TEA-001", 8)}


# -- any order, any restart --------------------------------------------------------------------------------

SKUS = st.sampled_from(["TEA-001", "CUP-002", "POT-003"])
KINDS = st.one_of(
    st.tuples(st.just("price"), SKUS, st.integers(0, 99_999)),
    st.tuples(st.just("stock"), SKUS, st.integers(-50, 50)),
    st.tuples(st.just("old"), SKUS, st.integers(-50, 50)),
    st.tuples(st.just("own"), SKUS, st.integers(-50, 50)),
)


def as_told(number: int, kind: str, sku: str, value: int) -> dict[str, Any]:
    if kind == "price":
        return price(number, sku, f"{value / 100:.2f}", name=f"Name {value}")
    return stock(number, value, sku, version=1 if kind == "old" else 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(KINDS, max_size=25), st.data())
def test_whatever_the_order_and_wherever_it_is_restarted_the_catalogue_is_the_same(
    history: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    numbered = list(enumerate(history, 1))
    others = [each for each in numbered if each[1][0] != "own"]
    again = data.draw(st.lists(st.sampled_from(others), max_size=5)) if others else []
    order = data.draw(st.permutations([*numbered, *again]))
    with TemporaryDirectory() as folder, closing(open_database(Path(folder) / "db")) as db:
        imported(db, through=len(history), told=len(others))
        for number, (kind, sku, value) in order:
            if kind == "own":
                do(db, value, sku)
            else:
                take(db, as_told(number, kind, sku, value))
            match data.draw(st.sampled_from(["go on", "go on", "project", "die", "rebuild"])):
                case "project":
                    project_some(db, lambda: NOW)
                case "die":
                    die_while_projecting(Path(folder) / "db")
                case "rebuild":
                    rebuild(db, quiet)
        bring_up(db)
        projected = content(db)
        assert rebuild(db, quiet).lacks == []
        assert content(db) == projected
        assert projected[2] == len(history)
        assert {row[0]: row[1:3] for row in projected[0]} == expected(numbered)


def die_while_projecting(path: Path) -> None:
    """As a process that is killed before its transaction is whole: the connection ends without a word."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        before = catalogue.state(db)
        batch = next_batch(db, before, "main")
        if batch is not None:
            db.execute("BEGIN IMMEDIATE")
            catalogue.advance(db, before, batch.reached)
            catalogue.write(db, "main", batch.rows.values())


def expected(numbered: list[tuple[int, tuple[str, str, int]]]) -> dict[str, tuple[int, str | None]]:
    """Told without a projection: what is left, and the name in the last price."""
    found: dict[str, tuple[int, str | None]] = {}
    for _, (kind, sku, value) in numbered:
        left, name = found.get(sku, (0, None))
        found[sku] = (left, f"Name {value}") if kind == "price" else (left + value, name)
    return found


def test_many_batches_are_as_one(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    take(db, *(as_told(n, *("stock" if n % 3 else "price", f"TEA-{n % 7:03}", n)) for n in range(1, 40)))
    for _ in range(11):
        do(db, 1)
    bring_up(db)
    at_once = content(db)
    monkeypatch.setattr(projecting, "BATCH", 4)
    rebuild(db, quiet)
    assert content(db) == at_once
    assert at_once[2] == 50


def test_of_two_who_project_the_same_events_one_gets_to_write_them(
    db: sqlite3.Connection, path: Path
) -> None:
    take(db, stock(1, 9))
    before = catalogue.state(db)
    batch = next_batch(db, before, "main")
    assert batch is not None
    with closing(open_database(path)) as other:
        assert project_some(other, lambda: NOW) == 1
    with transaction(db):
        assert not catalogue.advance(db, before, batch.reached)
    assert content(db)[0][0][:2] == ("TEA-001", 9)
    assert project_some(db, lambda: NOW) == 0


def test_a_batch_from_before_a_rebuild_is_not_written_after_it(db: sqlite3.Connection, path: Path) -> None:
    take(db, stock(1, 9))
    bring_up(db)
    db.execute("UPDATE catalogue SET available = 70")  # what a rebuild is there to mend
    take(db, stock(2, 1))
    before = catalogue.state(db)
    batch = next_batch(db, before, "main")
    assert batch is not None
    assert batch.rows["TEA-001"].available == 71
    with closing(open_database(path)) as other:
        rebuild(other, quiet)
    with transaction(db):
        assert not catalogue.advance(db, before, batch.reached)
    assert content(db)[0][0][1] == 10


def test_a_new_catalogue_is_never_behind_the_old_one(db: sqlite3.Connection, path: Path) -> None:
    take(db, price(1), stock(2, 5))
    bring_up(db)
    came = []
    with closing(open_database(path)) as other:

        def at_the_last_moment(statement: str) -> None:
            if statement == "BEGIN IMMEDIATE" and not came:
                came.append(take(other, stock(3, 4)))
                bring_up(other)

        db.set_trace_callback(at_the_last_moment)
        found = rebuild(db, quiet)
        db.set_trace_callback(None)
    assert came == [["handled"]]
    assert (found.state.events, found.behind, shown(db)[0]["available"]) == (3, 0, 9)


# -- what is shown -----------------------------------------------------------------------------------------


def test_what_has_no_price_yet_is_not_shown_and_nothing_is_less_than_sold_out(db: sqlite3.Connection) -> None:
    take(db, stock(1, 5))
    do(db, -9)
    bring_up(db)
    assert shown(db) == []
    take(db, price(2))
    bring_up(db)
    assert shown(db) == [
        {
            "sku": "TEA-001",
            "name": "Sencha",
            "category": "tea",
            "price": {"amount": 12.9, "currency": "EUR"},
            "tax_percent": 7,
            "available": 0,
        }
    ]


def test_a_product_is_found_by_its_new_words_and_not_by_its_old_ones(db: sqlite3.Connection) -> None:
    take(db, price(1, name="Grüner Tee"))
    bring_up(db)
    assert [each["sku"] for each in shown(db, q="grun")] == ["TEA-001"]
    take(db, price(2, name="Schwarzer Tee"))
    bring_up(db)
    assert shown(db, q="grun") == []
    assert [each["sku"] for each in shown(db, q="schwarz tee 001")] == ["TEA-001"]


def test_much_is_shown_page_by_page(db: sqlite3.Connection) -> None:
    take(db, *(price(n, f"TEA-{n:03}") for n in range(1, 231)))
    bring_up(db)
    seen, after = [], ""
    while True:
        found = catalogue.find(db, read({"after": after}))
        seen += [each["sku"] for each in found.items]
        if not found.more:
            break
        assert len(found.items) == catalogue.MOST_SHOWN
        after = seen[-1]
    assert seen == [f"TEA-{n:03}" for n in range(1, 231)]


# -- building it anew --------------------------------------------------------------------------------------


def test_a_rebuild_that_is_interrupted_leaves_the_old_catalogue(db: sqlite3.Connection, path: Path) -> None:
    take(db, price(1), stock(2, 5))
    bring_up(db)
    before = dump(path)

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with closing(open_database(path)) as other, pytest.raises(KeyboardInterrupt):
        rebuild(other, interrupt)
    assert dump(path) == before
    rebuild(db, quiet)


def test_a_rebuild_takes_along_what_comes_meanwhile_and_readers_see_the_old_one_until_then(
    db: sqlite3.Connection, path: Path
) -> None:
    take(db, price(1), stock(2, 5))
    bring_up(db)
    heard = []
    with closing(open_database(path)) as other:

        def meanwhile(done: int, total: int) -> None:
            heard.append((done, total))
            if done == 2:
                take(other, stock(3, 4))
                do(other, -1)
                assert shown(other)[0]["available"] == 5
                bring_up(other)
                assert shown(other)[0]["available"] == 8

        found = rebuild(db, meanwhile)
        assert shown(other)[0]["available"] == 8
        assert (found.state.events, found.behind) == (4, 0)
        take(other, stock(4, 1))
        bring_up(other)
        assert shown(db)[0]["available"] == 9
    assert heard == [(0, 2), (2, 2), (4, 4)]


def test_a_rebuild_mends_what_is_wrong(db: sqlite3.Connection) -> None:
    take(db, price(1), stock(2, 5))
    bring_up(db)
    right = content(db)
    db.execute("UPDATE catalogue SET available = 1, name = 'X'")
    db.execute("DELETE FROM catalogue_words")
    db.execute("INSERT INTO catalogue (sku, available) VALUES ('NOPE', 1)")
    rebuild(db, quiet)
    assert content(db) == right


def test_an_empty_history_gives_an_empty_catalogue(path: Path) -> None:
    with closing(open_database(path)) as db:
        found = rebuild(db, quiet)
        assert (found.products, found.behind, found.since) == (0, 0, None)
        assert found.lacks == ["nothing was imported yet"]


# -- what the history lacks --------------------------------------------------------------------------------


def forget_bodies(path: Path) -> None:
    """Make a database one of before, when ids were kept and nothing else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for table in ("history", "bodiless", "expected", "catalogue", "catalogue_words", "catalogue_state"):
            db.execute(f"DROP TABLE {table}")


def test_a_database_of_before_says_what_it_lacks_until_it_was_told_again(path: Path) -> None:
    with closing(open_database(path)) as db:
        imported(db)
        take(db, price(1), stock(2, 5))
        do(db, -2)
    forget_bodies(path)
    with closing(open_database(path)) as db:
        bring_up(db)
        found = standing(db)
        assert (found.state.events, found.holes.bodiless, found.holes.missing) == (1, 2, None)
        assert [each[:8] for each in found.lacks] == ["2 events", "how many"]
        assert take(db, price(1), stock(2, 5), stock(2, 5)) == ["known"] * 3
        imported(db, through=2, told=2)
        bring_up(db)
        assert standing(db).lacks == []
        assert shown(db)[0]["available"] == 3
        assert handling.count_after(db, SOURCE, 0) == 1  # it had its effect once


def test_what_an_older_release_has_handled_in_between_is_missed(path: Path) -> None:
    with closing(open_database(path)) as db:
        imported(db)
        take(db, price(1), stock(2, 5))
        db.execute("DELETE FROM history WHERE id = ?", (stock(2, 5)["id"],))
    with closing(open_database(path)) as db:
        assert history.holes(db, 1).bodiless == 1
        take(db, stock(2, 5))
        assert history.holes(db, 1).bodiless == 0


def test_what_was_told_before_an_import_is_expected(path: Path) -> None:
    with closing(open_database(path)) as db:
        imported(db, through=9, told=3)
        assert standing(db).holes.missing == 3
        outcomes = take(db, price(1), price(1), stock(4, 5), stock(12, 1))
        assert outcomes == ["skipped", "known", "skipped", "handled"]
        assert standing(db).holes.missing == 1
        imported(db, through=12, told=4)
        assert standing(db).holes.missing == 1


def test_an_event_that_is_refused_is_not_in_the_history(db: sqlite3.Connection) -> None:
    with pytest.raises(Exception, match="would have 0 with 2 of them promised"):
        take(db, stock(1, -2))
    assert history.count_after(db, 0) == 0


def test_two_monoliths_are_one_too_many(db: sqlite3.Connection) -> None:
    with transaction(db):
        handling.note_import(db, "shop:ffffffffffffffff", 0, 0)
    assert "begin with a new database" in standing(db).lacks[0]


def test_an_event_of_a_newer_release_is_counted_and_holds_nobody_up(db: sqlite3.Connection) -> None:
    take(db, price(1), stock(2, 5))
    db.execute("UPDATE history SET event = replace(event, '\"version\": 1', '\"version\": 9')")
    db.execute("INSERT INTO history (id, event) VALUES ('x', '[[[')")
    bring_up(db)
    found = standing(db)
    assert (found.state.events, found.state.unreadable, found.behind) == (3, 2, 0)
    assert content(db)[0][0][1] == 5
    assert "2 events are of a form" in found.lacks[-1]


@pytest.mark.parametrize(
    "told",
    [
        price(1, name="half \ud83c a cup"),
        price(1, tax_percent=None),
        price(1, tax_percent=101),
        price(1) | {"trace": Decimal("1e999")},
    ],
    ids=["surrogate", "no tax", "too much tax", "a number too large"],
)
def test_what_no_history_can_keep_is_refused(told: dict[str, Any], db: sqlite3.Connection) -> None:
    with pytest.raises(Malformed):
        take(db, told)


def test_an_event_is_kept_as_it_was_told(db: sqlite3.Connection) -> None:
    told = price(1, amount="0.1", note="\ud800") | {"trace": "x"}
    take(db, told)
    (kept,) = history.after(db, 0, 10)
    assert events.parse(kept.event) == events.read(told)
    assert '"trace": "x"' in kept.event
    assert '"amount": 0.1' in kept.event


def test_how_late_it_is_counts_from_when_an_event_came(db: sqlite3.Connection) -> None:
    take(db, event("StockChanged", 2, stock_2(reserved=0)))
    db.execute("UPDATE history SET kept_at = '2026-04-01T12:00:00.000Z'")
    do(db, 1)
    found = standing(db)
    assert (found.behind, found.since) == (2, "2026-04-01T12:00:00.000Z")
    project_some(db, lambda: projecting.seconds("2026-04-01T12:00:02.500Z"))
    assert (standing(db).behind, standing(db).since) == (0, None)
    assert catalogue.state(db) == State(1, 1, 2, 0, 2.5)


# -- the bar -----------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_once_for_each_percent() -> None:
    out = Terminal()
    bar = Bar(out)
    for done in range(1001):
        bar(done, 1000)
    bar.close()
    drawn = out.getvalue().split("\r")
    assert len(drawn) == 102
    assert drawn[-1] == "[" + "#" * 40 + "] 100 %  1000 of 1000 events\n"
    assert line(0, 0) == "[" + "#" * 40 + "] 100 %  0 of 0 events"
    assert line(1, 3) == "[" + "#" * 13 + "." * 27 + "]  33 %  1 of 3 events"


def test_nothing_is_drawn_where_nobody_looks() -> None:
    out = io.StringIO()
    bar = Bar(out)
    bar(1, 2)
    bar.close()
    assert out.getvalue() == ""
