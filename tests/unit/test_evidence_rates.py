"""Two rates and two latencies compared, at every look."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.evidence.bounds import quantile_ranks
from strangler.evidence.rates import (
    Rate,
    factor_needed,
    is_no_slower,
    is_no_worse,
    is_slower,
    is_worse,
    quantile_band,
)
from strangler.evidence.tally import Histogram

counts = st.integers(0, 5_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))
rates = counts.map(lambda pair: Rate(*pair))
margins = st.floats(0.0001, 0.5)


@given(rates, rates, margins)
def test_nothing_is_worse_and_not_worse_at_once(legacy: Rate, extracted: Rate, margin: float) -> None:
    assert not (is_worse(legacy, extracted, margin, 0.95) and is_no_worse(legacy, extracted, margin, 0.95))


@given(rates, rates, margins)
def test_the_surer_one_must_be_the_less_is_shown(legacy: Rate, extracted: Rate, margin: float) -> None:
    for shows in (is_worse, is_no_worse):
        assert shows(legacy, extracted, margin, 0.95) or not shows(legacy, extracted, margin, 0.999)


@given(rates, st.integers(1, 5_000), margins)
def test_more_errors_are_never_better(legacy: Rate, count: int, margin: float) -> None:
    worse = [
        is_worse(legacy, Rate(errors, count), margin, 0.95)
        for errors in range(0, count + 1, max(1, count // 7))
    ]
    assert worse == sorted(worse)


@given(rates, margins)
def test_a_side_that_nobody_asked_shows_nothing(rate: Rate, margin: float) -> None:
    assert not is_worse(Rate(), rate, margin, 0.95)
    assert not is_worse(rate, Rate(), margin, 0.95)
    assert not is_no_worse(rate, Rate(), margin, 0.95)
    assert factor_needed(rate, Rate(), margin, 0.95) is None


@pytest.mark.parametrize(
    ("legacy", "extracted", "margin", "worse", "no_worse"),
    [
        (Rate(0, 10**9), Rate(0, 10**9), 0.001, False, True),
        (Rate(0, 10_000), Rate(100, 10_000), 0.001, True, False),
        (Rate(100, 10_000), Rate(100, 10_000), 0.001, False, False),  # not enough for so small a margin
        (Rate(100, 10_000), Rate(100, 10_000), 0.05, False, True),
        (Rate(10_000, 10_000), Rate(10_000, 10_000), 0.05, False, True),  # both always fail
        (Rate(10_000, 10_000), Rate(0, 10_000), 0.001, False, True),
        (Rate(0, 10_000), Rate(10_000, 10_000), 0.001, True, False),
        (Rate(0, 20), Rate(20, 20), 0.001, True, False),
        (Rate(0, 1), Rate(1, 1), 0.001, False, False),
        (Rate(5_000, 10_000), Rate(9_900, 10_000), 0.49, False, False),
        (
            Rate(0, 6_000),
            Rate(0, 6_000),
            0.0,
            False,
            False,
        ),  # no number of requests shows that two are the same
    ],
)
def test_known_cases(legacy: Rate, extracted: Rate, margin: float, worse: bool, no_worse: bool) -> None:
    assert is_worse(legacy, extracted, margin, 0.95) is worse
    assert is_no_worse(legacy, extracted, margin, 0.95) is no_worse


def test_how_much_more_is_needed() -> None:
    seen = Rate(0, 1_000)
    times = factor_needed(seen, seen, 0.001, 0.95)
    assert times is not None
    enough = Rate(0, 1_000 * times)
    assert is_no_worse(enough, enough, 0.001, 0.95)
    less = Rate(0, 1_000 * times * 0.95)
    assert not is_no_worse(less, less, 0.001, 0.95)
    assert factor_needed(Rate(0, 1_000), Rate(2, 1_000), 0.001, 0.95) is None


@pytest.mark.parametrize("shows", [is_worse, is_no_worse])
def test_looking_all_along_does_not_make_it_wrong(shows: object) -> None:
    """At the bound, where either answer is wrong, few are: looked at after every ten requests."""
    wrong = 0
    for seed in range(100):
        dice, legacy, extracted = random.Random(seed), 0, 0
        for count in range(1, 2_001):
            legacy += dice.random() < 0.05
            extracted += dice.random() < 0.10
            if count % 10 == 0 and shows(Rate(legacy, count), Rate(extracted, count), 0.05, 0.95):  # type: ignore[operator]
                wrong += 1
                break
    assert wrong <= 5


def waits(*values: float) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(st.integers(0, 100_000), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_ranks_hold_the_quantile_of_the_sample(count: int, share: float) -> None:
    low, high = quantile_ranks(count, share)
    assert 0 <= low <= round(share * count) <= high <= count + 1


def test_a_band_of_few_values_has_no_upper_end() -> None:
    assert quantile_band(waits(*[10.0] * 50), 0.99, 0.95)[1] is None
    assert quantile_band(waits(), 0.99, 0.95) == (None, None)


def test_slower_and_not_slower() -> None:
    dice = random.Random(1)
    one, same, half_more = (
        waits(*(dice.lognormvariate(4, 0.5) * factor for _ in range(20_000))) for factor in (1, 1, 1.5)
    )
    assert is_no_slower(one, same, 1.2, 0.95)
    assert not is_slower(one, same, 1.2, 0.99)
    assert is_slower(one, half_more, 1.2, 0.99)
    assert not is_no_slower(one, half_more, 1.2, 0.95)


def test_what_nobody_feels_is_not_slower() -> None:
    assert is_no_slower(waits(*[1.0] * 5_000), waits(*[4.0] * 5_000), 1.2, 0.95)
    assert not is_slower(waits(*[1.0] * 5_000), waits(*[4.0] * 5_000), 1.2, 0.95)
    assert is_slower(waits(*[1.0] * 5_000), waits(*[9.0] * 5_000), 1.2, 0.95)
