"""Percentages, durations, sizes and numbers of connections as they are written in routes.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from strangler.routes.model import WHOLE, Percent

_PERCENT = re.compile(r"([0-9]{1,9})(?:\.([0-9]+))?%")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_ZERO = re.compile(r"0+(\.0+)?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
#: Less is a slip of the unit: no network and no caller is that fast.
_SHORTEST = 0.001
_LONGEST = 24 * 3600.0
_DAYS = re.compile(r"([0-9]{1,6})(d|h)")
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB)")
_NEARLY_A_SIZE = re.compile(r"([0-9]{1,12}) ?([A-Za-z]*)")
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LARGEST_SIZE = 1024**4
_UNITS_MEANT = {
    spelling: unit
    for unit, spellings in {
        "B": ("", "b", "byte", "bytes"),
        "KiB": ("k", "kb", "kib"),
        "MiB": ("m", "mb", "mib"),
        "GiB": ("g", "gb", "gib"),
    }.items()
    for spelling in spellings
}
_COUNT = re.compile(r"[0-9]{1,9}")
_FACTOR = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)x")
#: As many descriptors as Linux lets a process have unless told otherwise (fs.nr_open).
_MOST_CONNECTIONS = 1_000_000

#: What other formats call `none`. `access_log: off` would otherwise be a file of that name.
_NONE_MEANT = {"~", "-", "null", "nil", "none", "off", "no", "false", "never", "unlimited", "infinite"}

T = TypeVar("T")


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
    """`250ms`, `2s`, `10m` or `1h` in seconds: from a millisecond to a day. ValueError says what to write instead."""
    # Nothing is nothing in any unit: what is wrong with it is not that the unit is missing.
    found = _DURATION.fullmatch(f"{text}s" if _ZERO.fullmatch(text) else text)
    if found is None:
        if _NUMBER.fullmatch(text):
            raise ValueError(f"the unit is missing: write {text}s (or ms, m, h)")
        if text == "none":
            raise ValueError("this cannot be none; a duration is a day (24h) at most")
        raise ValueError("write a duration such as 250ms, 2s or 10m")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds < _SHORTEST:
        raise ValueError("a duration is a millisecond (1ms) at least")
    if seconds > _LONGEST:
        raise ValueError("a duration is a day (24h) at most")
    return seconds


def parse_days(text: str) -> float:
    """`30d` or `36h` in days: from an hour to ten years. ValueError says what to write instead."""
    found = _DAYS.fullmatch(text)
    if found is None:
        raise ValueError("write a number of days such as 30d, or of hours such as 36h")
    days = int(found[1]) / (1 if found[2] == "d" else 24)
    if not 1 / 24 <= days <= 3650:
        raise ValueError("write a time from 1h to 3650d")
    return days


def parse_size(text: str, least: int = 0, most: int = _LARGEST_SIZE) -> int:
    """`64KiB` or `1MiB` in bytes, from `least` to `most`. ValueError says what to write instead."""
    span = f"write a size from {format_size(least)} to {format_size(most)}"
    found = _SIZE.fullmatch("0B" if least and _ZERO.fullmatch(text) else text)
    if found is None:
        raise ValueError(_size_meant(text) or f"{span}, such as 64KiB")
    digits = found[1].lstrip("0") or "0"
    # Python refuses to read a number of more than 4300 digits (CVE-2020-10735); 15 are far too many here.
    size = int(digits) * _BYTES[found[2]] if len(digits) <= 15 else most + 1
    if not least <= size <= most:
        raise ValueError(span)
    return size


def _size_meant(text: str) -> str | None:
    """What to write instead of `64k`, `64 KB` or `65536`."""
    meant = _NEARLY_A_SIZE.fullmatch(text)
    unit = _UNITS_MEANT.get(meant[2].lower()) if meant else None
    if meant is None or unit is None:
        return None
    why = "" if meant[2] else "the unit is missing: "
    return f"{why}write {meant[1]}{unit}; the units are B, KiB, MiB and GiB"


def format_size(size: int) -> str:
    """The shortest text that `parse_size` reads back: `64KiB`, `1500B`."""
    unit = max((unit for unit, count in _BYTES.items() if size % count == 0), key=_BYTES.__getitem__)
    return f"{size // _BYTES[unit]}{unit}" if size else "0B"


def parse_count(text: str, *, least: int, most: int) -> int:
    """A whole number of something. ValueError otherwise."""
    if not _COUNT.fullmatch(text) or not least <= int(text) <= most:
        raise ValueError(f"write a whole number from {least} to {most}")
    return int(text)


def parse_connections(text: str) -> int:
    """How many connections may be open at once. ValueError otherwise."""
    return parse_count(text, least=1, most=_MOST_CONNECTIONS)


def parse_factor(text: str) -> float:
    """`1.2x`: so many times, from once to a hundred times. ValueError says what to write instead."""
    found = _FACTOR.fullmatch(text)
    if found is None:
        if _NUMBER.fullmatch(text):
            raise ValueError(f"the x is missing: write {text}x")
        raise ValueError("write how many times, such as 1.2x")
    if not 1 <= float(found[1]) <= 100:
        raise ValueError("write a factor from 1x to 100x")
    return float(found[1])


def or_none(convert: Callable[[str], T]) -> Callable[[str], T | None]:
    """A converter that also takes the word `none`, and gives None for it."""

    def converted(text: str) -> T | None:
        if text == "none":
            return None
        if text.lower() in _NONE_MEANT:
            raise ValueError("write none")
        return convert(text)

    return converted
