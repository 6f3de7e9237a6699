from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.routes import (
    WHOLE,
    format_percent,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
)


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
    [("250ms", 0.25), ("2s", 2), ("1.5s", 1.5), ("10m", 600), ("24h", 86_400), ("1ms", 0.001)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "write 30s"),
        ("0s", "1ms"),
        ("0", "1ms"),
        ("0.9ms", "1ms"),
        ("none", "cannot be none"),
        ("9" * 5000 + "s", "a day"),
        ("9" * 5000, "such as"),
        ("25h", "a day"),
        ("2 s", "such as"),
        ("-1s", "such as"),
        ("1d", "such as"),
    ],
)
def test_what_is_no_duration_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1500B", 1500), ("64KiB", 65_536), ("1MiB", 1_048_576), ("1024GiB", 1024**4), ("007B", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@settings(deadline=None)
@given(st.integers(0, 1024**4))
def test_every_size_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_sizes_are_written_short() -> None:
    assert [format_size(size) for size in (0, 1500, 65_536, 1536 * 1024**2)] == [
        "0B",
        "1500B",
        "64KiB",
        "1536MiB",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64KB", "write 64KiB;"),
        ("64k", "write 64KiB;"),
        ("64 KiB", "write 64KiB;"),
        ("2mb", "write 2MiB;"),
        ("3G", "write 3GiB;"),
        ("10bytes", "write 10B;"),
        ("65536", "the unit is missing: write 65536B;"),
        ("0", "write a size from 1KiB to 1GiB$"),
        ("0MiB", "write a size from 1KiB to 1GiB$"),
        ("1025MiB", "write a size from 1KiB to 1GiB$"),
        ("9" * 5000 + "GiB", "write a size from 1KiB to 1GiB$"),
        ("9" * 5000, "such as 64KiB"),
        ("1.5MiB", "such as 64KiB"),
        ("-1KiB", "such as 64KiB"),
        ("64T", "such as 64KiB"),
        ("٦٤KiB", "such as 64KiB"),
        ("none", "such as 64KiB"),
        ("", "such as 64KiB"),
    ],
)
def test_what_is_no_size_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_size(text, least=1024, most=1024**3)
