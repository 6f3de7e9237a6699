"""Two kept answers side by side, for a person: lines, and which of them differ.

JSON is compared as `body` compares it, by the same alignment and under the same rules; but where `body` gives every
kind of difference once, here every place that differs is marked. So members in another order are not, nor is what a
rule ignores or tolerates. Anything else, and what was cut, is compared by its lines.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from typing import Any, Final, NamedTuple

from strangler.compare.align import align, by_key
from strangler.compare.body import is_listed
from strangler.compare.difference import Incomparable
from strangler.compare.document import decode
from strangler.compare.lines import Line, Marks, TooDeep, json_lines, text_lines
from strangler.compare.machine import FREE, State
from strangler.compare.rules import Rules

_NUMBERS: Final = frozenset({int, float})
_Pairs = list[tuple[int, int]]


class Marked(NamedTuple):
    """Both answers as lines."""

    legacy: list[Line]
    extracted: list[Line]


def marked(legacy: str, extracted: str, rules: Rules, limit: int) -> Marked:
    """Two bodies as they are kept. One of `limit` characters was cut there, and nothing is known of its rest."""
    ours, theirs = _whole(legacy), _whole(extracted)
    if ours is not None and theirs is not None:
        with suppress(TooDeep, RecursionError):
            left, right = Marks(), Marks()
            _mark(ours, theirs, left, right, rules.body, rules.only)
            return Marked(json_lines(ours, left), json_lines(theirs, right))
    return _as_text(legacy, extracted, limit)


def _whole(body: str) -> Any:
    """The object or array that a body is; None for any other."""
    with suppress(Incomparable, UnicodeEncodeError):
        return decode((), body.encode()).value
    return None


# -- JSON -------------------------------------------------------------------------------------------------


def _mark(
    legacy: Any, extracted: Any, ours: Marks, theirs: Marks, state: State, listed: State | None
) -> None:
    """Mark what differs in and below two values. `listed` is the state of an allow-list that has not let them through
    yet."""
    if listed is not None and listed.ignored_by:  # a machine of an allow-list calls ignored what is on it
        listed = None
    if state.ignored_by or listed is FREE:
        return
    kind = type(legacy)
    if kind is type(extracted) and kind is dict:
        _mark_objects(legacy, extracted, ours, theirs, state, listed)
    elif kind is type(extracted) and kind is list:
        _mark_arrays(legacy, extracted, ours, theirs, state, listed)
    elif kind is not type(extracted) and not {kind, type(extracted)} <= _NUMBERS:
        _mark_alone(legacy, ours, listed)
        _mark_alone(extracted, theirs, listed)
    elif legacy != extracted and listed is None:
        tolerated = state.tolerance is not None and state.tolerance.allows(legacy, extracted)
        ours.here = theirs.here = not tolerated


def _mark_alone(value: Any, marks: Marks, listed: State | None) -> None:
    """Mark what the other side does not have, or has of another type."""
    if listed is None or is_listed(value, listed):
        marks.here = marks.whole = True


def _mark_objects(
    legacy: dict[str, Any],
    extracted: dict[str, Any],
    ours: Marks,
    theirs: Marks,
    state: State,
    listed: State | None,
) -> None:
    for name in legacy | extracted:
        below, on_list = state.member(name), listed and listed.member(name)
        if name in legacy and name in extracted:
            _mark(legacy[name], extracted[name], ours.at(name), theirs.at(name), below, on_list)
        elif not below.ignored_by:
            members, marks = (legacy, ours) if name in legacy else (extracted, theirs)
            _mark_alone(members[name], marks.at(name), on_list)


def _mark_arrays(
    legacy: list[Any], extracted: list[Any], ours: Marks, theirs: Marks, state: State, listed: State | None
) -> None:
    below, on_list = state.index, listed and listed.index
    if below.ignored_by or on_list is FREE:
        return
    found = _aligned(legacy, extracted, state)
    for i, j in found.pairs:
        _mark(legacy[i], extracted[j], ours.at(i), theirs.at(j), below, on_list)
    for i in found.missing:
        _mark_alone(legacy[i], ours.at(i), on_list)
    for j in found.added:
        _mark_alone(extracted[j], theirs.at(j), on_list)
    if found.moved and not state.unordered:
        for i, j in found.moved:
            ours.at(i).here = theirs.at(j).here = True
        ours.here = theirs.here = True
    if found.other_length:
        ours.here = theirs.here = True


class _Aligned(NamedTuple):
    """Places in two arrays: those that belong together and differ, those without a partner, and those in another
    order."""

    pairs: _Pairs
    missing: list[int]
    added: list[int]
    moved: _Pairs
    other_length: bool


def _aligned(legacy: list[Any], extracted: list[Any], state: State) -> _Aligned:
    left, right = list(range(len(legacy))), list(range(len(extracted)))
    pairs: _Pairs = []
    missing: list[int] = []
    added: list[int] = []
    moved: _Pairs = []
    if state.key:
        keyed = by_key(legacy, extracted, state.key)
        places = {id(value): place for values in (legacy, extracted) for place, value in enumerate(values)}
        pairs = [(places[id(one)], places[id(other)]) for one, other in keyed.pairs]
        missing, added = (
            [places[id(each)] for each in keyed.missing],
            [places[id(each)] for each in keyed.added],
        )
        moved = _out_of_order(pairs) if keyed.moved else []
        known = {i for i, _ in pairs} | set(missing)
        others = {j for _, j in pairs} | set(added)
        left, right = [i for i in left if i not in known], [j for j in right if j not in others]
    rest = align([legacy[i] for i in left], [extracted[j] for j in right], state.index, _freely)
    found = _sorted_numbers(rest.pairs, legacy, extracted, left, right) if state.unordered else rest.pairs
    together = [*rest.pairs, *rest.equal]
    moved += _out_of_order([(left[i], right[j]) for i, j in together]) if rest.moved else []
    missing += [left[i] for i in _alone(len(left), rest.start, rest.end, {i for i, _ in together})]
    added += [right[j] for j in _alone(len(right), rest.start, rest.end, {j for _, j in together})]
    return _Aligned(
        [*pairs, *((left[i], right[j]) for i, j in found)], missing, added, moved, len(left) != len(right)
    )


def _freely(_visits: int) -> None:
    """Kept bodies are short."""


def _alone(length: int, start: int, end: int, taken: set[int]) -> list[int]:
    return [place for place in range(start, length - end) if place not in taken]


def _sorted_numbers(
    pairs: _Pairs, legacy: list[Any], extracted: list[Any], left: list[int], right: list[int]
) -> _Pairs:
    """Without an order, numbers that are merely near each other belong together: as `body` takes them."""
    if not all(type(legacy[left[i]]) in _NUMBERS and type(extracted[right[j]]) in _NUMBERS for i, j in pairs):
        return pairs
    ours = sorted((i for i, _ in pairs), key=lambda i: legacy[left[i]])
    theirs = sorted((j for _, j in pairs), key=lambda j: extracted[right[j]])
    return list(zip(ours, theirs, strict=True))


def _out_of_order(pairs: _Pairs) -> _Pairs:
    """As few of the pairs as must be taken out for the rest to stand in one order on both sides: all but a longest
    rising row (Fredman 1975)."""
    ordered = sorted(pairs)
    ends: list[int] = []  # of the rising rows of each length, the lowest last place
    last: list[int] = []  # and which pair that is
    before: list[int] = []
    for number, (_, j) in enumerate(ordered):
        length = bisect_left(ends, j)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [j]
        last[length : length + 1] = [number]
    kept: set[int] = set()
    number = last[-1] if last else -1
    while number >= 0:
        kept.add(number)
        number = before[number]
    return [pair for number, pair in enumerate(ordered) if number not in kept]


# -- anything else ----------------------------------------------------------------------------------------


class _Side(NamedTuple):
    """The lines of one answer, what of them is compared, whether the end was cut off, and the lines that the other side
    has too."""

    lines: list[str]
    compared: list[str]
    cut: bool
    same: set[int]

    @property
    def tail(self) -> int:
        """The first line after which no line is known to be the other side's too."""
        return max(self.same, default=-1) + 1

    def is_stump(self, place: int) -> bool:
        """Whether a line may go on behind the cut."""
        return self.cut and place == len(self.lines) - 1


