"""All paths of a route's rules as one deterministic machine that walks beside the body.

So walking a body costs the same with one rule as with a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from strangler.compare.tolerance import Tolerance

#: What a rule does at the places it names. `ignore` and `tolerance` also cover everything below.
PathKind = Literal["ignore", "unordered", "keyed", "tolerance"]

_STATES_LIMIT: Final = 2_000


class Step(NamedTuple):
    """One step of a path: into the member `name`, or (None) into any child; `anywhere`: at any depth."""

    name: str | None
    anywhere: bool = False


class PathRule(NamedTuple):
    """A rule on a path. `text` is how a report names it; `key` is of `keyed`, `tolerance` of `tolerance`."""

    kind: PathKind
    steps: tuple[Step, ...]
    text: str
    key: str = ""
    tolerance: Tolerance | None = None


class TooManyStates(ValueError):
    """The paths together are too many for one machine."""


class State:
    """Where the machine stands at one place of a body.

    `ignored_by` names the rules that keep this place, and all below it, from being compared. `unordered` and
    `keyed` name the rule that speaks of the array at this place. `tolerance` holds for the value here.
    """

    __slots__ = ("ignored_by", "index", "key", "keyed", "named", "other", "tolerance", "unordered")

    def __init__(self) -> None:
        self.named: Mapping[str, State] = {}
        self.other: State = self
        self.index: State = self
        self.ignored_by: tuple[str, ...] = ()
        self.unordered = ""
        self.keyed = ""
        self.key = ""
        self.tolerance: Tolerance | None = None

    def member(self, name: str) -> State:
        """The state at the member of that name."""
        return self.named.get(name, self.other)


#: No rule says anything here or below.
FREE: Final = State()

_Positions = frozenset[tuple[int, int]]


def machine(rules: Sequence[PathRule]) -> State:
    """The state at the root. Raises TooManyStates."""
    names = sorted({step.name for rule in rules for step in rule.steps if step.name is not None})
    start = _settled(rules, ((number, 0) for number in range(len(rules))))
    states: dict[_Positions, State] = {frozenset(): FREE}
    waiting: list[_Positions] = []

    def state_at(positions: _Positions) -> State:
        if positions not in states:
            if len(states) >= _STATES_LIMIT:
                raise TooManyStates("these paths together are too many for one route")
            states[positions] = _state(rules, positions)
            waiting.append(positions)
        return states[positions]

    root = state_at(start)
    while waiting:
        _link(rules, waiting.pop(), states, state_at, names)
    return root


def _link(
    rules: Sequence[PathRule],
    positions: _Positions,
    states: Mapping[_Positions, State],
    state_at: Callable[[_Positions], State],
    names: Sequence[str],
) -> None:
    state = states[positions]
    if state.ignored_by:
        return  # covers everything below: it leads to itself
    state.index = state.other = state_at(_after(rules, positions, None))
    targets = ((name, state_at(_after(rules, positions, name))) for name in names)
    state.named = {name: target for name, target in targets if target is not state.other}


def _after(rules: Sequence[PathRule], positions: _Positions, name: str | None) -> _Positions:
    """The positions after one step into the member `name` (None: an element, or a name that no rule has)."""
    reached: set[tuple[int, int]] = set()
    for number, taken in positions:
        rule = rules[number]
        if taken == len(rule.steps):
            if rule.kind == "tolerance":
                reached.add((number, taken))
            continue
        step = rule.steps[taken]
        if step.anywhere:
            reached.add((number, taken))
        if step.name is None or step.name == name:
            reached.add((number, taken + 1))
    return _settled(rules, reached)


def _settled(rules: Sequence[PathRule], positions: Iterable[tuple[int, int]]) -> _Positions:
    """Where something is ignored nothing else matters, and all such places are one."""
    found = frozenset(positions)
    ignored = frozenset(
        (number, taken)
        for number, taken in found
        if rules[number].kind == "ignore" and taken == len(rules[number].steps)
    )
    return ignored or found


def _state(rules: Sequence[PathRule], positions: _Positions) -> State:
    state = State()
    done = sorted(number for number, taken in positions if taken == len(rules[number].steps))
    state.ignored_by = tuple(rules[number].text for number in done if rules[number].kind == "ignore")
    for number in sorted(done, key=lambda number: len(rules[number].steps)):  # the longest path speaks last
        rule = rules[number]
        if rule.kind == "unordered":
            state.unordered = rule.text
        elif rule.kind == "keyed":
            state.keyed, state.key = rule.text, rule.key
        elif rule.kind == "tolerance":
            state.tolerance = rule.tolerance
    return state
