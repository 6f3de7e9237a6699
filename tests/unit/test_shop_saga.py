"""The machine of the saga: whatever its steps come to, the order is placed or undone, in reverse."""

from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy_monolith.saga import (
    ENDS,
    FORWARD,
    RULES,
    WAITING,
    Begin,
    Entry,
    GoOn,
    ImpossibleLog,
    Phase,
    Rest,
    State,
    Step,
    decide,
    state_of,
)

UNDOES: dict[Step, Step] = {"release": "reserve", "refund": "charge"}


def log(*entries: tuple[Step, Phase]) -> list[Entry]:
    return [Entry(number, step, phase) for number, (step, phase) in enumerate(entries, 1)]


def played(phases: Iterator[Phase]) -> list[Entry]:
    """The log of a saga whose steps end as `phases` says, until it rests and there is no person who goes on."""
    written: list[Entry] = []
    for phase in phases:
        match decide(written):
            case Begin(step):
                written.append(Entry(len(written) + 1, step, "begun"))
                written.append(Entry(len(written) + 1, step, phase))
            case Rest(state) if state in WAITING:
                written.append(Entry(len(written) + 1, "refund", "again"))
            case _:
                break
    return written


PHASES = st.lists(st.sampled_from(["done", "refused", "failed"]), max_size=20).map(iter)


@pytest.mark.parametrize(
    ("phases", "steps", "end"),
    [
        ("done done done", "reserve charge confirm", "confirmed"),
        ("refused", "reserve", "cancelled"),
        ("failed done", "reserve release", "cancelled"),
        ("done refused done", "reserve charge release", "cancelled"),
        ("done failed done done", "reserve charge refund release", "cancelled"),
        ("done done failed done done", "reserve charge confirm refund release", "cancelled"),
        ("done done refused failed done", "reserve charge confirm refund release", "owing"),
        ("done done failed done failed", "reserve charge confirm refund release", "holding"),
        ("done failed failed failed", "reserve charge refund release", "owing-and-holding"),
        ("done failed failed done again done", "reserve charge refund release refund refund", "cancelled"),
        ("failed failed again done", "reserve release refund release", "cancelled"),
    ],
)
def test_a_saga_comes_to_its_end(phases: str, steps: str, end: State) -> None:
    written = played(iter(phases.split()))  # type: ignore[arg-type]
    assert " ".join(entry.step for entry in written if entry.phase in ("begun", "again")) == steps
    assert state_of(written) == end


@given(PHASES)
def test_steps_that_may_have_happened_are_undone_in_reverse(phases: Iterator[Phase]) -> None:
    written = played(phases)
    if state_of(written) == "cancelled":
        happened = [e.step for e in written if e.step in FORWARD and e.phase in ("done", "failed")]
        undone = [UNDOES[e.step] for e in written if e.step not in FORWARD and e.phase == "done"]
        assert sorted(undone) == sorted(step for step in happened if step != "confirm")
    if state_of(written) == "confirmed":
        assert [entry.step for entry in written if entry.phase == "done"] == ["reserve", "charge", "confirm"]


@given(PHASES)
def test_a_log_that_is_cut_anywhere_says_where_to_go_on(phases: Iterator[Phase]) -> None:
    written = played(phases)
    for length in range(len(written)):
        following = written[length]
        match decide(written[:length]):
            case Begin(step):
                assert (following.step, following.phase) == (step, "begun")
            case GoOn(step, entry):
                assert (following.step, entry) == (step, length)
            case Rest(state):
                assert state in WAITING
                assert following.phase == "again"


def test_a_step_that_is_done_again_is_of_another_round() -> None:
    written = log(
        *[("reserve", "begun"), ("reserve", "failed"), ("release", "begun"), ("release", "failed")],
        ("release", "again"),
    )
    assert decide(written[:2]) == Begin("release", 1)
    assert decide(written) == Begin("release", 2)


@pytest.mark.parametrize(
    "entries",
    [
        [("charge", "begun")],
        [("reserve", "done")],
        [("reserve", "begun"), ("reserve", "begun")],
        [("reserve", "begun"), ("charge", "done")],
        [("reserve", "begun"), ("reserve", "refused"), ("charge", "begun")],
        [("refund", "again")],
    ],
)
def test_a_log_that_cannot_be_is_not_believed(entries: list[tuple[Step, Phase]]) -> None:
    with pytest.raises(ImpossibleLog, match="cannot come after"):
        decide(log(*entries))


def test_every_state_can_be_reached_and_every_state_is_known() -> None:
    known = set(get_args(State))
    assert known == RULES.keys() | WAITING.keys() | ENDS
    reached: set[State] = {"placed"}
    while True:
        more = {
            state
            for rule in (RULES[state] for state in reached & RULES.keys())
            for state in (rule.done, rule.refused, rule.failed)
        } | {WAITING[state] for state in reached & WAITING.keys()}
        if more <= reached:
            break
        reached |= more
    assert reached == known
