"""Looking through the catalogue: both sides find the same, each in its own words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extracted.inventory import media as new_media
from extracted.inventory import searching as new
from extracted.inventory.problems import Malformed as NotUnderstood
from legacy_monolith import media as old_media
from legacy_monolith import searching as old
from legacy_monolith.errors import Malformed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Pu-Erh", ["pu", "erh"]),
        ("Café CRÈME café", ["cafe", "creme"]),
        ("Cafe\u0301", ["cafe"]),
        ("Straße", ["strasse"]),
        ("\ufb01lter No. 4_b", ["filter", "no", "4", "b"]),
        ("İstanbul", ["istanbul"]),
        ("\u210cojicha", ["hojicha"]),
        ("緑茶 и чай", ["緑茶", "и", "чаи"]),
        ("TEA-001", ["tea", "001"]),
        ("  %*?\"'<>&;-- \x00", []),
        ("", []),
    ],
)
def test_words_have_neither_capitals_nor_accents(text: str, words: list[str]) -> None:
    assert list(new.words_of(text)) == words
    assert old.words(text) == words


@given(st.text(max_size=60))
def test_both_sides_know_the_same_words_and_a_word_is_a_word_of_itself(text: str) -> None:
    words = new.words_of(text)
    assert old.words(text) == list(words)
    for word in words:
        assert new.words_of(word) == (word,)


def asked(**fields: str) -> tuple[str, str]:
    """What both sides say of a query."""
    said = []
    for read, error in ((new.read, NotUnderstood), (old.parse, Malformed)):
        with pytest.raises(error) as caught:
            read(fields)
        said.append(str(caught.value))
    return said[0], said[1]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"q": "x" * 201}, "q must have at most 200 characters"),
        ({"q": " ".join("abcdefghijk")}, "q must have at most 10 words"),
        ({"category": "x" * 201}, "category must have at most 200 characters"),
        ({"after": "x" * 201}, "after must have at most 200 characters"),
        ({"q": "\udcff"}, "q must be text"),
        ({"category": "\ud800"}, "category must be text"),
    ],
)
def test_what_is_too_much_is_refused_in_the_same_words(fields: dict[str, str], complaint: str) -> None:
    assert asked(**fields) == (complaint, complaint)


def test_what_is_just_not_too_much_is_read() -> None:
    for q in ("x" * 200, " ".join("abcdefghij"), "\U0001f375" * 200):
        assert new.read({"q": q}).text == old.parse({"q": q}).q == q


FIELD = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(FIELD, FIELD, FIELD)
def test_an_address_leads_back_to_the_query(q: str, category: str, after: str) -> None:
    fields = {"q": q, "category": category, "after": after}
    try:
        query = new.read(fields)
    except NotUnderstood:
        return
    search = old.parse(fields)
    assert query.address() == search.link()
    assert query.address(after="x") == search.link(after="x")
    assert query.address(category="tea & co") == search.link(category="tea & co")
    assert query.address().isascii()


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html", True),
        ("TEXT/HTML;level=1;q=0.5, */*", True),
        ("application/json, text/html", False),
        ("application/json;q=0.8, text/html;q=0.9", True),
        ("text/html;q=0", False),
        ("text/html;q=nan", True),
        ("*/*", False),
        ("text/*", False),
        ("", False),
        (",;q=,", False),
    ],
)
def test_browsers_get_pages_and_programs_json(accept: str, page: bool) -> None:
    assert new_media.wants_page(accept) is page
    assert old_media.prefers(accept, "text/html") is page


PRODUCTS: list[Any] = [("TEA-008", "Sencha", "tea"), ("POT-005", "Kyusu (Grüne Kanne)", "pot")]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("sen", ["TEA-008"]),
        ("tea sen", ["TEA-008"]),
        ("ncha", []),
        ("gru kan", ["POT-005"]),
        ("GRÜN", ["POT-005"]),
        ("pot sencha", []),
        ("00", ["TEA-008", "POT-005"]),
        ("pot-005", ["POT-005"]),
        ("-", ["TEA-008", "POT-005"]),
    ],
)
def test_every_word_begins_a_word_of_the_product(q: str, found: list[str]) -> None:
    assert [sku for sku, *texts in PRODUCTS if old.parse({"q": q}).matches(sku, *texts)] == found
