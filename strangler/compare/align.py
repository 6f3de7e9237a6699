"""Which element of one array belongs to which element of the other.

Equal elements belong together wherever they stand. Of the rest, objects are paired by a member that
identifies them on both sides (an id, a sku: found, not configured), and what is left in the order it came.
All of it is linear in the size of the arrays.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from strangler.compare.difference import Kind
from strangler.compare.machine import FREE, State

Spend = Callable[[int], None]
_Pairs = list[tuple[int, int]]

_encode: Final = msgspec.json.Encoder().encode

#: How many members are tried as an identity.
_CANDIDATES: Final = 32

# Python takes True for 1 and False for 0; JSON does not.
_TRUE: Final = object()
_FALSE: Final = object()
_OBJECT: Final = object()

#: What is its own canonical form.
_PLAIN: Final = frozenset({str, int, float, type(None)})


class Alignment(NamedTuple):
    """Places in both arrays. `pairs` belong together and differ inside, `equal` do not differ. `moved`: what belongs
    together stands in another order. `start` and `end` are how many elements both arrays begin and end with."""

    pairs: _Pairs
    equal: _Pairs
    moved: bool
    start: int
    end: int


def same(legacy: Any, extracted: Any, state: State, spend: Spend) -> bool:
    """Whether two values are equal in all that is not ignored. 1 and 1.0 are; true and 1 are not.

    `spend` is told of every visit, before it is made.
    """
    kind = type(legacy)
    if kind is not type(extracted):
        return {kind, type(extracted)} == {int, float} and bool(legacy == extracted)
    # The interpreter takes too much for equal (true for 1), but never too little.
    alike = legacy == extracted
    if (kind is not dict and kind is not list) or (state is FREE and not alike):
        return bool(alike)
    if alike and written_alike(legacy, extracted):
        return True
    if kind is dict:
        return _same_objects(legacy, extracted, state, spend)
    return _same_arrays(legacy, extracted, state, spend)


def _same_arrays(legacy: list[Any], extracted: list[Any], state: State, spend: Spend) -> bool:
    below = state.index
    if below.ignored_by:
        return True
    spend(len(legacy))
    return len(legacy) == len(extracted) and all(
        same(left, right, below, spend) for left, right in zip(legacy, extracted, strict=True)
    )


def written_alike(legacy: Any, extracted: Any) -> bool:
    """Whether two values are the same text: then they are equal, and it is much quicker than looking inside.

    False says nothing: members may stand in another order.
    """
    try:
        return bool(_encode(legacy) == _encode(extracted))
    except (ValueError, OverflowError, RecursionError):  # a lone surrogate, a number beyond 64 bits
        return False


def _same_objects(legacy: dict[str, Any], extracted: dict[str, Any], state: State, spend: Spend) -> bool:
    spend(len(legacy))
    named, other = state.named, state.other
    common = 0
    for name, left in legacy.items():
        below = named.get(name, other)
        if below.ignored_by:
            continue
        common += 1
        right = extracted.get(name, _OBJECT)
        if left is right or (type(left) is str and left == right):  # most leaves end here
            continue
        if right is _OBJECT or not same(left, right, below, spend):
            return False
    return common == len(extracted) or common == _visible(extracted, state)


def _visible(members: dict[str, Any], state: State) -> int:
    """How many members are not ignored."""
    return sum(not state.member(name).ignored_by for name in members)


def canonical(value: Any, state: State, spend: Spend) -> Hashable:
    """A hashable that two values share exactly when `same` holds. `spend` is told of every visit."""
    kind = type(value)
    if kind is dict:
        spend(len(value))
        named, other = state.named, state.other
        members: list[tuple[str, Hashable]] = []
        for name, child in value.items():
            below = named.get(name, other)
            if not below.ignored_by:
                leaf = type(child) in _PLAIN
                members.append((name, child if leaf else canonical(child, below, spend)))
        return (_OBJECT, frozenset(members))
    if kind is list:
        below = state.index
        spend(len(value))
        return () if below.ignored_by else tuple([canonical(child, below, spend) for child in value])
    if kind is bool:
        return _TRUE if value else _FALSE
    return value  # type: ignore[no-any-return]


def align(legacy: list[Any], extracted: list[Any], state: State, spend: Spend) -> Alignment:
    """Align two arrays. `state` is the one of their elements, and not ignored."""
    start, end = _common_ends(legacy, extracted, state, spend)
    legacy, extracted = legacy[start : len(legacy) - end], extracted[start : len(extracted) - end]
    if not legacy or not extracted:
        return Alignment([], [], False, start, end)
    if len(legacy) == len(extracted) == 1:
        return Alignment([(start, start)], [], False, start, end)
    ours = [canonical(value, state, spend) for value in legacy]
    theirs = [canonical(value, state, spend) for value in extracted]
    equal = _equal_pairs(ours, theirs)
    left = _others(len(ours), (i for i, _ in equal))
    right = _others(len(theirs), (j for _, j in equal))
    if not left and not right:
        return Alignment([], _shifted(equal, start), True, start, end)
    keyed = _keyed_pairs(legacy, extracted, left, right, state)
    # Of equal twins nobody can say which one moved, so only elements that are one of a kind, and structured
    # (the same number twice in two lists is often chance), show a change of order when other things differ.
    telling = [(i, j) for i, j in equal if isinstance(legacy[i], dict | list)]
    once = _without_twins(telling, ours, theirs) + keyed
    moved = any(after[1] < before[1] for before, after in pairwise(sorted(once)))
    paired_left, paired_right = {i for i, _ in keyed}, {j for _, j in keyed}
    rest = zip(
        (i for i in left if i not in paired_left), (j for j in right if j not in paired_right), strict=False
    )
    pairs = sorted([*keyed, *rest])
    return Alignment(_shifted(pairs, start), _shifted(equal, start), moved, start, end)


class Keyed(NamedTuple):
    """Two arrays by a member that identifies their elements. `legacy` and `extracted` are the elements without
    it, in their order; `missing` and `added` stand on one side only."""

    pairs: list[tuple[Any, Any]]
    missing: list[Any]
    added: list[Any]
    legacy: list[Any]
    extracted: list[Any]
    moved: bool

    def alone(self, absent: object) -> Iterator[tuple[Kind, Any, Any]]:
        """The differences that elements on one side only are."""
        yield from (("missing", value, absent) for value in self.missing)
        yield from (("added", absent, value) for value in self.added)


def by_key(legacy: list[Any], extracted: list[Any], member: str) -> Keyed:
    """Align by the value of `member`. Elements that share one are told apart by their order."""
    ours, rest = _by_identity(legacy, member)
    theirs, other_rest = _by_identity(extracted, member)
    common = [identity for identity in ours if identity in theirs]
    places = {identity: place for place, identity in enumerate(theirs)}
    order = [places[identity] for identity in common]
    return Keyed(
        pairs=[(ours[identity], theirs[identity]) for identity in common],
        missing=[value for identity, value in ours.items() if identity not in theirs],
        added=[value for identity, value in theirs.items() if identity not in ours],
        legacy=rest,
        extracted=other_rest,
        moved=any(after < before for before, after in pairwise(order)),
    )


def _by_identity(elements: list[Any], member: str) -> tuple[dict[tuple[str, int], Any], list[Any]]:
    """Identity and how often it came before -> element; and the elements that have none."""
    found: dict[tuple[str, int], Any] = {}
    seen: Counter[str] = Counter()
    rest: list[Any] = []
    for value in elements:
        identity = value.get(member) if isinstance(value, dict) else None
        if isinstance(identity, str | int | float) and not isinstance(identity, bool):
            name = str(identity)
            found[name, seen[name]] = value
            seen[name] += 1
        else:
            rest.append(value)
    return found, rest


def _common_ends(legacy: list[Any], extracted: list[Any], state: State, spend: Spend) -> tuple[int, int]:
    # Most arrays are equal or differ in one place, and this is the cheap way to see it.
    shorter = min(len(legacy), len(extracted))
    start = 0
    while start < shorter and same(legacy[start], extracted[start], state, spend):
        start += 1
    end = 0
    while end < shorter - start and same(legacy[-1 - end], extracted[-1 - end], state, spend):
        end += 1
    return start, end


def _shifted(pairs: _Pairs, by: int) -> _Pairs:
    return [(i + by, j + by) for i, j in pairs] if by else pairs


def _equal_pairs(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> _Pairs:
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for place, value in enumerate(theirs):
        places[value].append(place)
    return [(i, places[value].popleft()) for i, value in enumerate(ours) if places.get(value)]


def _others(length: int, taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [place for place in range(length) if place not in gone]


def _without_twins(pairs: _Pairs, ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> _Pairs:
    if not pairs:
        return []
    mine, other = Counter(ours), Counter(theirs)
    return [(i, j) for i, j in pairs if mine[ours[i]] == 1 and other[theirs[j]] == 1]


def _keyed_pairs(
    legacy: list[Any], extracted: list[Any], left: list[int], right: list[int], state: State
) -> _Pairs:
    """Pairs of objects that carry the same identity, under the member that identifies the most of them."""
    mine = [(i, legacy[i]) for i in left]
    other = [(j, extracted[j]) for j in right]
    if not mine or not other or not all(isinstance(value, dict) for _, value in mine + other):
        return []
    best: _Pairs = []
    names = (name for name in mine[0][1] if name in other[0][1] and not state.member(name).ignored_by)
    for name in sorted(names, key=_likeliest)[:_CANDIDATES]:
        ours, theirs = _identities(mine, name), _identities(other, name)
        common = [(place, theirs[key]) for key, place in ours.items() if key in theirs]
        # Fewer than half may be a coincidence of values and not an identity.
        if 2 * len(common) >= min(len(mine), len(other)) and len(common) > len(best):
            best = common
    return best


def _likeliest(name: str) -> tuple[bool, str]:
    # Decides between members that identify equally many; the same whichever side is called legacy.
    return not name.lower().endswith("id"), name


def _identities(elements: list[tuple[int, dict[str, Any]]], name: str) -> dict[str, int]:
    """Identity -> place; empty when the member does not tell every element from every other.

    Numbers and strings are one here: an id that turned from 7 into "7" still names the same thing.
    """
    places: dict[str, int] = {}
    for place, value in elements:
        identity = value.get(name)
        if isinstance(identity, bool) or not isinstance(identity, str | int):
            return {}
        places[str(identity)] = place
    return places if len(places) == len(elements) else {}