def _as_text(legacy: str, extracted: str, limit: int) -> Marked:
    left = _Side(*text_lines(legacy), len(legacy) >= limit, set())
    right = _Side(*text_lines(extracted), len(extracted) >= limit, set())
    found = align(left.compared, right.compared, FREE, _freely)
    for side, places in ((left, [i for i, _ in found.equal]), (right, [j for _, j in found.equal])):
        count = len(side.lines)
        side.same.update(range(found.start), places, range(count - found.end, count))
    return Marked(_marked_lines(left, right, limit), _marked_lines(right, left, limit))


def _marked_lines(side: _Side, other: _Side, limit: int) -> list[Line]:
    lines = [Line(text, "", _differs(place, side, other)) for place, text in enumerate(side.lines)]
    return [*lines, Line(f"… only the first {limit} characters are kept", "", False)] if side.cut else lines


def _differs(place: int, side: _Side, other: _Side) -> bool:
    """Whether a line is known to differ: not where its like may stand behind the other side's cut."""
    if place in side.same or place < side.tail:
        return place not in side.same
    opposite = place - side.tail + other.tail
    if opposite >= len(other.lines):
        return not other.cut
    text, like = side.compared[place], other.compared[opposite]
    cut, other_cut = side.is_stump(place), other.is_stump(opposite)
    if cut and other_cut:
        return not (text.startswith(like) or like.startswith(text))
    if cut or other_cut:  # says nothing beside a whole line, unless nothing else is there to go by
        stump, whole = (text, like) if cut else (like, text)
        return not side.same and not whole.startswith(stump)
    return True
