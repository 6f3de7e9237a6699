"""Trace context (W3C Trace Context, level 1): passed on as it came, or begun. Pure; randomness is an argument."""

from __future__ import annotations

import re
from typing import Final

from strangler.http.headers import Field, Fields

#: Section 3.2: version, trace id, parent id, flags. A later version may say more behind them.
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL)
_NO_TRACE: Final = b"0" * 32
_NO_PARENT: Final = b"0" * 16

#: Section 3.3.1.1: so many members a `tracestate` may have.
MEMBERS: Final = 32
#: What marks the shadow of a request: the same trace, and this in its state.
SHADOW: Final = b"strangler=shadow"

_WHOLE = 100_000  # a share of all, in thousandths of a percent


def trace_id(traceparent: bytes) -> bytes | None:
    """The trace that a `traceparent` names, in hex; None when it names none (section 3.2.2)."""
    found = _TRACEPARENT.fullmatch(traceparent.strip(b" \t"))
    if found is None:
        return None
    version, trace, parent, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    return None if trace == _NO_TRACE or parent == _NO_PARENT else trace


def begin(bits: int, share: int) -> bytes:
    """A `traceparent` of our own, from 192 random bits.

    It is marked as sampled when its trace falls into `share` (thousandths of a percent): who looks at the trace id
    alone decides the same (section 3.2.2.5).
    """
    trace, parent = bits >> 64 or 1, bits & 0xFFFFFFFFFFFFFFFF or 1
    sampled = share == _WHOLE or (trace & 0xFFFFFFFFFFFFFF) % _WHOLE < share
    return b"00-%032x-%016x-%02x" % (trace, parent, sampled)


def marked(headers: tuple[Field, ...]) -> Fields:
    """The fields of a request's shadow: in the same trace, and marked in its `tracestate` (section 3.3.1)."""
    states: list[bytes] = []
    kept: Fields = []
    traced = False
    for field in headers:
        name = field[0].lower()
        if name == b"tracestate":
            states += [member.strip(b" \t") for member in field[1].split(b",")]
        else:
            traced = traced or name == b"traceparent"
            kept.append(field)
    if not traced:
        return kept
    others = [member for member in states if member and not member.startswith(b"strangler=")]
    return [*kept, (b"tracestate", b",".join([SHADOW, *others][:MEMBERS]))]
