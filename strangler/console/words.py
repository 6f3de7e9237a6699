"""Numbers and times as people read them on a page. Pure."""

from __future__ import annotations


def moment(value: str | None) -> str:
    """`2026-11-24T14:02:11.120Z` as `2026-11-24 14:02:11 UTC`; a dash without one."""
    if not value:
        return "–"
    day, _, time = value.partition("T")
    return f"{day} {time[:8]} UTC" if time else day


def share(value: float | None) -> str:
    """A share of all as a percentage with two decimals at most, never rounded to none or to all."""
    if value is None:
        return "–"
    if 0 < value < 0.0001:
        return "under 0.01 %"
    if 0.9999 < value < 1:
        return "over 99.99 %"
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + " %"


def milliseconds(value: float | None) -> str:
    """`0.42 ms`, `12.3 ms`, `1.25 s`; a dash without one."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"


def per_second(value: float | None) -> str:
    """Requests a second, as many digits as say something; a dash when it is not known."""
    if value is None:
        return "–"
    if value == 0:
        return "0/s"
    return (
        f"{value:.2f}/s"
        if value < 1
        else f"{value:.1f}/s"
        if value < 100
        else f"{value:,.0f}/s".replace(",", " ")
    )
