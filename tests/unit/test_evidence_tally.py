import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.evidence import Observation, Releases, Tally
from strangler.evidence.tally import Histogram, total

PAIR = Releases("1", "2")
outcomes = st.sampled_from(["match", "noise", "accepted", "transient", "mismatch", "skipped"])
milliseconds = st.floats(0.0, 60_000)
observations = st.builds(
    Observation,
    route=st.just("r"),
    method=st.just("GET"),
    target=st.just("/"),
    at=st.floats(0, 2e9),
    releases=st.just(PAIR),
    outcome=outcomes,
    worker=st.just("w"),
    reason=st.sampled_from(["queue_full", "too_complex"]),
    statuses=st.none() | st.tuples(st.sampled_from([200, 404]), st.sampled_from([200, 500])),
    latency_ms=st.none() | st.tuples(milliseconds, milliseconds),
)


def tallied(seen: list[Observation]) -> Tally:
    tally = Tally()
    for observation in seen:
        tally.add(observation)
    return tally


tallies = st.lists(observations, max_size=6).map(tallied)


@settings(deadline=None)
@given(tallies, tallies, tallies)
def test_merging_is_associative_and_commutative(a: Tally, b: Tally, c: Tally) -> None:
    assert total([a, b]) == total([b, a])
    assert total([total([a, b]), c]) == total([a, total([b, c])])


@settings(deadline=None)
@given(st.lists(observations, max_size=12), st.integers(0, 12))
def test_it_does_not_matter_how_observations_are_split(seen: list[Observation], cut: int) -> None:
    assert total([tallied(seen[:cut]), tallied(seen[cut:])]) == tallied(seen)


@settings(deadline=None)
@given(tallies, tallies)
def test_merging_leaves_the_other_alone(a: Tally, b: Tally) -> None:
    before = copy.deepcopy(b)
    a.merge(b)
    assert b == before


@settings(deadline=None)
@given(st.lists(observations, max_size=12))
def test_the_ledger_adds_up(seen: list[Observation]) -> None:
    tally = tallied(seen)
    assert tally.eligible == len(seen) == tally.compared + tally.skipped.total()
    assert tally.pairs == tally.matches + tally.outcomes["mismatch"]


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_within_two_percent(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.0201)


def test_odd_values_are_counted_too() -> None:
    histogram = Histogram()
    for value in (0.0, -1.0, math.inf, math.nan):
        histogram.add(value)
    assert histogram.buckets.total() == 4
    assert Histogram().quantile(0.5) is None


@given(st.lists(st.floats(0.01, 10_000), max_size=50))
def test_buckets_in_order_hold_every_value_once(values: list[float]) -> None:
    found = Histogram()
    for value in values:
        found.add(value)
    told = found.ascending()
    assert [upper for upper, _ in told] == sorted({upper for upper, _ in told})
    assert sum(count for _, count in told) == len(values)
    for upper, _ in told:
        assert any(upper / 1.0409 <= value <= upper * 1.0001 for value in values)
