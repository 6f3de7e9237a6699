"""The evidence store over real files: what it keeps, what it refuses to open, how it fails."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strangler.compare import Difference
from strangler.evidence import (
    Example,
    Observation,
    Releases,
    Store,
    StoreError,
    read,
)
from strangler.evidence.schema import APPLICATION_ID
from strangler.evidence.sightings import EXAMPLES, FINGERPRINTS

V1 = Releases("shop-1", "v1")
V2 = Releases("shop-1", "v2")
TYPE = Difference("body", "$.a", "type", "number", "string", "1", '"1"')


def seen(outcome: Any = "match", *, at: float = 1000.0, releases: Releases = V1, **more: Any) -> Observation:
    more = {"route": "r", "method": "GET", "target": "/r/1", "worker": "w1"} | more
    if outcome == "skipped":
        more = {"reason": "too_complex"} | more
    return Observation(at=at, releases=releases, outcome=outcome, **more)


def mismatch(difference: Difference = TYPE, **more: Any) -> Observation:
    target = more.get("target", "/r/1")
    return seen("mismatch", differences=(difference,), example=Example("GET", target, "old", "new"), **more)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "evidence.sqlite3"


def test_what_is_recorded_is_read_back(path: Path) -> None:
    with Store.open(path) as store:
        assert store.record(seen(at=1000.0, statuses=(200, 200), latency_ms=(1.0, 2.0)))
        assert store.record(mismatch(at=1001.0, statuses=(200, 201), latency_ms=(3.0, 4.0)))
        assert store.flush()
        tally = read(path)["r"].current.tally
    assert dict(tally.outcomes) == {"match": 1, "mismatch": 1}
    assert dict(tally.statuses) == {(200, 200): 1, (200, 201): 1}
    assert tally.legacy_ms.quantile(1.0) == pytest.approx(3.0, rel=0.02)
    assert tally.extracted_ms.quantile(0.0) == pytest.approx(2.0, rel=0.02)
    assert (tally.since, tally.until) == (1000.0, 1001.0)


def test_a_file_without_its_key_loses_its_examples_and_keeps_its_counts(path: Path) -> None:
    with Store.open(path) as store:
        key = store.key
        store.record(mismatch(target="/r/secret-target"))
    place = path.with_name("redaction.key")
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (key, 0o600)
    with Store.open(path) as store:
        assert store.key == key
    assert b"secret-target" in path.read_bytes()
    place.unlink()
    with Store.open(path) as store:
        assert store.key != key
    (sighting,) = read(path)["r"].current.sightings
    assert (sighting.count, sighting.examples) == (1, ())
    assert b"secret-target" not in path.read_bytes()


def test_a_broken_key_is_refused_and_left_alone(path: Path) -> None:
    Store.open(path).close()
    place = path.with_name("redaction.key")
    place.write_bytes(b"short")
    with pytest.raises(StoreError, match=r"redaction\.key: this is not a key of 32 bytes"):
        Store.open(path)
    assert place.read_bytes() == b"short"


def test_evidence_adds_up_over_openings(path: Path) -> None:
    for opening in range(3):
        with Store.open(path) as store:
            store.record(mismatch(at=1000.0 + opening))
    (sighting,) = read(path)["r"].current.sightings
    assert (sighting.count, sighting.first_seen, sighting.last_seen) == (3, 1000.0, 1002.0)
    assert sighting.difference == Difference("body", "$.a", "type", "number", "string")
    assert [kept.legacy_body for kept in sighting.examples] == ["old", "old", "old"]
    assert sighting.examples[0].extracted_value == '"1"'


def test_examples_without_bodies(path: Path) -> None:
    with Store.open(path) as store:
        store.record(mismatch())
    (sighting,) = read(path, bodies=False)["r"].current.sightings
    assert (sighting.examples[0].legacy_body, sighting.examples[0].legacy_value) == ("", "1")


def test_no_file_is_no_evidence(path: Path) -> None:
    assert read(path) == {}


def test_an_uncommitted_file_is_no_evidence(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert read(path) == {}


def test_evidence_belongs_to_a_pair_of_releases(path: Path) -> None:
    with Store.open(path) as store:
        for releases in (V1, V1, V2, V1, V2):
            store.record(mismatch(releases=releases))
    route = read(path)["r"]
    assert [(pair.releases, pair.tally.outcomes["mismatch"]) for pair in route.pairs] == [(V1, 3), (V2, 2)]
    assert route.current.releases == V2
    assert route.total.outcomes["mismatch"] == 5
    assert [pair.sightings[0].count for pair in route.pairs] == [3, 2]


def test_skips_wait_for_the_first_releases(path: Path) -> None:
    with Store.open(path) as store:
        store.record(seen("skipped", releases=Releases("", ""), reason="no_answer"))
        store.flush()
        assert read(path)["r"].current.releases == ("", "")
        store.record(seen(releases=V1))
        store.record(seen("skipped", releases=Releases("shop-1", ""), reason="no_answer"))
    (pair,) = read(path)["r"].pairs
    assert (pair.releases, dict(pair.tally.skipped)) == (V1, {"no_answer": 2})


def test_sides_that_name_no_release_keep_their_evidence(path: Path) -> None:
    with Store.open(path) as store:
        store.record(seen(releases=Releases("", "")))
        store.record(seen("skipped", releases=Releases("", ""), reason="no_answer"))
        store.record(seen(releases=V1))
    unnamed, named = read(path)["r"].pairs
    assert (unnamed.tally.compared, unnamed.tally.eligible) == (1, 2)
    assert (named.tally.compared, named.tally.eligible) == (1, 1)


def test_examples_are_a_sample_of_all_and_not_the_first(path: Path) -> None:
    with Store.open(path, random=random.Random(7)) as store:
        for number in range(300):
            store.record(mismatch(target=f"/r/{number}", at=1000.0 + number))
    (sighting,) = read(path)["r"].current.sightings
    numbers = [int(kept.target.removeprefix("/r/")) for kept in sighting.examples]
    assert len(numbers) == EXAMPLES
    assert max(numbers) > 50
    assert sighting.count == 300


def test_fingerprints_are_bounded_and_the_rest_is_counted(path: Path) -> None:
    with Store.open(path) as store:
        for number in range(FINGERPRINTS + 7):
            store.record(mismatch(Difference("body", f"$.id{number}", "missing", "number", "absent")))
    pair = read(path)["r"].current
    assert (len(pair.sightings), pair.unlisted) == (FINGERPRINTS, 7)
    assert pair.tally.outcomes["mismatch"] == FINGERPRINTS + 7


def test_matching_traffic_takes_no_disk(path: Path) -> None:
    with Store.open(path) as store:
        for number in range(2000):
            assert store.record(seen(latency_ms=(1.0 + number % 7, 2.0), target=""))
    assert path.stat().st_size < 100_000


def test_a_full_queue_says_no_and_counts(path: Path) -> None:
    with Store.open(path, queue=10) as store, locked(path):
        store.fold("w1", {"r": {"handed": 50}})
        answers = [store.record(seen()) for _ in range(50)]
        assert answers.count(True) <= 20
        wait_for(lambda: store.faults > 0)
        assert store.record(seen()) is False
    tally = read(path)["r"].current.tally
    assert tally.compared == answers.count(True)
    assert tally.skipped["store_full"] == 51 - answers.count(True)


class locked:
    """Another program that holds the write lock of the file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_a_lock_held_elsewhere_is_waited_out_without_blocking(path: Path) -> None:
    with Store.open(path) as store:
        with locked(path):
            started = time.monotonic()
            assert store.record(seen())
            wait_for(lambda: store.failing)
            assert store.record(seen()) is False
            store.fold("w1", {"r": {"handed": 2}})
            assert store.flush(timeout=0.01) is False
            assert "locked" in store.last_fault
            assert time.monotonic() - started < 15
        assert store.flush()
        assert not store.failing
        tally = read(path)["r"].current.tally
        assert (tally.compared, dict(tally.skipped), tally.eligible) == (1, {"store_full": 1}, 2)


