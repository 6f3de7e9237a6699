"""Regular expressions for one segment of a path: compiling them, and proving that two never fit the same text.

They are RE2's and not Python's. Python's `re` backtracks, so one careless expression in a routes file and one long
path from a stranger could hold a worker for minutes. RE2 runs in time linear in the text, whatever the expression.
See https://github.com/google/re2/wiki/Syntax.

The proof is a product of two position automata, which costs at most one step per pair of positions. Automata
libraries make the expressions deterministic first, and that can take time exponential in their length. It reads
only the plain part of the syntax, where no two engines differ, and gives up on the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_letters, digits, punctuation

import re2

#: RE2 needs room for some twenty states of its automaton, each as large as the program.
_LARGEST_PROGRAM = 10_000
_LONGEST_PROVABLE = 100
_MOST_REPEATS = 50
_MOST_POSITIONS = 400
_MOST_STEPS = 4000


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return options


def compile_regex(text: str) -> Callable[[str], object]:
    """A function that is truthy when the whole of a text fits. Raises ValueError with RE2's message."""
    try:
        program = re2.compile(text, _options())
        if program.programsize > _LARGEST_PROGRAM:
            raise ValueError("too large")
        # A set of one: RE2 answers yes or no five times faster than it finds where.
        one = re2.Set.FullMatchSet(_options())
        one.Add(text)
        one.Compile()
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0]
        message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(error)
        raise ValueError(message) from None
    match: Callable[[str], object] = one.Match
    return match


@lru_cache(maxsize=4096)
def disjoint(one: str, other: str) -> bool:
    """Whether it is certain that no text fits both. False may also mean that nobody knows."""
    try:
        return _disjoint(_Reader(one).automaton(), _Reader(other).automaton())
    except _NotPlainError:
        return False


class _NotPlainError(Exception):
    """The expression leaves the part of the syntax that can be reasoned about."""


# Sets of characters are bit sets: one bit for each ASCII character and one for all the others together.
_OTHERS = 1 << 128
_EVERYTHING = (1 << 129) - 1


def _set(characters: str) -> int:
    return sum({1 << ord(character) for character in characters})


_CLASSES = {"d": _set(digits), "w": _set(ascii_letters + digits + "_"), "s": _set("\t\n\f\r ")}
_CLASSES |= {name.upper(): _EVERYTHING & ~members for name, members in _CLASSES.items()}
_DOT = _EVERYTHING & ~_set("\n")
_PLAIN = frozenset(ascii_letters + digits + " _-~!@%&=,:;'\"<>#/`")
_REPEAT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")


@dataclass(slots=True)
class _Part:
    """A part of an automaton: whether it fits the empty text, and the positions where it begins and ends."""

    nullable: bool
    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Automaton:
    """Glushkov's automaton: a position for each character of the expression, and which may follow which."""

    characters: list[int] = field(default_factory=list)
    follow: list[set[int]] = field(default_factory=list)
    whole: _Part = field(default_factory=lambda: _Part(True))

    def position(self, characters: int) -> _Part:
        if len(self.characters) >= _MOST_POSITIONS:
            raise _NotPlainError
        here = frozenset({len(self.characters)})
        self.characters.append(characters)
        self.follow.append(set())
        return _Part(False, here, here)

    def link(self, before: _Part, after: _Part) -> None:
        for position in before.last:
            self.follow[position] |= after.first

    def then(self, before: _Part, after: _Part) -> _Part:
        self.link(before, after)
        first = before.first | after.first if before.nullable else before.first
        last = before.last | after.last if after.nullable else after.last
        return _Part(before.nullable and after.nullable, first, last)


def _disjoint(one: _Automaton, other: _Automaton) -> bool:
    if one.whole.nullable and other.whole.nullable:
        return False
    waiting = [(a, b) for a in one.whole.first for b in other.whole.first]
    seen = set(waiting)
    while waiting:
        a, b = waiting.pop()
        if not one.characters[a] & other.characters[b]:
            continue
        if a in one.whole.last and b in other.whole.last:
            return False
        news = {(c, d) for c in one.follow[a] for d in other.follow[b]} - seen
        seen |= news
        waiting.extend(news)
    return True


