"""What the evidence store keeps of mismatches and requests, for how long, and across formats of the file."""

import random
import sqlite3
from datetime import date
from pathlib import Path

import pytest

from strangler.compare import Difference, Drift, FieldTally
from strangler.evidence import (
    Example,
    Probe,
    Releases,
    Standing,
    Store,
    StoreError,
    judged,
    read,
    read_recorded,
    within,
)
from tests.integration.test_store import TYPE, V1, V2, mismatch, seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "evidence.sqlite3"


def test_combinations_fields_rules_and_different_ones_are_read_back(path: Path) -> None:
    at = Difference("body", "$.at", "value", "string", "string", drift=Drift("timestamp", 1))
    for _ in range(2):  # the second time they are added to what the file has
        with Store.open(path) as store:
            for number in range(1, 7):
                store.record(
                    mismatch(
                        at, gone=(TYPE,), request=number, caller=number % 2 + 1, rules=frozenset({"ignore $.b"}),
                        settled_ms=1000.0, latency_ms=(2.0, 1.0), statuses=(200, 200), probe=Probe((at,), (at,)),
                    )
                )  # fmt: skip
            store.record(seen(request=9, caller=1, probe=Probe((TYPE,), ()), latency_ms=(1.0, 3.0)))
    pair = read(path)["r"].current
    by_path = {sighting.difference.path: sighting for sighting in pair.sightings}
    shown, gone = by_path["$.at"], by_path["$.a"]
    assert (shown.count, shown.gone, shown.requests, shown.callers) == (12, 0, 6, 2)
    assert (gone.count, gone.gone) == (0, 12)
    # After five probes it is known to be noise, and its size says no more.
    assert pair.combinations == {
        f"{shown.id}:timestamp:1 ~{gone.id}": 5,
        f"{shown.id}:timestamp:-1074 ~{gone.id}": 7,
    }
    assert pair.fields[shown.id] == FieldTally(both=12, type="timestamp", size=1)
    assert pair.fields[gone.id] == FieldTally(itself=2)
    assert (pair.tally.requests.count(), pair.tally.callers.count(), pair.tally.probes) == (7, 2, 14)
    assert pair.tally.rules == {"ignore $.b": 12}
    assert pair.tally.faster_ms.quantile(1.0) == pytest.approx(1.0, rel=0.021)
    assert pair.tally.slower_ms.quantile(1.0) == pytest.approx(2.0, rel=0.021)
    assert pair.tally.settled_ms.quantile(1.0) == pytest.approx(1000.0, rel=0.021)


def test_fields_that_always_drift_come_in_few_combinations(path: Path) -> None:
    drawn = random.Random(1)

    def moody(spread: int) -> tuple[Difference, ...]:
        return tuple(
            Difference(
                "body",
                f"$.{n}",
                "value",
                "number",
                "number",
                drift=Drift("number", 3 * drawn.randrange(spread)),
            )
            for n in range(12)
        )

    with Store.open(path) as store:
        for _ in range(40):
            store.record(seen("mismatch", differences=moody(6), probe=Probe(moody(6), moody(6))))
        for _ in range(3_000):
            store.record(seen("mismatch", differences=moody(6)))
    pair = read(path)["r"].current
    assert len(pair.combinations) < 100
    assert judged(pair, Standing(), date(2026, 11, 24)).pair.tally.outcomes == {"mismatch": 0, "noise": 3_040}