def test_a_full_disk_is_survived(path: Path) -> None:
    with Store.open(path) as store:
        store.fold("w1", {"r": {"handed": 3}})
        store.record(seen())
        store.flush()
        books = store._books._sql
        books.execute(f"PRAGMA max_page_count={books.execute('PRAGMA page_count').fetchone()[0]}")
        big = Example("GET", "/", "x" * 4096, "y" * 4096)
        for number in range(20):
            difference = Difference("body", f"$.k{number}", "value", "number", "number")
            store.record(seen("mismatch", differences=(difference,), example=big))
        wait_for(lambda: store.failing)
        assert "full" in store.last_fault
        assert store.record(seen()) is False
        assert read(path)["r"].current.tally.compared == 1
        assert store.booked() == {("r", "match"): 1}, "only what is in the file"
        books.execute("PRAGMA max_page_count=1000000")
        assert store.flush()
        tally = read(path)["r"].current.tally
        assert store.booked() == {("r", "match"): 1, ("r", "mismatch"): 20, ("r", "store_full"): 1}
    assert (tally.compared, tally.skipped["store_full"]) == (21, 1)


def test_an_observation_that_cannot_be_written_spoils_no_other(path: Path) -> None:
    poison = mismatch(Difference("body", "$.a\ud800", "type", "number", "string", legacy_value="\udfff"))
    with Store.open(path) as store:
        store.fold("w1", {"r": {"handed": 4}})
        for observation in (seen(), poison, seen(), seen()):
            assert store.record(observation)
        assert store.flush()
        assert store.faults >= 1
        assert not store.failing
        assert store.booked() == {("r", "match"): 3, ("r", "store_error"): 1}
    tally = read(path)["r"].current.tally
    assert (tally.compared, dict(tally.skipped)) == (3, {"store_error": 1})