class _Reader:
    """Reads the plain part of the syntax. Anything else raises _NotPlainError."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST_PROVABLE or not text.isascii():
            raise _NotPlainError
        self._text = text
        self._at = 0
        self._steps = 0  # nested repeats of nothing make no positions, but read for ever
        self._automaton = _Automaton()

    def automaton(self) -> _Automaton:
        self._automaton.whole = self._choice()
        if self._at < len(self._text):
            raise _NotPlainError
        return self._automaton

    def _next_is(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _take(self) -> str:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        return character

    def _choice(self) -> _Part:
        part = self._sequence()
        while self._next_is("|"):
            option = self._sequence()
            part = _Part(part.nullable or option.nullable, part.first | option.first, part.last | option.last)
        return part

    def _sequence(self) -> _Part:
        part = _Part(True)
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._automaton.then(part, self._repeated())
        return part

    def _repeated(self) -> _Part:
        start = self._at
        part = self._atom()
        if self._next_is("*"):
            part = self._looped(part, True)
        elif self._next_is("+"):
            part = self._looped(part, part.nullable)
        elif self._next_is("?"):
            part = _Part(True, part.first, part.last)
        elif counted := _REPEAT.match(self._text, self._at):
            part = self._counted(part, start, counted)
            self._at = counted.end()
        if self._text[self._at : self._at + 1] in {"*", "+", "?", "{"}:
            raise _NotPlainError  # lazy and possessive repeats, and braces that mean themselves
        return part

    def _looped(self, part: _Part, nullable: bool) -> _Part:
        self._automaton.link(part, part)
        return _Part(nullable, part.first, part.last)

    def _counted(self, part: _Part, start: int, counted: re.Match[str]) -> _Part:
        least = int(counted[1])
        most = least if counted[2] is None else int(counted[3]) if counted[3] else None
        if max(least, most or 0) > _MOST_REPEATS or most == 0 or (most is not None and most < least):
            raise _NotPlainError
        whole = _Part(True)
        for turn in range(1, max(least, most or 0, 1) + 1):
            if turn > 1:  # each turn has positions of its own, so the atom is read once more
                self._at = start
                part = self._atom()
            whole = self._automaton.then(whole, _Part(part.nullable or turn > least, part.first, part.last))
        if most is None:
            self._automaton.link(part, part)
        return whole

    def _atom(self) -> _Part:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _NotPlainError
        character = self._take()
        if character == "(":
            if not self._next_is("?:") and self._text.startswith("?", self._at):
                raise _NotPlainError  # flags and names
            part = self._choice()
            if not self._next_is(")"):
                raise _NotPlainError
            return part
        if character == ".":
            return self._automaton.position(_DOT)
        if character == "[":
            return self._automaton.position(self._bracket())
        if character == "\\":
            return self._automaton.position(self._escape())
        if character in _PLAIN and character:
            return self._automaton.position(_set(character))
        raise _NotPlainError

    def _escape(self) -> int:
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character and character in punctuation:
            return _set(character)
        raise _NotPlainError

    def _bracket(self) -> int:
        negated = self._next_is("^")
        members = 0
        while not self._next_is("]"):
            low = self._member()
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                members |= self._range(low, self._member())
            else:
                members |= low
        if not members:
            raise _NotPlainError
        return _EVERYTHING & ~members if negated else members

    def _member(self) -> int:
        character = self._take()
        if character == "\\":
            return self._escape()
        if character and (character in _PLAIN or character in ".+*?()|{}$"):
            return _set(character)
        raise _NotPlainError  # [:alpha:], a bracket that means itself, the end of the text

    def _range(self, low: int, high: int) -> int:
        if low.bit_count() != 1 or high.bit_count() != 1 or low > high:
            raise _NotPlainError
        return (high << 1) - low
