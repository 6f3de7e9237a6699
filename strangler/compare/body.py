"""Two JSON bodies side by side, field by field, with every index collapsed to `[*]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from strangler.compare.align import align, by_key, written_alike
from strangler.compare.difference import Difference, Incomparable, Kind
from strangler.compare.document import NODE_LIMIT
from strangler.compare.drift import Drift, drift, wider
from strangler.compare.machine import State
from strangler.compare.path import Trail
from strangler.compare.redact import Redactor
from strangler.compare.rules import Rules

#: How many kinds of difference one pair of bodies may show. The walk ends at the last of them.
DIFFERENCE_LIMIT: Final = 200
#: Visits between two looks at the clock.
_LOOK_AFTER: Final = 500

_ABSENT: Final = object()
_CLASSES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    object: "absent",
}
_NUMBERS: Final = frozenset({int, float})


class _Enough(Exception):
    """The limit of differences, of visits or of time has been reached."""


def json_differences(
    legacy: Any,
    extracted: Any,
    rules: Rules,
    redactor: Redactor,
    overdue: Callable[[], bool],
    *,
    booleans: bool = True,
) -> tuple[list[Difference], set[str]]:
    """Every kind of difference once, in the order of the legacy body, with the first example of each; and the
    rules that had something to do. `booleans` False says that neither body has any: then nothing is taken for equal
    that is not, and much need not be looked at twice.

    Raises Incomparable("too_complex") when the budget is spent before a difference has been seen. Once one
    has, the pair is a mismatch whatever else is in it, and what was found is returned.
    """
    walk = _Walk(redactor, overdue, booleans)
    try:
        if rules.only is not None:
            legacy, extracted = (_pruned(each, rules.only, walk.used) for each in (legacy, extracted))
        walk.start(legacy, extracted, rules.body)
    except (_Enough, RecursionError) as stop:
        if not walk.found:
            raise Incomparable("too_complex") from stop
    return walk.differences(), walk.used


def is_listed(value: Any, listed: State) -> bool:
    """Whether an allow-list lets anything of a value through."""
    return _pruned(value, listed, set()) is not _ABSENT


def _pruned(value: Any, listed: State, used: set[str]) -> Any:
    """What an allow-list lets through: what it names, and the way there; _ABSENT where there is nothing."""
    if listed.ignored_by:  # a machine of an allow-list calls ignored what is on it
        used.update(listed.ignored_by)
        return value
    if isinstance(value, dict):
        members = {name: _pruned(child, listed.member(name), used) for name, child in value.items()}
        return {name: child for name, child in members.items() if child is not _ABSENT} or _ABSENT
    if isinstance(value, list):
        elements = [_pruned(child, listed.index, used) for child in value]
        return [child for child in elements if child is not _ABSENT] or _ABSENT
    return _ABSENT


class _Walk:
    __slots__ = ("booleans", "budget", "drifts", "found", "next_look", "overdue", "redactor", "used")

    def __init__(self, redactor: Redactor, overdue: Callable[[], bool], booleans: bool) -> None:
        self.booleans = booleans
        self.redactor = redactor
        self.overdue = overdue
        self.found: dict[tuple[Trail, Kind, str, str], Difference] = {}
        self.drifts: dict[tuple[Trail, Kind, str, str], Drift | None] = {}
        self.used: set[str] = set()
        self.budget = 2 * NODE_LIMIT
        self.next_look = self.budget - _LOOK_AFTER

    def start(self, legacy: Any, extracted: Any, state: State) -> None:
        if legacy is _ABSENT or extracted is _ABSENT:
            if legacy is not extracted:
                self.add("missing" if extracted is _ABSENT else "added", None, legacy, extracted)
            return
        if legacy != extracted or (self.booleans and not written_alike(legacy, extracted)):
            self.value(legacy, extracted, None, state)

    def differences(self) -> list[Difference]:
        return [
            replace(one, drift=self.drifts[key]) if key in self.drifts else one
            for key, one in self.found.items()
        ]

    def value(self, legacy: Any, extracted: Any, trail: Trail, state: State) -> None:
        kind = type(legacy)
        if kind is not type(extracted):
            if kind not in _NUMBERS or type(extracted) not in _NUMBERS:
                self.add("type", trail, legacy, extracted)
            elif legacy != extracted:
                self.scalar(legacy, extracted, trail, state)
        elif kind is dict:
            self.objects(legacy, extracted, trail, state)
        elif kind is list:
            self.arrays(legacy, extracted, trail, state)
        elif legacy != extracted:
            self.scalar(legacy, extracted, trail, state)

    def scalar(self, legacy: Any, extracted: Any, trail: Trail, state: State) -> None:
        tolerance = state.tolerance
        if tolerance is not None and tolerance.allows(legacy, extracted):
            self.used.add(tolerance.text)
        else:
            self.add("value", trail, legacy, extracted)

    def objects(self, legacy: dict[str, Any], extracted: dict[str, Any], trail: Trail, state: State) -> None:
        self.spend(len(legacy) + len(extracted))
        named, other, booleans = state.named, state.other, self.booleans
        common = 0
        for name, left in legacy.items():
            below = named.get(name, other)
            right = extracted.get(name, _ABSENT)
            if right is _ABSENT:
                if below.ignored_by:
                    self.used.update(below.ignored_by)
                else:
                    self.add("missing", (trail, name), left, _ABSENT)
                continue
            common += 1
            # The first tests are only for speed: most members are equal.
            if left is right or (
                left == right and (not booleans or type(left) is str or written_alike(left, right))
            ):
                continue
            if below.ignored_by:
                self.ignored(below, left, right)
            else:
                self.value(left, right, (trail, name), below)
        if common < len(extracted):
            for name, right in extracted.items():
                if name not in legacy:
                    below = named.get(name, other)
                    if below.ignored_by:
                        self.used.update(below.ignored_by)
                    else:
                        self.add("added", (trail, name), _ABSENT, right)

    def ignored(self, state: State, legacy: Any, extracted: Any) -> None:
        """Note whether there was anything to ignore."""
        if legacy != extracted:
            self.used.update(state.ignored_by)

    def arrays(self, legacy: list[Any], extracted: list[Any], trail: Trail, state: State) -> None:
        below = state.index
        if below.ignored_by:
            self.ignored(below, legacy, extracted)
            return
        self.spend(len(legacy) + len(extracted))
        moved = False
        if state.key:
            keyed = by_key(legacy, extracted, state.key)
            if len(keyed.legacy) < len(legacy) or len(keyed.extracted) < len(extracted):
                self.used.add(state.keyed)
            for kind, left, right in keyed.alone(_ABSENT):
                self.add(kind, (trail, None), left, right)
            for left, right in keyed.pairs:
                self.value(left, right, (trail, None), below)
            legacy, extracted, moved = keyed.legacy, keyed.extracted, keyed.moved
        if len(legacy) != len(extracted):
            self.add("length", trail, legacy, extracted)
        alignment = align(legacy, extracted, below, self.spend)
        if alignment.moved or moved:
            if state.unordered:
                self.used.add(state.unordered)
            else:
                self.add("order", trail, legacy, extracted)
        pairs = [(legacy[i], extracted[j]) for i, j in alignment.pairs]
        if state.unordered and all(type(side) in _NUMBERS for pair in pairs for side in pair):
            # Without an order, numbers that are merely near each other belong together.
            pairs = list(zip(*(sorted(side) for side in zip(*pairs, strict=True)), strict=True))
        for left, right in pairs:
            self.value(left, right, (trail, None), below)

    def add(self, kind: Kind, trail: Trail, legacy: Any, extracted: Any) -> None:
        key = (trail, kind, _CLASSES[type(legacy)], _CLASSES[type(extracted)])
        seen = drift(legacy, extracted) if kind == "value" else None
        if key in self.found:
            before = self.drifts.get(key, self.found[key].drift)
            if before is not None and before != seen:
                self.drifts[key] = wider(before, seen)
            return
        self.found[key] = Difference(
            where="body",
            path=self.redactor.path(trail),
            kind=kind,
            legacy=key[2],
            extracted=key[3],
            legacy_value=self.show(kind, trail, legacy),
            extracted_value=self.show(kind, trail, extracted),
            drift=seen,
        )
        if len(self.found) >= DIFFERENCE_LIMIT:
            raise _Enough

    def show(self, kind: Kind, trail: Trail, value: Any) -> str:
        if value is _ABSENT:
            return ""
        return _length(value) if kind == "length" else self.redactor.member(value, trail)

    def spend(self, visits: int) -> None:
        self.budget -= visits
        if self.budget < self.next_look:
            self.next_look = self.budget - _LOOK_AFTER
            if self.budget < 0 or self.overdue():
                raise _Enough


def _length(value: list[Any]) -> str:
    return f"{len(value)} elements" if len(value) != 1 else "1 element"