def test_too_many_combinations_stay_mismatches(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strangler.evidence.sightings.COMBINATIONS", 2)
    with Store.open(path) as store:
        for number in range(4):
            store.record(mismatch(Difference("body", f"$.{number}", "value", "number", "number")))
    combinations = read(path)["r"].current.combinations
    assert (len(combinations), combinations["?"]) == (3, 2)


def test_what_is_old_is_forgotten_and_the_present_is_not(path: Path) -> None:
    with Store.open(path) as store:
        store.record(mismatch(at=1000.0, releases=V1))
        store.record(mismatch(at=1000.0, releases=V2))
        store.record(mismatch(at=1000.0, releases=V2, difference=TYPE))
        store.record(seen(at=5000.0, releases=V2))
        store.forget(since=2000.0, size=10**9)
        store.record(mismatch(at=6000.0, releases=V2))
        assert store.flush()
        route = read(path)["r"]
    (pair,) = route.pairs
    assert (pair.releases, dict(pair.tally.outcomes)) == (V2, {"mismatch": 3, "match": 1})
    assert [(sighting.count, len(sighting.examples)) for sighting in pair.sightings] == [(3, 1)]
    assert route.total.eligible == 4  # what is forgotten is forgotten whole: the ledger of the rest adds up


def test_a_file_that_is_too_large_loses_the_oldest_first(path: Path) -> None:
    with Store.open(path) as store:
        for number in range(400):
            release = Releases("shop-1", f"v{number // 100}")
            shown = Difference("body", f"$.{number}", "value", "number", "number")
            body = Example("GET", "/r", "x" * 4000, "y" * 4000)
            store.record(
                seen("mismatch", at=float(number), releases=release, differences=(shown,), example=body)
            )
        store.flush()
        store.forget(since=0.0, size=1024**2)
        assert store.flush()
        pairs = read(path)["r"].pairs
        assert pairs[-1].tally.outcomes["mismatch"] == 100
        assert [pair.releases.extracted for pair in pairs] == ["v3"]
    assert path.stat().st_size < 1024**2


def test_room_that_cannot_be_given_back_counts_nothing_twice(path: Path) -> None:
    with Store.open(path) as store:
        for number in range(400):
            body = Example("GET", "/r", "x" * 4000, "y" * 4000)
            shown = Difference("body", f"$.{number}", "value", "number", "number")
            store.record(seen("mismatch", at=float(number), releases=V1, differences=(shown,), example=body))
        store.record(seen(at=1000.0, releases=V2))
        assert store.flush()
        # VACUUM attaches a copy: what refuses that stands for a disk with no room for one.
        denied = {sqlite3.SQLITE_ATTACH: sqlite3.SQLITE_DENY}
        store._books._sql.set_authorizer(lambda action, *_: denied.get(action, sqlite3.SQLITE_OK))
        store.record(seen(at=1001.0, releases=V2))
        store.forget(since=500.0, size=10**9)
        assert store.flush(timeout=10.0)
        assert "authorization denied" in store.last_fault
        assert store.booked() == {("r", "mismatch"): 400, ("r", "match"): 2}
        store._books._sql.set_authorizer(None)
    (pair,) = read(path)["r"].pairs
    assert dict(pair.tally.outcomes) == {"match": 2}


#: What each format has that the one before it had not: tables, and columns of tables.
ADDED = {
    2: (
        ("combination", "rule", "field", "request"),
        (
            *(("pair", name) for name in ("probes", "requests", "callers", "recorded")),
            *(("fingerprint", name) for name in ("gone", "requests", "callers")),
        ),
    ),
    3: (("traffic", "served"), (("pair", "recent_requests"), ("pair", "recent_callers"))),
}


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_format_is_brought_up_to_date(path: Path, version: int) -> None:
    with Store.open(path) as store:
        store.record(mismatch())
    connection = sqlite3.connect(path)
    for tables, columns in (added for number, added in ADDED.items() if number > version):
        for table in tables:
            connection.execute(f"DROP TABLE {table}")
        for table, column in columns:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="brings it up to date"):
        read(path)
    with Store.open(path) as store:
        store.record(mismatch())
    pair = read(path)["r"].current
    assert (pair.tally.outcomes["mismatch"], pair.sightings[0].count, sum(pair.combinations.values())) == (
        2,
        2,
        version,  # what format 1 had seen is of unknown combination
    )


def test_a_sample_of_what_was_asked_is_kept_and_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strangler.evidence.recorded.RECORDED", 20)
    for start in (0, 100):  # and counted on when the file is opened again
        with Store.open(path, random=random.Random(1)) as store:
            for number in range(start, start + 100):
                store.record(seen(at=float(number), target=f"/r/{number}"))
    kept = read_recorded(path)
    assert len(kept) == 20
    assert {each.at < 100 for each in kept} == {True, False}
    assert read_recorded(path, "another") == []
    assert [each.at for each in within(kept, 50.0, 150.0)] == [
        each.at for each in kept if 50 <= each.at <= 150
    ]
