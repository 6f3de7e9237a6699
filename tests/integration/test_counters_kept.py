"""Counters go on: when workers die, when the observer does, and when it dies half-way through a worker's accounts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from strangler.evidence import Store, read
from strangler.exchange.sheet import WORKER, Sheet
from strangler.observer.settled import NAME, Settled
from strangler.observer.sheets import SETTLED_AFTER, Sheets

#: What the dead worker had counted: of ten exchanges that began, it handed over seven and let two go.
DEAD = {"legacy_2xx": 10, "eligible": 10, "handed": 7, "queue_full": 2, "legacy_wait_3": 10}
LIVING = {"legacy_2xx": 5, "handed": 5, "eligible": 5}
BOTH = {("pay", column): DEAD.get(column, 0) + LIVING.get(column, 0) for column in DEAD | LIVING}
#: The one that is missing has gone with it.
SETTLED = BOTH | {("pay", "worker_lost"): 1}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder with the sheets of a worker that is gone and of one that lives."""
    _count(Sheet(tmp_path / "workers" / "dead.sheet"), DEAD).close()
    with _count(Sheet(tmp_path / "workers" / "living.sheet"), LIVING):
        yield tmp_path


def _count(sheet: Sheet, counts: dict[str, int]) -> Sheet:
    for column, count in counts.items():
        sheet.add("pay", column, count)
    return sheet


def _open(state: Path, store: Store) -> Sheets:
    return Sheets(state, store, lambda worker: False, {"pay"})


def _left(state: Path) -> list[str]:
    return sorted(path.stem for path in (state / "workers").glob("*.sheet"))


def test_a_worker_that_is_gone_is_settled_and_counted_on(state: Path) -> None:
    with Store.open(state / "evidence.sqlite3") as store:
        sheets = _open(state, store)
        assert sheets.totals() == BOTH, "before the first fold, too"
        for _ in range(SETTLED_AFTER):
            assert _left(state) == ["dead", "living"]
            assert sheets.totals() == BOTH
            sheets.fold()
        assert _left(state) == ["living"]
        assert sheets.totals() == SETTLED
        assert (sheets.workers, sheets.now()) == (1, {})
    with Store.open(state / "evidence.sqlite3") as store:
        assert _open(state, store).totals() == SETTLED
    assert read(state / "evidence.sqlite3")["pay"].total.skipped == {
        "queue_full": 2,
        "worker_lost": 8,  # and those that it handed over, and nobody recorded
        "pending": 5,
    }


POINTS = {
    "before the evidence": "Store.flush = die",
    "before the file": "sheets.write_settled = die",
    "within the file": "os.replace = die",
    "after the file": "sheets.write_settled = then_die(sheets.write_settled)",
    "after the sheet": "Path.unlink = then_die(Path.unlink)",
}
OBSERVER = """
import os, signal, sys
from pathlib import Path
from strangler.evidence import Store
from strangler.observer import sheets

def die(*arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)

def then_die(function):
    def both(*arguments, **more):
        function(*arguments, **more)
        die()
    return both

state = Path(sys.argv[1])
store = Store.open(state / "evidence.sqlite3")
found = sheets.Sheets(state, store, lambda worker: False, {"pay"})
exec(sys.argv[2])
found.fold(settle_now=True)
"""


@pytest.mark.parametrize("point", POINTS)
def test_dying_at_any_point_neither_loses_nor_doubles(state: Path, point: str) -> None:
    died = subprocess.run([sys.executable, "-c", OBSERVER, str(state), POINTS[point]], check=False)
    assert died.returncode == -signal.SIGKILL
    is_kept = (state / NAME).exists()
    assert is_kept == point.startswith("after")
    assert _left(state) == (["living"] if point == "after the sheet" else ["dead", "living"])
    for _ in range(2):
        with Store.open(state / "evidence.sqlite3") as store:
            sheets = _open(state, store)
            assert sheets.totals() == (SETTLED if is_kept else BOTH)
            sheets.fold(settle_now=True)
            assert sheets.totals() == SETTLED
            assert _left(state) == ["living"]
        is_kept = True
    assert read(state / "evidence.sqlite3")["pay"].total.skipped == {
        "queue_full": 2,
        "worker_lost": 8,
        "pending": 5,
    }


def test_a_second_worker_is_added_to_the_first(state: Path) -> None:
    with Store.open(state / "evidence.sqlite3") as store:
        sheets = _open(state, store)
        sheets.fold(settle_now=True)
        _count(Sheet(state / "workers" / "later.sheet"), LIVING).close()
        sheets.fold(settle_now=True)
        totals = sheets.totals()
    assert totals["pay", "legacy_2xx"] == 20
    assert (state / NAME).read_text().count("later") == 1
    assert "dead" not in (state / NAME).read_text(), "its sheet is gone, and so its name may go"