def test_closing_while_nothing_can_be_written_leaves_it_pending(path: Path) -> None:
    store = Store.open(path)
    store.fold("w1", {"r": {"handed": 2}})
    store.flush()
    with locked(path):
        store.record(seen())
        wait_for(lambda: store.failing)
        store.close()
    assert dict(read(path)["r"].current.tally.skipped) == {"pending": 2}
    with Store.open(path) as again:
        assert again.known_workers == {"w1"}
        again.retire("w1")
    assert dict(read(path)["r"].current.tally.skipped) == {"worker_lost": 2}


def test_after_closing_nothing_is_taken(path: Path) -> None:
    store = Store.open(path)
    store.close()
    store.close()
    assert store.record(seen()) is False
    assert store.flush(timeout=0.01) is False


def test_reading_sees_one_moment_while_another_writes(path: Path) -> None:
    with Store.open(path) as store:
        handed = 0
        for _ in range(20):
            for _ in range(30):
                handed += 1
                store.record(seen())
            store.fold("w1", {"r": {"handed": handed}})
            tally = read(path)["r"].current.tally if read(path) else None
            if tally:
                assert tally.eligible == tally.compared + tally.skipped.total() <= handed
        store.flush()
        assert read(path)["r"].current.tally.compared == handed


def damage_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def damage_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = b"\x55" * (len(data) // 2 - 4096)
    path.write_bytes(data)


def somebody_elses(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_version, "format 99"),
        (damage_pages, "malformed|damaged"),
        (somebody_elses, "not one of evidence"),
        (lambda path: path.write_text("routes:\n" * 1000), "not a database"),
    ],
)
def test_a_file_it_cannot_use_is_refused_and_left_alone(
    path: Path, damage: Callable[[Path], None], says: str
) -> None:
    with Store.open(path) as store:
        for number in range(100):
            store.record(mismatch(Difference("body", f"$.k{number}", "value", "number", "number")))
    damage(path)
    before = path.read_bytes()
    for use in (Store.open, read):
        with pytest.raises(StoreError, match=says) as caught:
            use(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_folder_in_the_way(path: Path) -> None:
    path.mkdir(parents=True)
    for use in (Store.open, read):
        with pytest.raises(StoreError, match="cannot use the evidence file"):
            use(path)


def test_the_file_says_whose_it_is(path: Path) -> None:
    Store.open(path).close()
    connection = sqlite3.connect(path)
    marks = [
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    ]
    connection.close()
    assert marks == [APPLICATION_ID, 3]
