"""Paths into a JSON body, written as RFC 9535 writes them, with every index collapsed to `[*]`."""

from __future__ import annotations

import hashlib
import re
from typing import Final, TypeAlias

#: From the inside out: (the trail of the parent, the member's name or None for an element of an array).
#: The root's trail is None. Two trails are equal when their collapsed paths are.
Trail: TypeAlias = "tuple[Trail, str | None] | None"

#: RFC 9535 section 2.5.1.1: what a name may begin with, and go on with, to stand after a dot.
NAME_FIRST: Final = r"A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff"
NAME_REST: Final = NAME_FIRST + "0-9"
_SHORTHAND: Final = re.compile(f"[{NAME_FIRST}][{NAME_REST}]*")

#: A longer path is cut, and ends in a digest of the whole, so that two long paths stay two.
LIMIT: Final = 512

_ESCAPES: Final = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", "'": r"\'", "\\": r"\\"}


def steps(trail: Trail) -> list[str | None]:
    """The names on the way from the root, None for an element of an array."""
    names: list[str | None] = []
    while trail is not None:
        trail, name = trail
        names.append(name)
    names.reverse()
    return names


def render(trail: Trail) -> str:
    """The path of a trail: `$.items[*]['unit price']`."""
    path = "$" + "".join("[*]" if name is None else _member(name) for name in steps(trail))
    if len(path) <= LIMIT:
        return path
    digest = hashlib.sha256(path.encode()).hexdigest()[:16]
    return f"{path[: LIMIT - 17]}…{digest}"


def _member(name: str) -> str:
    if name.isprintable() and _SHORTHAND.fullmatch(name):
        return f".{name}"
    return "['" + "".join(map(_escaped, name)) + "']"


def _escaped(character: str) -> str:
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    if character.isprintable():
        return character
    return "".join(f"\\u{unit:04x}" for unit in _utf16_units(character))


def _utf16_units(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2)]
