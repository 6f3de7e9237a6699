"""Bringing the answers of two sides to one shape before they are compared: headers edited, JSON bodies rewritten.

A cleaned-up API cannot be proved equal as it is: fields are renamed, numbers were text, lists were wrapped. The
bridge of a route says how one answer becomes the other, and what it makes of them is compared like any answers.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import brotli
import zstandard

from strangler.compare.answers import Answered, Comparison
from strangler.compare.difference import Incomparable
from strangler.compare.document import NODE_LIMIT, decode
from strangler.compare.expression import Expression, TooMuch, compiled, weight
from strangler.compare.headers import header

#: Two answers -> everything in which they differ. Raises Incomparable.
Compare = Callable[[Answered, Answered], Comparison]

_FAILED: Final = "bridge_failed"


@dataclass(frozen=True, slots=True)
class Side:
    """What is done to the answers of one side. `set` and `remove` are headers, lower-case names in `remove`."""

    set: tuple[tuple[str, str], ...] = ()
    remove: frozenset[str] = frozenset()
    body: Expression | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """What is done to the answers of both sides."""

    legacy: Side
    extracted: Side


def compile_side(edits: tuple[tuple[str, str], ...], remove: tuple[str, ...], body: str | None) -> Side:
    """One side of a bridge. Raises BadExpression, which `expression_fault` tells beforehand."""
    return Side(
        edits, frozenset(name.lower() for name in remove), compiled(body) if body is not None else None
    )


def bridged(legacy: Answered, extracted: Answered, bridge: Bridge, comparison: Compare) -> Comparison:
    """What `comparison` finds between the answers, once they are brought to one shape.

    Raises Incomparable: `bridge_failed` when a body is not JSON, when an expression fails on it, or when both
    bodies come out without any value although they had some: two expressions that select nothing prove nothing.
    `too_complex` when a body is, or comes out, larger than a body may be. But what differs besides the bodies is
    never hidden behind a skip.
    """
    ours, theirs = _edited(legacy, bridge.legacy), _edited(extracted, bridge.extracted)
    if ours.status // 100 != theirs.status // 100:
        return comparison(ours, theirs)  # a page of error has another shape, and is another answer anyway
    try:
        return comparison(*_rewritten(ours, theirs, bridge))
    except Incomparable:
        try:
            besides = comparison(replace(ours, body=b""), replace(theirs, body=b""))
        except Incomparable:
            besides = Comparison(())
        if not besides.differences:
            raise
        return besides


def _edited(answered: Answered, side: Side) -> Answered:
    """The answer with its headers edited: one that is set takes the place of all of its name."""
    if not side.set and not side.remove:
        return answered
    gone = side.remove | {name.lower() for name, _ in side.set}
    kept = tuple(field for field in answered.headers if field[0].lower() not in gone)
    return replace(answered, headers=kept + side.set)


def _rewritten(ours: Answered, theirs: Answered, bridge: Bridge) -> tuple[Answered, Answered]:
    mine, nothing = _body(ours, bridge.legacy.body)
    other, nothing_too = _body(theirs, bridge.extracted.body)
    if (nothing or nothing_too) and _is_bare(mine) and _is_bare(other):
        raise Incomparable(_FAILED)
    return mine, other


def _body(answered: Answered, expression: Expression | None) -> tuple[Answered, bool]:
    """The answer with its body rewritten, and whether its values were lost on the way."""
    if (
        expression is None or not answered.body
    ):  # to HEAD, and behind 204 and 304, there is nothing to rewrite
        return answered, False
    document = decode(answered.headers, answered.body)
    if document.form != "json":
        raise Incomparable(_FAILED)
    try:
        value = expression.of(document.value)
        weight(value, NODE_LIMIT)
        content = json.dumps(value, allow_nan=False).encode("ascii")
    except (TooMuch, RecursionError):
        raise Incomparable("too_complex") from None
    except Exception as error:  # whatever a body may hold: it is not what the expression was written for
        raise Incomparable(_FAILED) from error
    coded = _coded(content, header(answered.headers, "content-encoding"))
    return replace(answered, body=coded), _says_nothing(value) and not _says_nothing(document.value)


def _is_bare(answered: Answered) -> bool:
    try:
        document = decode(answered.headers, answered.body)
    except Incomparable:
        return False
    return document.form == "json" and _says_nothing(document.value)


def _says_nothing(value: Any) -> bool:
    """Null, or an object or list with nothing but such in it. An empty one was selected: that says something."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list) and value:
            waiting.extend(value)
        elif value is not None:
            return False
    return True


def _coded(content: bytes, coding: str) -> bytes:
    """The content under the coding that it came in, so that a difference in the codings themselves stays one."""
    for name in (name.strip().lower() for name in coding.split(",")):
        if name in {"gzip", "x-gzip", "deflate"}:
            window = zlib.MAX_WBITS if name == "deflate" else 16 + zlib.MAX_WBITS
            stream = zlib.compressobj(1, zlib.DEFLATED, window)
            content = stream.compress(content) + stream.flush()
        elif name == "br":
            content = brotli.compress(content, quality=0)
        elif name == "zstd":
            content = zstandard.ZstdCompressor(level=1).compress(content)
    return content
