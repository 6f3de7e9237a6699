"""Noise, accepted and transient: told from mismatch by all the evidence there is."""

from collections import Counter
from datetime import date
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.compare import Difference, Drift, FieldTally, chance, compile_rules, findings
from strangler.evidence import Acceptance, PairEvidence, Releases, Sighting, Standing, Tally, judged
from strangler.evidence.bounds import quantile_ranks
from strangler.evidence.judged import Member, write_members
from strangler.evidence.sketch import KEPT, Distinct
from strangler.evidence.tally import Histogram, ranked

TODAY = date(2026, 11, 24)
NOISY = FieldTally(both=50, itself=2, sides=3, type="timestamp", size=3)
PLAIN = Standing()


def pair(
    combinations: dict[str, int], fields: dict[str, FieldTally] | None = None, match: int = 100
) -> PairEvidence:
    tally = Tally(Counter(match=match, mismatch=sum(combinations.values())))
    names = {name.strip("~").split(":")[0] for text in combinations for name in text.split() if name != "?"}
    sightings = tuple(
        Sighting(name, "GET", Difference("body", f"$.{name}", "value", "string", "string"), 1, 1.0, 2.0)
        for name in sorted(names)
    )
    return PairEvidence(Releases("a", "b"), tally, sightings, 0, combinations, fields or {})


def outcomes(found: PairEvidence, standing: Standing = PLAIN) -> dict[str, int]:
    known = judged(found, standing, TODAY)
    return {name: count for name, count in known.pair.tally.outcomes.items() if count}


def accepted(name: str, until: date = TODAY) -> Standing:
    return Standing([Acceptance(name, "we know", until)])


def test_what_is_learned_late_holds_for_what_was_seen_early() -> None:
    seen = {"t:timestamp:1": 40}
    assert outcomes(pair(seen)) == {"match": 100, "mismatch": 40}
    assert outcomes(pair(seen, {"t": NOISY})) == {"match": 100, "noise": 40}


@pytest.mark.parametrize(
    ("member", "outcome"),
    [
        ("t:timestamp:3", "noise"),
        ("t:timestamp:-1074", "noise"),  # known to be no wider when it was seen
        ("t:timestamp:12", "mismatch"),  # an hour off: wider than the noise ever was
        ("t:token:1", "mismatch"),  # of another type
        ("t", "mismatch"),  # of no type: the format is still checked
    ],
)
def test_a_noisy_field_goes_on_being_checked(member: str, outcome: str) -> None:
    assert outcomes(pair({member: 5}, {"t": NOISY}, match=0)) == {outcome: 5}


def test_a_noisy_field_that_is_wrong_now_and_then_is_not_told_as_noise() -> None:
    known = judged(pair({"t:timestamp:1": 90, "t:timestamp:12 x": 2}, {"t": NOISY}), accepted("x"), TODAY)
    assert known.outcome_of == {"t": "mismatch", "x": "accepted"}
    assert (known.pair.tally.outcomes["noise"], known.pair.tally.outcomes["mismatch"]) == (90, 2)


def test_one_unexplained_difference_makes_a_mismatch_of_the_pair() -> None:
    assert outcomes(pair({"t:timestamp:1 x": 5, "?": 2}, {"t": NOISY})) == {"match": 100, "mismatch": 7}


def test_accepted_until_the_day_it_expires() -> None:
    seen = pair({"x": 5})
    assert outcomes(seen, accepted("x")) == {"match": 100, "accepted": 5}
    assert outcomes(seen, accepted("x", date(2026, 11, 23))) == {"match": 100, "mismatch": 5}
    assert judged(seen, accepted("x", date(2026, 11, 23)), TODAY).expired


def test_noise_beside_something_accepted_and_something_gone() -> None:
    fields = {"t": NOISY}
    assert outcomes(pair({"t:timestamp:1 x": 5}, fields), accepted("x")) == {"match": 100, "noise": 5}
    assert outcomes(pair({"t:timestamp:1 ~x": 5}, fields)) == {"match": 100, "transient": 5}
    assert outcomes(pair({"t:timestamp:1 ~x": 5}, fields), accepted("x")) == {"match": 100, "noise": 5}


