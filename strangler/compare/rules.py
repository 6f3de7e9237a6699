"""The rules under `compare:` in routes.yaml: what is not compared, and what counts as the same.

A place is `status`, `header:NAME` or a JSON path in a subset of RFC 9535: `$`, `.name`, `['any name']`, `[*]` and
`.*` for every child, `..name` for a member at any depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from strangler.compare.machine import FREE, PathKind, PathRule, State, Step, machine
from strangler.compare.path import NAME_FIRST, NAME_REST
from strangler.compare.tolerance import Tolerance, parse_tolerance

#: `redact` and `exact` name places too: what is kept as a hash only, and what is never taken for noise.
RuleKind = Literal["ignore", "only", "unordered", "keyed", "tolerance", "redact", "exact"]


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """By lower-case name of a header: the rule that ignores it, calls it a set, or tolerates."""

    ignored: Mapping[str, str] = field(default_factory=dict)
    unordered: Mapping[str, str] = field(default_factory=dict)
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    only: frozenset[str] | None = None  # None: all


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one route, compiled.

    `body` is the machine's state at the root; `only` the one of an allow-list, where IGNORED by it means
    compared, and None without such a list. `status_ignored_by` names the rule that ignores the status.
    """

    headers: HeaderRules = field(default_factory=HeaderRules)
    body: State = FREE
    only: State | None = None
    status_ignored_by: str = ""


class _RuleFault(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a rule holds: exactly one of the three."""

    steps: tuple[Step, ...] | None = None
    header: str = ""
    status: bool = False


_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_DOTTED: Final = re.compile(
    rf"(\.\.?)([{NAME_FIRST}][{NAME_REST}-]*|\*)"
)  # with hyphens, as people write them
_BRACKET: Final = re.compile(r"""(\.\.)?\[(?:(\*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]""", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def fault(kind: str, place: str, how: str = "") -> str | None:
    """What is wrong with one rule, in one line; None when it is fine.

    `how` is keyed's member, or a tolerance.
    """
    try:
        found = _parse(place)
        if kind == "tolerance":
            parse_tolerance(how)
        _check_kind(kind, found, place)
    except ValueError as problem:
        return str(problem)
    return None


def compile_rules(
    ignore: Sequence[str] = (),
    only: Sequence[str] = (),
    unordered: Sequence[str] = (),
    keyed: Iterable[tuple[str, str]] = (),
    tolerance: Iterable[tuple[str, str]] = (),
) -> Rules:
    """The rules of one route. Raises ValueError with the message of `fault` for a bad one."""
    paths: list[PathRule] = []
    ignored: dict[str, str] = {}
    sets: dict[str, str] = {}
    tolerated: dict[str, Tolerance] = {}
    status = ""
    for text in ignore:
        place, name = _checked("ignore", text), rule_text("ignore", text)
        if place.steps is not None:
            paths.append(PathRule("ignore", place.steps, name))
        elif place.header:
            ignored.setdefault(place.header, name)
        else:
            status = name
    for text in unordered:
        place, name = _checked("unordered", text), rule_text("unordered", text)
        if place.steps is not None:
            paths.append(PathRule("unordered", place.steps, name))
        else:
            sets[place.header] = name
    for text, member in keyed:
        paths.append(PathRule("keyed", _steps("keyed", text), rule_text("keyed", text, member), key=member))
    for text, amount in tolerance:
        place = _checked("tolerance", text)
        room = parse_tolerance(amount, rule_text("tolerance", text, amount))
        if place.steps is not None:
            paths.append(PathRule("tolerance", place.steps, room.text, tolerance=room))
        else:
            tolerated[place.header] = room
    allowed, state = _allow_list(only)
    return Rules(HeaderRules(ignored, sets, tolerated, allowed), _body(paths, only), state, status)


def rule_text(kind: str, place: str, how: str = "") -> str:
    """A rule as a report names it: `tolerance $.total: 0.01`."""
    return f"{kind} {place}: {how}" if how else f"{kind} {place}"


def is_covered(state: State, path: str) -> bool:
    """Whether a path out of a report is one that the rules of `state` ignore, or below one."""
    for step in _path(path):
        if state.ignored_by:
            return True
        state = state.index if step.name is None else state.member(step.name)
    return bool(state.ignored_by)


def path_steps(text: str) -> tuple[Step, ...] | None:
    """The steps of a rule's path; None for a header and the status. Raises ValueError."""
    return _parse(text).steps


def _allow_list(only: Sequence[str]) -> tuple[frozenset[str] | None, State | None]:
    if not only:
        return None, None
    places = [(text, _checked("only", text)) for text in only]
    headers = frozenset(place.header for _, place in places if place.header)
    kind: PathKind = "ignore"  # what the machine calls ignored is here what is compared
    paths = [
        PathRule(kind, place.steps, rule_text("only", text))
        for text, place in places
        if place.steps is not None
    ]
    return headers, machine(paths) if paths else None


def _body(paths: Sequence[PathRule], only: Sequence[str]) -> State:
    if only and not any(text.startswith("$") for text in only):  # the list names no part of the body
        text = ", ".join(rule_text("only", text) for text in only)
        return machine([PathRule("ignore", (), text)])
    return machine(paths)


def _steps(kind: str, text: str) -> tuple[Step, ...]:
    steps = _checked(kind, text).steps
    assert steps is not None  # `_check_kind` has refused the others
    return steps


def _checked(kind: str, text: str) -> _Place:
    place = _parse(text)
    _check_kind(kind, place, text)
    return place


def _check_kind(kind: str, place: _Place, text: str) -> None:
    if place.status and kind not in {"ignore", "only"}:
        raise _RuleFault(f"the status cannot be {_said(kind)}")
    if place.header and kind in {"keyed"}:
        raise _RuleFault(f"{text!r}: a header has no members")


def _said(kind: str) -> str:
    words = {"redact": "redacted", "tolerance": "given a tolerance", "exact": "noise, and need not be named"}
    return words.get(kind, kind)


def _parse(text: str) -> _Place:
    if text == "status":
        return _Place(status=True)
    if text.startswith("header:"):
        name = text.removeprefix("header:")
        if not _HEADER.fullmatch(name):
            raise _RuleFault(f"{text!r}: {name!r} is not a header name")
        return _Place(header=name.lower())
    if not text.startswith("$"):
        raise _RuleFault(f"{text!r} is neither a JSON path ($.name), a header (header:name) nor status")
    return _Place(steps=_path(text))


def _path(text: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    place = 1
    while place < len(text):
        found = _DOTTED.match(text, place)
        if found:
            step = Step(None if found[2] == "*" else found[2], anywhere=found[1] == "..")
        else:
            found = _BRACKET.match(text, place)
            if not found:
                raise _RuleFault(_what_is_wrong(text, place))
            step = Step(_bracketed(found), anywhere=bool(found[1]))
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
