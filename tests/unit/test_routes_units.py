from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.routes import WHOLE, format_percent, parse_duration, parse_percent


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("0%", 0),
        ("25%", 25_000),
        ("100%", WHOLE),
        ("0.125%", 125),
        ("0.1%", 100),
        ("012.50%", 12_500),
        ("99.999%", 99_999),
    ],
)
def test_percentages(text: str, percent: int) -> None:
    assert parse_percent(text) == percent


@settings(deadline=None)
@given(st.integers(0, WHOLE))
def test_every_percentage_is_read_back(percent: int) -> None:
    assert parse_percent(format_percent(percent)) == percent


@pytest.mark.parametrize(
    ("percent", "text"), [(0, "0%"), (25_000, "25%"), (125, "0.125%"), (12_500, "12.5%")]
)
def test_percentages_are_written_short(percent: int, text: str) -> None:
    assert format_percent(percent) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("25", "write 25%"),
        ("0.25", "write 0.25%"),
        ("100.001%", "more than 100%"),
        ("999999999999%", "such as 25%"),
        ("0.1250%", "three decimals"),
        ("-1%", "from 0% to 100%"),
        ("25 %", "such as 25%"),
        ("٢٥%", "such as 25%"),
        (".5%", "such as 25%"),
        ("", "such as 25%"),
    ],
)
def test_what_is_no_percentage_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_percent(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("2s", 2), ("1.5s", 1.5), ("10m", 600), ("24h", 86_400), ("0.001ms", 1e-6)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "write 30s"),
        ("0s", "longer"),
        ("25h", "a day"),
        ("2 s", "such as"),
        ("-1s", "such as"),
        ("1d", "such as"),
    ],
)
def test_what_is_no_duration_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(text)
