"""The rules under `compare:` in routes.yaml, compiled into a small machine that walks beside the body.

A rule is `header:NAME` or a JSON path in a subset of RFC 9535: `$`, `.name`, `['any name']`, `[*]` and `.*`
for every child, `..name` for a member at any depth. A rule covers what it names and everything below it.

All paths together become one deterministic machine, so walking a body costs the same with one rule as with
a hundred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strangler.compare.path import NAME_FIRST, NAME_REST


class State:
    """Where the machine stands at one place of a body. Compare with `IGNORED` and `FREE` by identity."""

    __slots__ = ("index", "named", "other")

    def __init__(self) -> None:
        self.named: dict[str, State] = {}
        self.other: State = self
        self.index: State = self

    def member(self, name: str) -> State:
        """The state at the member of that name."""
        return self.named.get(name, self.other)


#: This part is not compared.
IGNORED: Final = State()
#: Nothing here or below is ignored.
FREE: Final = State()


@dataclass(frozen=True, slots=True)
class Rules:
    """What is not compared. `headers` are lower-case names; `body` is the machine's state at the root."""

    headers: frozenset[str]
    body: State


class _Step(NamedTuple):
    name: str | None  # None: any child
    anywhere: bool = False  # `..`: at this depth or any below


class _RuleFault(ValueError):
    pass


_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_DOTTED: Final = re.compile(
    rf"(\.\.?)([{NAME_FIRST}][{NAME_REST}-]*|\*)"
)  # with hyphens, as people write them
_BRACKET: Final = re.compile(r"""(\.\.)?\[(?:(\*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]""", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
_STATES_LIMIT: Final = 2_000


def fault(text: str) -> str | None:
    """What is wrong with one `ignore` entry, in one line; None when it is fine."""
    try:
        _parse(text)
    except _RuleFault as problem:
        return str(problem)
    return None


def compile_rules(ignore: Sequence[str]) -> Rules:
    """The rules of one route. Raises ValueError with the message of `fault` for a bad entry."""
    headers: set[str] = set()
    paths: list[tuple[_Step, ...]] = []
    for text in ignore:
        parsed = _parse(text)
        if isinstance(parsed, str):
            headers.add(parsed)
        else:
            paths.append(parsed)
    return Rules(frozenset(headers), _machine(paths))


def _parse(text: str) -> str | tuple[_Step, ...]:
    if text.startswith("header:"):
        name = text.removeprefix("header:")
        if not _HEADER.fullmatch(name):
            raise _RuleFault(f"{text!r}: {name!r} is not a header name")
        return name.lower()
    if text == "status":
        raise _RuleFault("the status is always compared and cannot be ignored")
    if not text.startswith("$"):
        raise _RuleFault(f"{text!r} is neither a JSON path ($.name) nor a header (header:name)")
    return _path(text)


def _path(text: str) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    place = 1
    while place < len(text):
        found = _DOTTED.match(text, place)
        if found:
            step = _Step(None if found[2] == "*" else found[2], anywhere=found[1] == "..")
        else:
            found = _BRACKET.match(text, place)
            if not found:
                raise _RuleFault(_what_is_wrong(text, place))
            step = _Step(_bracketed(found), anywhere=bool(found[1]))
        if step.anywhere and step.name is None:
            raise _RuleFault(f"{text!r}: `..*` names everything below; write the path without it")
        steps.append(step)
        place = found.end()
    return tuple(steps)


def _bracketed(found: re.Match[str]) -> str | None:
    if found[2]:
        return None
    raw = found[3] if found[3] is not None else found[4]
    name = _ESCAPE.sub(lambda e: chr(int(e[1], 16)) if e[1] else _ESCAPED.get(e[2], e[2]), raw)
    # A character outside the basic plane is two escapes, as in JSON.
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _what_is_wrong(text: str, place: int) -> str:
    rest = text[place:]
    if re.match(r"\[-?\d", rest):
        return f"{text!r}: an index cannot be named, all elements are alike: write [*]"
    if rest.startswith(("[?", "[(")):
        return f"{text!r}: filters are not supported"
    if rest in {".", ".."}:
        return f"{text!r} ends where a name should follow"
    return f"{text!r}: cannot read {rest!r} (names with odd characters are written ['like this'])"


_Positions = frozenset[tuple[int, int]]


def _machine(paths: Sequence[tuple[_Step, ...]]) -> State:
    """The deterministic machine of all paths: states are sets of (path, steps already taken)."""
    if not paths:
        return FREE
    if any(not steps for steps in paths):
        return IGNORED
    names = {step.name for steps in paths for step in steps if step.name is not None}
    start: _Positions = frozenset((number, 0) for number in range(len(paths)))
    states: dict[_Positions, State] = {start: State(), frozenset(): FREE}
    waiting = [start]

    def after(positions: _Positions, name: str | None) -> State:
        reached = _reached(paths, positions, name)
        if reached is None:
            return IGNORED
        if reached not in states:
            if len(states) >= _STATES_LIMIT:
                raise _RuleFault("these paths together are too many for one route")
            states[reached] = State()
            waiting.append(reached)
        return states[reached]

    while waiting:
        positions = waiting.pop()
        state = states[positions]
        state.index = state.other = after(positions, None)
        targets = ((name, after(positions, name)) for name in sorted(names))
        state.named = {name: target for name, target in targets if target is not state.other}
    return states[start]


def _reached(
    paths: Sequence[tuple[_Step, ...]], positions: Iterable[tuple[int, int]], name: str | None
) -> _Positions | None:
    """The positions after one step into the member `name` (None: an element, or a name no rule has).

    None when some path has been taken to its end: the place is ignored.
    """
    reached: set[tuple[int, int]] = set()
    for number, taken in positions:
        step = paths[number][taken]
        if step.anywhere:
            reached.add((number, taken))
        if step.name is None or step.name == name:
            if taken + 1 == len(paths[number]):
                return None
            reached.add((number, taken + 1))
    return frozenset(reached)
