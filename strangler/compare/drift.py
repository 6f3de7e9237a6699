"""How two scalars differ that may differ without meaning anything: two timestamps, UUIDs, tokens, numbers.

A drift is only ever a candidate for noise: whether it is one, the evidence says (`compare.noise`).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # RFC 9562 section 4
#: What people call an opaque token: long, of one word, with digits and letters in it.
_TOKEN: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+/.~:-]{12,512}={0,2}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
#: A date alone is no timestamp: it does not drift.
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


#: The size of a drift where distance means nothing, or no more than is known to be noise.
LEAST: Final = -1074
#: Sizes are multiples of this, so that fields that always drift do not come in ever new combinations of sizes.
_STEP: Final = 3
#: A shadow may always be 2^3 seconds late. A timestamp of a wrong zone is off by far more.
_LATE: Final = 3


class Drift(NamedTuple):
    """`type` is `timestamp`, `uuid`, `token` or `number`. `size`: the values lie less than 2^size apart, in
    seconds for timestamps; a multiple of 3, or LEAST."""

    type: str
    size: int = LEAST


def drift(legacy: Any, extracted: Any) -> Drift | None:
    """How two scalars differ, when both are of one drifting type; None otherwise."""
    if isinstance(legacy, str) and isinstance(extracted, str):
        return _of_texts(legacy, extracted)
    if _is_number(legacy) and _is_number(extracted):
        return _apart("number", legacy, extracted)
    return None


def wider(one: Drift | None, other: Drift | None) -> Drift | None:
    """The drift of two differences at one place: None when they are of different types."""
    if one is None or other is None or one.type != other.type:
        return None
    return max(one, other)


def instant(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 date and time; without an offset it is taken for UTC."""
    if not _TIMESTAMP.match(text) or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _of_texts(legacy: str, extracted: str) -> Drift | None:
    ours = instant(legacy)
    if ours is not None:
        theirs = instant(extracted)
        # A timestamp that has lost its offset, or its fraction, is another format and no drift.
        alike = theirs is not None and _shape(legacy) == _shape(extracted)
        return _apart("timestamp", ours, theirs) if alike else None
    if _UUID.fullmatch(legacy) and _UUID.fullmatch(extracted):
        return Drift("uuid")
    if _NUMBER.fullmatch(legacy) and _NUMBER.fullmatch(extracted):
        return _apart("number", float(legacy), float(extracted))
    alike = bool(_TOKEN.fullmatch(legacy) and _TOKEN.fullmatch(extracted))
    return Drift("token") if alike and 2 * abs(len(legacy) - len(extracted)) <= len(legacy) else None


def _shape(text: str) -> str:
    """The format of a timestamp: its digits made equal, however many a fraction has."""
    return re.sub(r"\.\d+", ".0", re.sub(r"\d", "0", text))


def _apart(kind: str, legacy: Any, extracted: Any) -> Drift | None:
    try:
        apart = abs(float(legacy) - float(extracted))
    except OverflowError:
        return None
    if not math.isfinite(apart):
        return None
    size = -(-math.frexp(apart)[1] // _STEP) * _STEP
    return Drift(kind, max(size, _LATE) if kind == "timestamp" else size)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
