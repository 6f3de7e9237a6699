"""How far two values may lie apart: by an amount, by a share of the larger one, or in time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

from strangler.compare.drift import instant

Measure = Literal["absolute", "relative", "time"]

_AMOUNT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(%|ms|s|m|h|d)?")
_SECONDS: Final = {
    unit: Decimal(seconds)
    for unit, seconds in (("ms", "0.001"), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400))
}
#: A number is a time in milliseconds beyond this; in seconds it would be the year 5138.
_MILLISECONDS: Final = 10**11


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`amount` is in units of the value, a share (0.01 is one percent), or seconds. `text` names the rule."""

    measure: Measure
    amount: Decimal
    text: str = ""

    def allows(self, legacy: Any, extracted: Any) -> bool:
        """Whether two scalars that differ are near enough. Numbers may be written as strings; never raises."""
        if self.measure == "time":
            ours, theirs = _seconds(legacy), _seconds(extracted)
        else:
            ours, theirs = _decimal(legacy), _decimal(extracted)
        if ours is None or theirs is None:
            return False
        try:
            apart = abs(ours - theirs)
            room = self.amount * max(abs(ours), abs(theirs)) if self.measure == "relative" else self.amount
        except ArithmeticError:
            return False
        return apart <= room


def parse_tolerance(text: str, rule: str = "") -> Tolerance:
    """`0.01`, `1%`, `2s` (also ms, m, h, d). Raises ValueError."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError("write an amount such as 0.01, a share such as 1%, or a time such as 2s")
    amount, unit = Decimal(found[1]), found[2]
    if not amount:
        raise ValueError("a tolerance of nothing is no tolerance; leave it out")
    if unit == "%":
        if amount > 100:
            raise ValueError("more than 100% would let every two numbers pass")
        return Tolerance("relative", amount / 100, rule)
    return Tolerance("time", amount * _SECONDS[unit], rule) if unit else Tolerance("absolute", amount, rule)


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def _seconds(value: Any) -> Decimal | None:
    """Seconds since 1970 of an ISO 8601 or HTTP date, or of a number of seconds or milliseconds."""
    if isinstance(value, str):
        at = instant(value)
        if at is None:
            at = _http_date(value)
        if at is not None:
            return Decimal(repr(at))
    number = _decimal(value)
    if number is None:
        return None
    return number / 1000 if abs(number) >= _MILLISECONDS else number


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if "," in text[:6] else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None
