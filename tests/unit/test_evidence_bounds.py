import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.evidence.bounds import match_interval, pairs_needed

counts = st.integers(0, 5000).flatmap(lambda pairs: st.tuples(st.integers(0, pairs), st.just(pairs)))


def test_nothing_seen_says_nothing() -> None:
    assert match_interval(0, 0) == (0.0, 1.0)


def test_the_price_of_certainty_without_a_mismatch() -> None:
    needed = pairs_needed(0, 0, 0.999)
    assert needed == 4773
    assert match_interval(needed, needed)[0] >= 0.999 > match_interval(needed - 1, needed - 1)[0]


@pytest.mark.parametrize(
    ("matches", "pairs", "needed"),
    [(4773, 4773, 0), (4000, 4000, 773), (1140, 1170, None), (999, 1000, 7660), (0, 5, None)],
)
def test_pairs_needed(matches: int, pairs: int, needed: int | None) -> None:
    assert pairs_needed(matches, pairs, 0.999) == needed


def test_a_rate_of_one_is_never_proven() -> None:
    assert pairs_needed(10, 10, 1.0) is None


@pytest.mark.parametrize("bad", [(2, 1), (-1, 0)])
def test_impossible_counts(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="matches of"):
        match_interval(*bad)


@settings(deadline=None)
@given(counts)
def test_the_interval_holds_the_estimate(counted: tuple[int, int]) -> None:
    matches, pairs = counted
    low, high = match_interval(matches, pairs)
    assert 0 <= low <= (matches / pairs if pairs else 0.5) <= high <= 1


@settings(deadline=None)
@given(counts)
def test_more_confidence_is_a_wider_interval(counted: tuple[int, int]) -> None:
    low, high = match_interval(*counted, confidence=0.9)
    wider_low, wider_high = match_interval(*counted, confidence=0.99)
    assert wider_low <= low
    assert high <= wider_high


@settings(deadline=None, max_examples=50)
@given(counts, st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_the_pairs_asked_for_are_enough_and_not_too_many(counted: tuple[int, int], target: float) -> None:
    matches, pairs = counted
    more = pairs_needed(matches, pairs, target)
    if more is None:
        assert match_interval(matches, pairs)[1] < target
        return
    assert match_interval(matches + more, pairs + more)[0] >= target - 1e-12
    if more > 1:
        assert match_interval(matches + more - 1, pairs + more - 1)[0] < target


@pytest.mark.parametrize("rate", [0.3, 0.95, 0.999])
def test_looking_again_and_again_is_wrong_at_most_one_time_in_twenty(rate: float) -> None:
    draw = random.Random(f"seed {rate}")
    walks, wrong = 200, 0
    for _ in range(walks):
        matches, pairs, missed = 0, 0, False
        for look in range(1, 60):
            more = 1 + look // 2
            matches += sum(draw.random() < rate for _ in range(more))
            pairs += more
            low, high = match_interval(matches, pairs)
            missed = missed or not low <= rate <= high
        wrong += missed
    assert wrong <= 0.05 * walks
