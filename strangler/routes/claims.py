"""Routes that could claim the same request with equal right. A table with such a pair is refused.

Only routes of one shape can tie: the same host, and at every place the same literal or the same kind of parameter.
Within a shape only routes with the same right to a request are compared, and those with the same conditions meet in
a dictionary, so ten thousand tenants told apart by a header cost ten thousand look-ups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

from strangler.routes.model import Match, Route, Segment
from strangler.routes.regex import disjoint

#: Beyond this many comparisons in one shape, routes that cannot be told apart cheaply count as equal.
_MOST_COMPARISONS = 20_000

Shape = tuple[str | None, tuple[tuple[str, str], ...], bool]


def shape(match: Match) -> Shape:
    """What two matches must have in common before they can tie."""
    return match.host, tuple(_kind(segment) for segment in match.path.segments), match.path.rest


def _kind(segment: Segment) -> tuple[str, str]:
    if segment.literal is not None:
        return "literal", segment.literal
    return ("regex", "") if segment.regex is not None else ("parameter", "")


def equal_claims(routes: Iterable[Route]) -> list[tuple[Route, Route]]:
    """Pairs of routes with equal right to some request, the earlier first: at least one pair for each culprit."""
    shapes: dict[Shape, list[Route]] = defaultdict(list)
    for route in routes:
        shapes[shape(route.match)].append(route)
    return [pair for alike in shapes.values() if len(alike) > 1 for pair in _ties(alike)]


class _Group:
    """Routes of one shape with the same methods and the same names of conditions, by the values they ask for."""

    def __init__(self, match: Match) -> None:
        self.methods = match.methods
        self.names = _names(match)
        self.count = (len(match.headers), len(match.query))
        self.routes: list[Route] = []

    def project(self, names: frozenset[tuple[str, str]]) -> dict[tuple[str, ...], list[Route]]:
        """The routes by their values for some of the names."""
        found: dict[tuple[str, ...], list[Route]] = defaultdict(list)
        for route in self.routes:
            values = _conditions(route.match)
            found[tuple(values[name] for name in sorted(names))].append(route)
        return found


def _conditions(match: Match) -> dict[tuple[str, str], str]:
    headers = {("header", name): value for name, value in match.headers}
    return headers | {("query", name): value for name, value in match.query}


def _names(match: Match) -> frozenset[tuple[str, str]]:
    return frozenset(_conditions(match))


def _ties(alike: list[Route]) -> Iterator[tuple[Route, Route]]:
    groups: dict[object, _Group] = {}
    for route in alike:
        match = route.match
        groups.setdefault((match.methods, _names(match)), _Group(match)).routes.append(route)
    budget = _Budget()
    for group in groups.values():
        for same in group.project(group.names).values():
            yield from _overlaps(same, budget)
    for one, other in combinations(groups.values(), 2):
        if _equal_right(one, other):
            yield from _shared(one, other, budget)


def _equal_right(one: _Group, other: _Group) -> bool:
    """Methods decide first: some of them beat more of them. Where neither holds the other, nothing decides.

    To let the conditions decide there would make the order go round in circles.
    """
    if one.methods == other.methods:
        return one.count == other.count
    if one.methods is None or other.methods is None:
        return False
    return bool(one.methods & other.methods) and not (
        one.methods < other.methods or other.methods < one.methods
    )


class _Budget:
    """Counts comparisons down. When it is spent, the answer is the careful one."""

    def __init__(self) -> None:
        self.left = _MOST_COMPARISONS

    def overlap(self, one: Route, other: Route) -> bool:
        """Whether the paths of two routes of one shape can match the same path, as far as anybody knows."""
        self.left -= 1
        if self.left < 0:
            return True
        pairs = zip(one.match.path.segments, other.match.path.segments, strict=True)
        return not any(
            a.regex and b.regex and a.regex != b.regex and disjoint(a.regex, b.regex) for a, b in pairs
        )


def _overlaps(same: list[Route], budget: _Budget) -> Iterator[tuple[Route, Route]]:
    for index, route in enumerate(same):
        for earlier in same[:index]:
            if budget.overlap(earlier, route):
                yield earlier, route
                break


def _shared(one: _Group, other: _Group, budget: _Budget) -> Iterator[tuple[Route, Route]]:
    names = one.names & other.names
    theirs = other.project(names)
    for values, mine in one.project(names).items():
        for a in mine:
            for b in theirs.get(values, ()):
                if budget.overlap(a, b):
                    yield (a, b) if a.line <= b.line else (b, a)
                    break
