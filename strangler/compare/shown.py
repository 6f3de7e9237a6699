"""Values as a person reads them: short, on one line, and harmless to a terminal."""

from __future__ import annotations

import json
from typing import Any, Final

LIMIT: Final = 200

_encoder = json.JSONEncoder(ensure_ascii=False)


def printable(text: str, limit: int = LIMIT) -> str:
    """The text on one line, cut to `limit` characters. What a terminal would obey is escaped."""
    short = text[: limit + 1]
    if not short.isprintable():
        short = "".join(map(_printable_character, short))
    return short if len(short) <= limit else short[: limit - 1] + "…"


def preview(value: Any, limit: int = LIMIT) -> str:
    """A JSON value as JSON text, cut to `limit` characters. A large value is not encoded to its end."""
    if isinstance(value, str):
        return printable(_encoder.encode(value[: limit + 1]), limit)
    if value is None or isinstance(value, bool | int | float):
        return _encoder.encode(value)[:limit]
    pieces: list[str] = []
    length = 0
    for piece in _encoder.iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            break
    return printable("".join(pieces), limit)


def _printable_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
