"""The saga of an order: what to do next, decided from what its log says. Pure.

With stock or payments elsewhere there is no one transaction any more. An order is then placed in steps: reserve,
charge, confirm. When one of them is refused or fails, the steps before it are undone in reverse: refund, release.
A step that has failed is undone too, for whether it was carried out is not known.

The log has an entry before every step (`begun`) and one after it (`done`, `refused` or `failed`). `RULES` is the
whole machine: in a state, its step is carried out, and how that ends gives the next state. A compensation that
fails waits for a person, in one of the states of `WAITING`; `again` in the log is that person's word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Step = Literal["reserve", "charge", "confirm", "refund", "release"]
Phase = Literal["begun", "done", "refused", "failed", "again"]
State = Literal[
    "placed",
    "reserved",
    "charged",
    "confirmed",
    "refunding",
    "releasing",
    "cancelled",
    "releasing-owing",
    "refunding-last",
    "owing",
    "holding",
    "owing-and-holding",
]

FORWARD: frozenset[Step] = frozenset({"reserve", "charge", "confirm"})


@dataclass(frozen=True, slots=True)
class Rule:
    """The step of a state, and the state that each end of it leads to."""

    step: Step
    done: State
    refused: State
    failed: State


RULES: Mapping[State, Rule] = {
    "placed": Rule("reserve", done="reserved", refused="cancelled", failed="releasing"),
    "reserved": Rule("charge", done="charged", refused="releasing", failed="refunding"),
    "charged": Rule("confirm", done="confirmed", refused="refunding", failed="refunding"),
    "refunding": Rule("refund", done="releasing", refused="releasing-owing", failed="releasing-owing"),
    "releasing": Rule("release", done="cancelled", refused="holding", failed="holding"),
    "releasing-owing": Rule("release", done="owing", refused="owing-and-holding", failed="owing-and-holding"),
    "refunding-last": Rule("refund", done="cancelled", refused="owing", failed="owing"),
}
#: What waits for a person, and where it goes on when the person says so.
WAITING: Mapping[State, State] = {
    "owing": "refunding-last",
    "holding": "releasing",
    "owing-and-holding": "refunding",
}
#: Where the charge is still to come, or under way: only there is the card needed.
UNCHARGED: frozenset[State] = frozenset({"placed", "reserved"})
ENDS: frozenset[State] = frozenset({"confirmed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log of an order; the lines are numbered from 1."""

    number: int
    step: Step
    phase: Phase


@dataclass(frozen=True, slots=True)
class Begin:
    """Write `begun` for this step, and carry it out."""

    step: Step
    round: int  # 1, or more when a person had it done again


@dataclass(frozen=True, slots=True)
class GoOn:
    """Carry out, perhaps once more, the step that the entry of this number has begun."""

    step: Step
    entry: int


@dataclass(frozen=True, slots=True)
class Rest:
    """There is nothing to do: the order has come to an end, or waits for a person."""

    state: State


class ImpossibleLog(Exception):
    """Entries that no saga can have written, in this order."""


def state_of(log: Sequence[Entry]) -> State:
    """Say how far the saga has come by its log."""
    return _read(log)[0]


def decide(log: Sequence[Entry]) -> Begin | GoOn | Rest:
    """Say what is to be done next. Raises ImpossibleLog."""
    state, begun = _read(log)
    if state not in RULES:
        return Rest(state)
    step = RULES[state].step
    if begun is not None:
        return GoOn(step, begun)
    earlier = sum(entry.step == step and entry.phase == "begun" for entry in log)
    return Begin(step, earlier + 1)


def _read(log: Sequence[Entry]) -> tuple[State, int | None]:
    """The state, and the number of the entry that has begun its step, if one has."""
    state: State = "placed"
    begun: int | None = None
    for entry in log:
        rule = RULES.get(state)
        match entry.phase:
            case "again" if state in WAITING:
                state = WAITING[state]
            case "begun" if rule is not None and begun is None and entry.step == rule.step:
                begun = entry.number
            case "done" | "refused" | "failed" if rule is not None and begun and entry.step == rule.step:
                state = {"done": rule.done, "refused": rule.refused, "failed": rule.failed}[entry.phase]
                begun = None
            case _:
                raise ImpossibleLog(f"{entry.step} {entry.phase} cannot come after {state}")
    return state, begun
