"""Percentages and durations as they are written in routes.yaml."""

from __future__ import annotations

import re

from strangler.routes.model import WHOLE, Percent

_PERCENT = re.compile(r"([0-9]{1,9})(?:\.([0-9]+))?%")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 24 * 3600.0


def parse_percent(text: str) -> Percent:
    """`25%` or `0.125%` in thousandths of a percent. ValueError says what to write instead."""
    found = _PERCENT.fullmatch(text)
    if found is None:
        if _NUMBER.fullmatch(text.strip()):
            raise ValueError(f"the percent sign is missing: write {text.strip()}%")
        raise ValueError("write a percentage from 0% to 100%, such as 25% or 0.125%")
    whole, fraction = found[1], found[2] or ""
    if len(fraction) > 3:
        raise ValueError("a percentage has at most three decimals, such as 0.125%")
    percent = int(whole) * 1000 + int(fraction.ljust(3, "0"))
    if percent > WHOLE:
        raise ValueError("more than 100%")
    return percent


def format_percent(percent: Percent) -> str:
    """The shortest text that `parse_percent` reads back: `25%`, `0.125%`."""
    whole, fraction = divmod(percent, 1000)
    decimals = f".{fraction:03d}".rstrip("0") if fraction else ""
    return f"{whole}{decimals}%"


def parse_duration(text: str) -> float:
    """`250ms`, `2s`, `10m` or `1h` in seconds: more than nothing, a day at most. ValueError otherwise."""
    found = _DURATION.fullmatch(text)
    if found is None:
        if _NUMBER.fullmatch(text):
            raise ValueError(f"the unit is missing: write {text}s (or ms, m, h)")
        raise ValueError("write a duration such as 250ms, 2s or 10m")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds <= 0:
        raise ValueError("a duration must be longer than nothing")
    if seconds > _LONGEST:
        raise ValueError("a duration is a day (24h) at most")
    return seconds
