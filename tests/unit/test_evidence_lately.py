"""What has passed lately: out of samples taken now and then, with the time as an argument."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.compare import Difference, FieldTally
from strangler.evidence import (
    PairEvidence,
    Releases,
    Ring,
    Sample,
    Sighting,
    Standing,
    Tally,
    judged,
    lately,
    outcomes_of,
    sampled,
)
from strangler.evidence.lately import ROUTES, Compared, Lately, Outcomes
from strangler.evidence.tally import Histogram

#: 2023-11-14T22:13:00Z, the first second of a minute.
NOON = 1_699_999_980.0
ONE, TWO = Releases("a", "1"), Releases("a", "2")


def ring(*samples: Sample, most: int = ROUTES) -> Ring:
    found = Ring()
    for sample in samples:
        found = sampled(found, sample, most)
    return found


def traffic(at: float, route: str = "pay", **columns: int) -> Sample:
    return Sample(NOON + at, {(route, column): count for column, count in columns.items()})


def compared(at: float, counts: Outcomes) -> Sample:
    return Sample(NOON + at, {}, counts)


def moments(found: Lately, route: str = "pay") -> list[tuple[int, int, int]]:
    return [
        (each["requests"], each["pairs"], each["mismatches"]) for each in found["routes"][route]["minutes"]
    ]


def test_before_there_are_two_samples_nothing_is_known() -> None:
    assert lately(Ring(), NOON) == {
        "at": "2023-11-14T22:13:00.000Z",
        "seconds": 0,
        "since": "2023-11-14T22:13:00.000Z",
        "minutes": [],
        "routes": {},
        "unclaimed": {
            "requests_per_second": None,
            "legacy": {"requests": 0, "errors": 0, "error_rate": None, "p99_ms": None},
        },
    }
    one = lately(ring(traffic(0, legacy_2xx=70_000)), NOON + 3)
    assert (one["seconds"], one["minutes"], one["routes"]) == (0, [], {})
    assert (one["since"], one["at"]) == ("2023-11-14T22:13:00.000Z",) * 2


def test_rates_errors_and_waits_of_both_sides() -> None:
    before = {("pay", "legacy_2xx"): 1_000, ("pay", "extracted_2xx"): 500, ("", "legacy_2xx"): 7}
    grown = {
        ("pay", "legacy_2xx"): 60,
        ("pay", "legacy_5xx"): 2,
        ("pay", "extracted_2xx"): 30,
        ("pay", "extracted_failed"): 1,
        ("pay", "fallback"): 3,
        ("pay", "rerouted"): 1,
        ("pay", "refused"): 1,
        ("pay", "legacy_wait_17"): 98,
        ("pay", "legacy_wait_90"): 2,
        ("pay", "extracted_wait_-3"): 1,
        ("pay", "handed"): 90,
        ("", "legacy_4xx"): 20,
        ("/payments 127.0.0.1:8002", "opened"): 1,
        ("/payments 127.0.0.1:8002", "legacy_2xx"): 1,
    }
    now = dict(Counter(before) + Counter(grown))
    found = lately(ring(Sample(NOON, before), Sample(NOON + 10, now)), NOON + 11)
    assert found["seconds"] == 10
    pay = found["routes"].pop("pay")
    assert found["routes"] == {}, "what no route claims is apart, and an endpoint is no route"
    assert pay["requests_per_second"] == 9.3, "a caller whom legacy answered instead is one caller"
    assert pay["legacy"] == {
        "requests": 62,
        "errors": 2,
        "error_rate": 0.032258,
        "p99_ms": round(Histogram(Counter({90: 1})).quantile(0.5) or 0, 3),
    }
    assert (pay["extracted"]["requests"], pay["extracted"]["errors"]) == (35, 5)
    assert pay["extracted"]["p99_ms"] == 0.869
    assert found["unclaimed"]["requests_per_second"] == 2.0
    assert found["unclaimed"]["legacy"]["requests"] == 20
    assert found["minutes"] == [{"at": "2023-11-14T22:13:00.000Z", "legacy": 82, "extracted": 31}]
    assert moments({**found, "routes": {"pay": pay}}) == [(93, 0, 0)]


def test_rates_are_of_the_last_minute_only() -> None:
    samples = [traffic(at, legacy_2xx=10 * at) for at in range(0, 200, 5)]
    found = lately(ring(*samples), NOON + 195)
    assert (found["seconds"], found["routes"]["pay"]["requests_per_second"]) == (60, 10.0)
    assert [minute["legacy"] for minute in found["minutes"]] == [600, 600, 600, 150]
    later = lately(ring(*samples), NOON + 195 + 50)
    assert (later["seconds"], later["routes"]["pay"]["legacy"]["requests"]) == (10, 100)
    assert later["at"] == found["at"], "which is when the last sample was taken"
    stale = lately(ring(*samples), NOON + 195 + 60)
    assert stale["seconds"] == 0
    assert stale["routes"]["pay"]["requests_per_second"] is None, "no sample is not no traffic"
    assert moments(stale) == moments(found)


def test_a_route_that_nobody_asks_any_more_has_a_rate_of_zero() -> None:
    samples = [traffic(at, legacy_2xx=min(at, 30)) for at in range(0, 130, 5)]
    found = lately(ring(*samples), NOON + 125)
    assert found["routes"]["pay"]["requests_per_second"] == 0.0
    assert found["routes"]["pay"]["legacy"]["error_rate"] is None
    assert moments(found) == [(30, 0, 0), (0, 0, 0), (0, 0, 0)]


def test_a_time_without_samples_is_a_gap() -> None:
    before = [traffic(at, legacy_2xx=at) for at in range(0, 65, 5)]
    after = [traffic(at, legacy_2xx=at) for at in range(400, 430, 5)]
    found = lately(ring(*before, *after), NOON + 430)
    assert [minute["at"][14:19] for minute in found["minutes"]] == ["13:00", "19:00", "20:00"]
    assert [minute["legacy"] for minute in found["minutes"]] == [60, 20, 5], "of the gap nobody knows when"
    assert moments(found) == [(60, 0, 0), (20, 0, 0), (5, 0, 0)]
    assert found["seconds"] == 25
    assert lately(ring(*before, *after[:1]), NOON + 400)["seconds"] == 0
    assert found["since"] == "2023-11-14T22:13:00.000Z"


def test_a_clock_that_is_set_back_begins_anew() -> None:
    kept = ring(*(traffic(at, legacy_2xx=at) for at in (0, 5, 10)))
    assert lately(kept, NOON + 10)["seconds"] == 10
    anew = sampled(kept, traffic(8, legacy_2xx=30))
    found = lately(anew, NOON + 8)
    assert (found["seconds"], found["minutes"], found["since"][17:19]) == (0, [], "08")


def test_pairs_and_mismatches_by_the_minute() -> None:
    found = lately(
        ring(
            compared(0, {("pay", ONE): Compared(100, 100, 50)}),
            compared(10, {("pay", ONE): Compared(108, 107, 52)}),
            compared(20, {("pay", ONE): Compared(110, 109, 52), ("pay", TWO): Compared(5, 5, 5)}),
        ),
        NOON + 20,
    )
    assert moments(found) == [(0, 14, 7)], "another release begins with nothing"


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (Compared(100, 100, 0), None),  # all of it is noise by now
        (Compared(104, 104, 1), (0, 4, 0)),
        (Compared(104, 104, 104), (0, 4, 4)),  # an acceptance has expired
        (Compared(104, 110, 50), (0, 4, 0)),  # transient ones are noise by now
        (Compared(20, 20, 20), None),  # forgotten
    ],
)
def test_what_is_judged_otherwise_later_is_not_from_just_now(
    now: Compared, told: tuple[int, int, int] | None
) -> None:
    before = {("pay", ONE): Compared(100, 100, 50)}
    found = lately(ring(compared(0, before), compared(5, {("pay", ONE): now})), NOON + 5)
    assert found["routes"] == {} if told is None else moments(found) == [told]


def test_the_outcomes_of_a_sample_are_those_that_were_judged() -> None:
    difference = Difference("body", "$.at", "value", "string", "string")
    noisy = FieldTally(both=50, itself=2, sides=3, type="timestamp", size=3)
    pair = PairEvidence(
        ONE,
        Tally(Counter(match=60, mismatch=40, transient=2)),
        (Sighting("t", "GET", difference, 40, 1.0, 2.0),),
        0,
        {"t:timestamp:1": 30, "t": 10},
        {"t": noisy},
    )
    other = replace(pair, releases=TWO, combinations={})
    known = [judged(each, Standing(), date(2026, 11, 24)) for each in (pair, other)]
    assert outcomes_of({"pay": known}) == {
        ("pay", ONE): Compared(102, 100, 10),
        ("pay", TWO): Compared(102, 100, 40),
    }


def test_an_hour_is_kept_and_no_more() -> None:
    samples = [traffic(at, legacy_2xx=at) for at in range(0, 70 * 60 + 1, 20)]
    found = lately(ring(*samples), NOON + 70 * 60)
    assert len(found["minutes"]) == len(moments(found)) == 59, "the present minute has no span yet"
    assert {each["legacy"] for each in found["minutes"]} == {60}
    later = lately(ring(*samples), NOON + 128 * 60 + 59)
    assert [each["at"][11:16] for each in later["minutes"]] == ["23:22"]
    assert lately(ring(*samples), NOON + 130 * 60)["routes"] == {}


def test_of_too_many_routes_those_that_tell_the_most_keep_their_minutes() -> None:
    counts = {("busy", "legacy_2xx"): 9, ("quiet", "legacy_2xx"): 1, ("wrong", "legacy_2xx"): 1}

    def sample(at: int) -> Sample:
        grown = {key: count * at for key, count in counts.items()}
        return Sample(NOON + at, grown, {("wrong", ONE): Compared(at, at, at)})

    found = lately(ring(*(sample(at) for at in range(0, 61, 20)), most=2), NOON + 60)
    assert set(found["routes"]) == {"busy", "quiet", "wrong"}
    assert moments(found, "quiet") == [(60, 0, 0)]
    found = lately(ring(*(sample(at) for at in range(0, 121, 20)), most=2), NOON + 120)
    assert moments(found, "busy") == [(540, 0, 0)] * 2
    assert moments(found, "wrong") == [(60, 60, 60)] * 2
    assert moments(found, "quiet") == [(60, 0, 0)], "its earlier minutes are gone, not zero"
    assert found["routes"]["quiet"]["requests_per_second"] == 1.0
    assert [minute["legacy"] for minute in found["minutes"]] == [660, 660]


COLUMNS = ("legacy_2xx", "legacy_5xx", "extracted_2xx", "extracted_failed", "fallback", "legacy_wait_4")
GROWTH = st.dictionaries(
    st.tuples(st.sampled_from(["pay", "stock", ""]), st.sampled_from(COLUMNS)), st.integers(0, 50)
)
JUDGED = st.dictionaries(
    st.tuples(st.sampled_from(["pay", "stock"]), st.sampled_from([ONE, TWO])),
    st.builds(Compared, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
)
STEPS = st.lists(st.tuples(st.floats(1, 59), GROWTH, JUDGED), min_size=2, max_size=40)


@given(STEPS)
def test_nothing_is_lost_nothing_is_negative_and_the_minutes_are_in_order(
    steps: list[tuple[float, dict[tuple[str, str], int], dict[tuple[str, Releases], Compared]]],
) -> None:
    at, counts, found = NOON, Counter[tuple[str, str]](), Ring()
    grown: Counter[str] = Counter()
    for number, (rest, more, outcomes) in enumerate(steps):
        at += rest
        counts.update(more)
        found = sampled(found, Sample(at, dict(counts), outcomes))
        for (_, column), count in more.items():
            grown[column] += count if number else 0
    told = lately(found, at)
    answered = {
        side: sum(
            count for column, count in grown.items() if column.startswith(side) and "wait" not in column
        )
        for side in ("legacy", "extracted")
    }
    assert answered == {
        side: sum(minute[side] for minute in told["minutes"])  # type: ignore[literal-required]
        for side in answered
    }
    names = [minute["at"] for minute in told["minutes"]]
    assert names == sorted(set(names))
    assert len(names) <= 60
    for route in told["routes"].values():
        mine = [minute["at"] for minute in route["minutes"]]
        assert mine == names[len(names) - len(mine) :], "without a hole that the whole does not have"
        assert all(0 <= minute["mismatches"] <= minute["pairs"] for minute in route["minutes"])
        assert all(minute["requests"] >= 0 for minute in route["minutes"])
        for side in (route["legacy"], route["extracted"]):
            assert 0 <= side["errors"] <= side["requests"]
    assert told["seconds"] > 0
