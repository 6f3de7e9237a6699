"""Bodies as lines for a person: JSON one member a line, and what is not whole JSON laid out as far as it can be.

Everything is harmless to a terminal and a page: what is not printable is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from strangler.compare.path import Trail, render
from strangler.compare.redact import MARK
from strangler.compare.shown import printable

#: Deeper JSON is shown as text: nobody reads it, and its indents would outgrow it.
DEEPEST: Final = 32
_INDENT: Final = "  "
#: A longer path is left out, so that many short lines under a long name stay short.
_LONGEST_PATH: Final = 128

#: RFC 8259, what was redacted, and what Python writes for numbers that JSON does not have. The last string may be cut.
_TOKEN: Final = re.compile(
    rf"""(?P<space>[ \t\r\n]+)|(?P<mark>{MARK.pattern})|(?P<sign>[{{}}\[\],:])"""
    r"""|(?P<scalar>"(?:[^"\\]|\\.)*(?:"|\\?$)|-?[0-9][0-9.eE+-]*|true|false|null|NaN|-?Infinity)""",
    re.DOTALL,
)
#: What may be left of a word or a number when a text is cut.
_STUMP: Final = re.compile(r"-|[a-zA-Z]{1,8}")

_encoder: Final = json.JSONEncoder(ensure_ascii=False)


class Line(NamedTuple):
    """One line of a body. `path` is collapsed, as a fingerprint's; "" where there is none, or a long one."""

    text: str
    path: str
    differs: bool


@dataclass(slots=True)
class Marks:
    """What differs at one place of a body: the line on which it begins, all of its lines, or what is below it."""

    here: bool = False
    whole: bool = False
    below: dict[str | int, Marks] = field(default_factory=dict)

    def at(self, step: str | int) -> Marks:
        """The marks of a member or an element, made when there are none."""
        return self.below.setdefault(step, Marks())


class TooDeep(Exception):
    """Nested deeper than anybody reads."""


_NONE: Final = Marks()
_ALL: Final = Marks(here=True, whole=True)


def json_lines(value: Any, marks: Marks) -> list[Line]:
    """A JSON value, one member or element a line. Raises TooDeep."""
    return list(_lines(value, marks, None, 0, "", ""))


def text_lines(body: str) -> tuple[list[str], list[str]]:
    """The lines of a text, and what of each is to be compared; of JSON that was cut, or that no reader takes, as the
    value would be laid out, and without the commas."""
    laid_out = _laid_out(body) if body.lstrip()[:1] in ("{", "[") else None
    lines = [_shown(line) for line in (body.split("\n") if laid_out is None else laid_out)] if body else []
    return lines, lines if laid_out is None else [line.removesuffix(",") for line in lines]


def _lines(value: Any, marks: Marks, trail: Trail, depth: int, before: str, after: str) -> Iterator[Line]:
    indent = _INDENT * depth
    path = render(trail)
    path = path if len(path) <= _LONGEST_PATH else ""
    if not isinstance(value, dict | list) or not value:
        yield Line(
            _shown(f"{indent}{before}{_encoder.encode(value)}{after}"), path, marks.here or marks.whole
        )
        return
    if depth >= DEEPEST:
        raise TooDeep
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield Line(_shown(f"{indent}{before}{opening}"), path, marks.here or marks.whole)
    last = len(value) - 1
    for number, (step, name, child) in enumerate(_children(value)):
        below = _ALL if marks.whole else marks.below.get(step, _NONE)
        head = "" if name is None else f"{_encoder.encode(name)}: "
        yield from _lines(child, below, (trail, name), depth + 1, head, "," if number < last else "")
    yield Line(f"{indent}{closing}{after}", path, marks.whole)


def _children(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, str | None, Any]]:
    """Each with the step that its marks are found under, and its name."""
    if isinstance(value, dict):
        yield from ((name, name, child) for name, child in value.items())
    else:
        yield from ((index, None, child) for index, child in enumerate(value))


def _shown(text: str) -> str:
    return printable(text, len(text) * 10 + 1)


def _laid_out(text: str) -> list[str] | None:
    """The lines of what is made of JSON's tokens, whole or cut; None of anything else."""
    lines: list[str] = []
    line, depth, before = "", 0, ""
    for kind, token in _tokens(text):
        if kind == "" or (kind == before == "scalar"):
            return None
        if kind == "space":
            continue
        if token in ("}", "]") and kind == "sign":
            depth -= 1
            if depth < 0:
                return None
            if before in ("{", "["):
                line = lines.pop() + token
            else:
                if line:
                    lines.append(line)
                line = _indented(depth, token)
        else:
            line = (line or _indented(depth, "")) + token + (" " if token == ":" and kind == "sign" else "")
        before = kind if kind == "scalar" else token
        if token in ("{", "[", ",") and kind == "sign":
            lines.append(line)
            line = ""
            depth += token != ","
    return [*lines, line] if line else lines


def _indented(depth: int, text: str) -> str:
    return _INDENT * min(depth, DEEPEST) + text


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each token; the kind "" for what is none."""
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            stump = _STUMP.fullmatch(text, place)
            yield ("scalar", stump[0]) if stump else ("", "")
            return
        kind = found.lastgroup or ""
        yield ("scalar" if kind == "mark" else kind), found[0]
        place = found.end()