def test_a_file_that_cannot_be_written_keeps_the_sheet(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Store.open(state / "evidence.sqlite3") as store:
        sheets = _open(state, store)
        with monkeypatch.context() as broken:
            broken.setattr("os.replace", _no_room)
            for _ in range(3):
                sheets.fold(settle_now=True)
                assert sheets.totals() == BOTH
        assert _left(state) == ["dead", "living"]
        assert caplog.text.count("No space left on device") == 1
        sheets.fold(settle_now=True)
        assert (_left(state), sheets.totals()) == (["living"], SETTLED)


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_that_is_none_is_named_and_begun_anew(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    (state / NAME).write_text("{")
    with Store.open(state / "evidence.sqlite3") as store:
        sheets = _open(state, store)
        assert "the counters begin anew" in caplog.text
        sheets.fold(settle_now=True)
        assert sheets.totals() == SETTLED


def test_rows_that_nobody_knows_any_more_are_let_go(state: Path) -> None:
    with Store.open(state / "evidence.sqlite3") as store:
        with Sheet(state / "workers" / "gone.sheet") as sheet:
            for row in ("old", "/old 10.0.0.1:80", WORKER):
                sheet.add(row, "legacy_2xx")
        sheets = _open(state, store)
        sheets.fold(settle_now=True)
        assert sheets.totals()["old", "legacy_2xx"] == 1
        assert Sheets(state, store, lambda worker: False, {"pay", WORKER}).totals() == SETTLED | {
            (WORKER, "legacy_2xx"): 1
        }
        with Sheet(state / "workers" / "still.sheet") as sheet:
            sheet.add("old", "legacy_2xx", 4)
            again = Sheets(state, store, lambda worker: False, {"pay"})
            assert again.totals()["old", "legacy_2xx"] == 5, "it would go back while a worker counts on"


def test_what_is_so_at_the_moment_is_asked_of_the_living_only(state: Path) -> None:
    dead = Sheet(state / "workers" / "other.sheet")
    dead.add("/new 10.0.0.1:80", "busy", 3)
    with (
        Store.open(state / "evidence.sqlite3") as store,
        Sheet(state / "workers" / "one.sheet") as one,
        Sheet(state / "workers" / "two.sheet") as two,
    ):
        for number, sheet in enumerate((one, two), start=1):
            sheet.add("/new 10.0.0.1:80", "busy", number)
            sheet.add("/new 10.0.0.1:80", "opened", number)
            sheet.add(WORKER, "callers", 10 * number)
        sheets = _open(state, store)
        sheets.fold()
        assert sheets.now() == {("/new 10.0.0.1:80", "busy"): 6, (WORKER, "callers"): 30}
        dead.close()
        assert _open(state, store).now()["/new 10.0.0.1:80", "busy"] == 3, "from the first moment"
        sheets.fold()
        assert sheets.now() == {("/new 10.0.0.1:80", "busy"): 3, (WORKER, "callers"): 30}
        assert sheets.totals()["/new 10.0.0.1:80", "opened"] == 3
        assert ("/new 10.0.0.1:80", "busy") not in sheets.totals()
        assert sheets.workers == 3


def test_evidence_is_not_told_of_what_changes_beside_the_counts(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Store.open(state / "evidence.sqlite3") as store,
        Sheet(state / "workers" / "one.sheet") as one,
    ):
        sheets = _open(state, store)
        sheets.fold()
        told: list[str] = []
        monkeypatch.setattr(store, "fold", lambda worker, counts: told.append(worker))
        one.add(WORKER, "callers")
        one.add(WORKER, "cpu_ms")
        sheets.fold()
        assert (told, sheets.now()) == ([], {(WORKER, "callers"): 1})
        one.add("pay", "handed")
        sheets.fold()
        assert told == ["one"]


def test_numbers_are_told_while_evidence_cannot_be_written(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(state / "evidence.sqlite3") as store:
        sheets = _open(state, store)
        seen = []
        monkeypatch.setattr(store, "flush", lambda: bool(seen.append((sheets.totals(), sheets.workers))))
        sheets.fold(settle_now=True)  # holds the folding, and asks from within it
        assert seen == [(BOTH, 1)]
        assert _left(state) == ["dead", "living"]


def test_settled_is_a_value() -> None:
    first = Settled().with_worker("a", {"pay": {"handed": 1}}, {"a"})
    second = first.with_worker("b", {"pay": {"handed": 2}, "x": {"handed": 1}}, {"a", "b"})
    assert first == Settled({"pay": {"handed": 1}}, ("a",))
    assert second == Settled({"pay": {"handed": 3}, "x": {"handed": 1}}, ("a", "b"))
    assert second.with_worker("c", {}, {"c"}).workers == ("c",)