def test_noise_can_be_refused_by_path() -> None:
    standing = Standing(exact=compile_rules(["$.t"]).body)
    known = judged(pair({"t:timestamp:1": 5}, {"t": NOISY}), standing, TODAY)
    assert known.pair.tally.outcomes["mismatch"] == 5
    assert known.found == {"t": "refused"}


FINDINGS = [
    (FieldTally(both=20, type="uuid"), "noise"),
    (FieldTally(both=4, type="uuid"), "too_few"),
    (FieldTally(both=400, itself=2), "not_scalar"),
    (FieldTally(sides=40, type="number", size=2), "never_alone"),
    (FieldTally(both=20, itself=1, sides=30, type="number", size=2), "told_apart"),
    (FieldTally(both=3, itself=15, sides=12, type="number", size=2), "noise"),
]


@pytest.mark.parametrize(("tally", "finding"), FINDINGS)
def test_findings(tally: FieldTally, finding: str) -> None:
    assert findings({"f": tally}, frozenset()) == {"f": finding}


def test_the_test_is_corrected_for_the_number_of_fields() -> None:
    tally = FieldTally(both=20, itself=1, sides=9, type="number")
    assert chance(tally) == pytest.approx(11 / 1024)  # of ten coins nine or ten
    assert findings({"f": tally}, frozenset())["f"] == "told_apart"
    others = {f"o{number}": FieldTally(both=9, type="uuid") for number in range(9)}
    assert findings({"f": tally} | others, frozenset())["f"] == "noise"


@pytest.mark.parametrize(("itself", "sides"), [(3, 0), (0, 3), (7, 7), (10, 30), (100, 130), (1_000, 1_100)])
def test_chance_is_that_of_coins(itself: int, sides: int) -> None:
    tosses = itself + sides
    exact = Fraction(sum(comb(tosses, heads) for heads in range(sides, tosses + 1)), 2**tosses)
    assert chance(FieldTally(itself=itself, sides=sides)) == pytest.approx(float(exact), rel=1e-6)


@given(st.integers(0, 60), st.integers(0, 60))
def test_chance_is_a_probability_and_falls_with_the_sides(itself: int, sides: int) -> None:
    here, further = (chance(FieldTally(itself=itself, sides=n)) for n in (sides, sides + 1))
    assert 0 <= here <= 1
    if sides > itself:
        assert further < here


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.none() | st.integers(-9, 9)), max_size=5))
def test_the_order_of_members_does_not_matter(found: list[tuple[str, bool, int | None]]) -> None:
    members = [
        Member(name, None if size is None else Drift("number", size), gone) for name, gone, size in found
    ]
    assert write_members(members) == write_members(members[::-1])


@given(st.sets(st.integers(1, 2**64 - 1), max_size=40), st.sets(st.integers(1, 2**64 - 1), max_size=40))
def test_few_different_ones_are_counted_exactly_and_merge(one: set[int], other: set[int]) -> None:
    sketches = []
    for values in (one, other):
        sketch = Distinct()
        for value in [*values, *values]:
            sketch.add(value)
        sketches.append(Distinct.of(sketch.data))
    sketches[0].merge(sketches[1])
    assert sketches[0].count() == len(one | other)


def test_many_different_ones_are_estimated() -> None:
    sketch = Distinct()
    for number in range(1, 100_001):
        sketch.add(number * 0x9E3779B97F4A7C15 % 2**64 or 1)
    assert sketch.count() == pytest.approx(100_000, rel=0.2)
    assert len(sketch.data) == 8 * KEPT
    assert Distinct.of(b"odd").count() == 0


def test_the_median_of_differences_and_its_ranks() -> None:
    assert quantile_ranks(0, 0.5) == (0, 1)
    assert quantile_ranks(3, 0.5) == (0, 4)  # three values bound nothing
    low, high = quantile_ranks(10_000, 0.5)
    assert 4_700 < low < 5_000 < high < 5_300
    faster, slower = Histogram(), Histogram()
    for value in (1.0, 4.0):
        faster.add(value)
    for value in (2.0, 3.0, 10.0):
        slower.add(value)
    found = ranked(faster, slower, (0, 1, 2, 3, 5, 6))
    assert found[0] is None
    assert found[-1] is None
    assert found[1:-1] == pytest.approx([-4.0, -1.0, 2.0, 10.0], rel=0.021)
