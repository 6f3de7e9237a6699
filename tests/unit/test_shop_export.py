"""An order as CSV: whole for programs, harmless for spreadsheets."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy_monolith.export import guarded, to_csv
from legacy_monolith.media import prefers

#: What a database may hold; the csv module reads and writes NUL as any other character.
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
HOSTILE = st.builds(str.__add__, st.sampled_from(list("=+-@'\t\r\n,;\"＝＋－＠\0 ")), TEXT)


def read_back(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@given(st.lists(st.lists(TEXT | HOSTILE | st.integers(), min_size=1, max_size=5), max_size=5))
def test_what_is_written_is_read_back_but_for_the_guard(rows: list[list[str | int]]) -> None:
    read = read_back(to_csv(rows))
    expected = [[cell if isinstance(cell, str) else str(cell) for cell in row] for row in rows]
    texts = [[isinstance(cell, str) for cell in row] for row in rows]
    unguarded = [
        [cell.removeprefix("'") if text else cell for cell, text in zip(row, kinds, strict=True)]
        for row, kinds in zip(read, texts, strict=True)
    ]
    assert unguarded == expected


@given(TEXT | HOSTILE)
def test_no_text_begins_as_a_formula_does(text: str) -> None:
    written = read_back(to_csv([[text]]))[0][0]
    assert written[:1] not in set("=+-@\t\r\n＝＋－＠")


def test_numbers_stay_numbers() -> None:
    assert to_csv([[-5, 0, 12]]) == "-5,0,12\r\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Assam", "Assam"),
        ('=HYPERLINK("http://evil.example","x")', '\'=HYPERLINK("http://evil.example","x")'),
        ("@SUM(1+1)*cmd|' /C calc'!A0", "'@SUM(1+1)*cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("＝1", "'＝1"),
        ("'tis", "''tis"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_formula_gets_an_apostrophe(text: str, written: str) -> None:
    assert guarded(text) == written


def test_quotes_commas_and_line_ends_are_quoted_as_the_rfc_says() -> None:
    assert to_csv([["a,b", 'c"d', "e\r\nf", "g"]]) == '"a,b","c""d","e\r\nf",g\r\n'


@pytest.mark.parametrize(
    ("accept", "csv_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/csv", True),
        ("Text/CSV; q=0.5, */*; q=0.1", True),
        ("text/csv;q=0.5, application/json", False),
        ("application/json;q=0.5, text/csv;header=present", True),
        ("text/csv;q=0", False),
        ("text/csv;q=0.5, application/*;q=0.8", False),
        ("text/csv;q=many", True),
        ("text/csvx", False),
        (",;,=;q=,", False),
    ],
)
def test_csv_is_given_to_those_who_ask_for_it(accept: str, csv_wanted: bool) -> None:
    assert prefers(accept, "text/csv") is csv_wanted
