"""The breaker: when it opens, who may try, and when it closes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strangler.gateway.breaker import LONGEST_OPEN, TRIAL, Breaker
from strangler.routes import Breaking

RULES = Breaking(failures=50_000, least=4, window=10.0, open=5.0)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(4):
        breaker.failed(at)
    assert breaker.is_open
    return breaker


def test_it_takes_enough_requests_and_enough_failures() -> None:
    breaker = Breaker(RULES)
    assert [breaker.failed(100.0) for _ in range(4)] == [False, False, False, True]
    breaker = Breaker(RULES)
    breaker.failed(100.0)  # what was good before is too long ago to count
    breaker.good += 4
    assert [breaker.failed(101.0) for _ in range(3)] == [False, False, True]


def test_what_is_older_than_the_window_does_not_count() -> None:
    breaker = Breaker(RULES)
    for _ in range(3):
        breaker.failed(100.0)
    assert not breaker.failed(100.0 + 2.1 * RULES.window)
    assert not breaker.is_open


def test_a_long_good_time_does_not_hide_a_sudden_end() -> None:
    breaker = Breaker(RULES)
    breaker.good += 1_000_000
    assert [breaker.failed(3600.0) for _ in range(4)] == [False, False, False, True]


def test_one_request_tries_and_its_answer_closes() -> None:
    breaker = opened(at=100.0)
    assert not breaker.may_try(104.9)
    assert breaker.may_try(105.0)
    assert not breaker.may_try(105.0), "one is enough"
    breaker.close(106.0)
    assert not breaker.is_open
    assert [breaker.failed(107.0) for _ in range(4)] == [False, False, False, True]


def test_a_trial_that_fails_opens_it_for_longer() -> None:
    breaker, now = opened(at=100.0), 100.0
    lengths = []
    for _ in range(7):
        begun = now
        while not breaker.may_try(now):
            now += 1.0
        lengths.append(now - begun)
        assert breaker.failed(now)
    assert lengths == [5.0, 10.0, 20.0, 40.0, LONGEST_OPEN, LONGEST_OPEN, LONGEST_OPEN]


def test_a_trial_that_nobody_hears_of_again_is_not_the_last() -> None:
    breaker = opened(at=100.0)
    assert breaker.may_try(105.0)
    assert not breaker.may_try(105.0 + TRIAL - 1)
    assert breaker.may_try(105.0 + TRIAL)


def test_a_trial_that_was_given_up_makes_room_for_another() -> None:
    breaker = opened(at=100.0)
    assert breaker.may_try(105.0)
    breaker.give_up()
    assert breaker.may_try(105.0)


def test_who_would_rather_wait_lets_others_go_first() -> None:
    breaker = opened(at=100.0)
    assert not breaker.may_try(106.0, patient=5.0)
    assert breaker.may_try(110.0, patient=5.0)


def test_failures_that_were_under_way_when_it_opened_change_nothing() -> None:
    breaker = opened(at=100.0)
    for _ in range(100):
        breaker.failed(101.0)
    assert breaker.may_try(105.0)


@given(st.lists(st.tuples(st.sampled_from(["good", "bad", "try"]), st.floats(0.0, 20.0)), max_size=80))
def test_while_it_is_open_there_is_one_trial_at_a_time(steps: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(RULES), 0.0
    trying_since: float | None = None
    for what, passed in steps:
        now += passed
        if what == "bad":
            breaker.failed(now)
            trying_since = trying_since if breaker.is_open and breaker.is_tried else None
        elif what == "good":
            breaker.good += 1
        elif breaker.may_try(now):
            assert breaker.is_open
            assert trying_since is None or now >= trying_since + TRIAL
            trying_since = now
        assert breaker.is_open or not breaker.is_tried


@given(st.lists(st.floats(0.0, 100.0), max_size=50))
def test_without_a_failure_it_never_opens(times: list[float]) -> None:
    breaker, now = Breaker(RULES), 0.0
    for passed in times:
        now += passed
        breaker.good += 1
        assert not breaker.is_open
        assert not breaker.may_try(now)
