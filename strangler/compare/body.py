"""Two JSON bodies side by side, field by field, with every index collapsed to `[*]`."""

from __future__ import annotations

from typing import Any, Final

from strangler.compare.align import align
from strangler.compare.difference import Difference, Incomparable, Kind
from strangler.compare.document import NODE_LIMIT
from strangler.compare.path import Trail, render
from strangler.compare.redact import Redactor
from strangler.compare.rules import IGNORED, State

#: How many kinds of difference one pair of bodies may show. The walk ends at the last of them.
DIFFERENCE_LIMIT: Final = 200

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
    """The limit of differences, or of visits once a difference is known, has been reached."""


def json_differences(legacy: Any, extracted: Any, state: State, redactor: Redactor) -> tuple[Difference, ...]:
    """Every kind of difference once, in the order of the legacy body, with the first example of each.

    Raises Incomparable("too_complex") when the budget is spent before a difference has been seen. Once one
    has, the pair is a mismatch whatever else is in it, and what was found is returned.
    """
    if state is IGNORED:
        return ()
    walk = _Walk(redactor)
    try:
        walk.value(legacy, extracted, None, state)
    except (_Enough, RecursionError) as stop:
        if not walk.found:
            raise Incomparable("too_complex") from stop
    return tuple(walk.found.values())


class _Walk:
    __slots__ = ("budget", "found", "redactor")

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.found: dict[tuple[Trail, Kind, str, str], Difference] = {}
        self.budget = 2 * NODE_LIMIT

    def value(self, legacy: Any, extracted: Any, trail: Trail, state: State) -> None:
        kind = type(legacy)
        if kind is not type(extracted):
            if kind in _NUMBERS and type(extracted) in _NUMBERS:
                if legacy != extracted:
                    self.add("value", trail, legacy, extracted)
            else:
                self.add("type", trail, legacy, extracted)
        elif kind is dict:
            self.objects(legacy, extracted, trail, state)
        elif kind is list:
            self.arrays(legacy, extracted, trail, state)
        elif legacy != extracted:
            self.add("value", trail, legacy, extracted)

    def objects(self, legacy: dict[str, Any], extracted: dict[str, Any], trail: Trail, state: State) -> None:
        self.spend(len(legacy) + len(extracted))
        named, other = state.named, state.other
        common = 0
        for name, left in legacy.items():
            below = named.get(name, other)
            right = extracted.get(name, _ABSENT)
            if right is _ABSENT:
                if below is not IGNORED:
                    self.add("missing", (trail, name), left, _ABSENT)
                continue
            common += 1
            # The first test is only for speed: most leaves are equal strings, numbers and constants.
            if left is right or below is IGNORED or (type(left) is str and left == right):
                continue
            self.value(left, right, (trail, name), below)
        if common < len(extracted):
            for name, right in extracted.items():
                if name not in legacy and named.get(name, other) is not IGNORED:
                    self.add("added", (trail, name), _ABSENT, right)

    def arrays(self, legacy: list[Any], extracted: list[Any], trail: Trail, state: State) -> None:
        below = state.index
        if below is IGNORED:
            return
        self.spend(len(legacy) + len(extracted))
        if len(legacy) != len(extracted):
            self.add("length", trail, legacy, extracted)
        alignment = align(legacy, extracted, below, self.spend)
        if alignment.moved:
            self.add("order", trail, legacy, extracted)
        for left, right in alignment.pairs:
            self.value(left, right, (trail, None), below)

    def add(self, kind: Kind, trail: Trail, legacy: Any, extracted: Any) -> None:
        key = (trail, kind, _CLASSES[type(legacy)], _CLASSES[type(extracted)])
        if key in self.found:
            return
        self.found[key] = Difference(
            where="body",
            path=self.redactor.text(render(trail)),
            kind=kind,
            legacy=key[2],
            extracted=key[3],
            legacy_value=self.show(kind, trail, legacy),
            extracted_value=self.show(kind, trail, extracted),
        )
        if len(self.found) >= DIFFERENCE_LIMIT:
            raise _Enough

    def show(self, kind: Kind, trail: Trail, value: Any) -> str:
        if value is _ABSENT:
            return ""
        return _length(value) if kind == "length" else self.redactor.member(value, trail)

    def spend(self, visits: int) -> None:
        self.budget -= visits
        if self.budget < 0:
            raise _Enough


def _length(value: list[Any]) -> str:
    return f"{len(value)} elements" if len(value) != 1 else "1 element"
