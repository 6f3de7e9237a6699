"""Looking for products: the words that a product is found by, and what a caller asks for. Pure.

    GET /catalogue?q=green+tea&category=tea&after=TEA-004

finds the products of a category of which every word of `q` begins one of their search words. Capitals and accents
make no difference.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from extracted.inventory.problems import Malformed

MOST_CHARACTERS = 200
MOST_WORDS = 10

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller looks for: `text` as it was written, its words, a category, and the sku to go on after."""

    text: str = ""
    words: tuple[str, ...] = ()
    category: str = ""
    after: str = ""

    def address(self, *, category: str | None = None, after: str = "") -> str:
        """Give where the same is looked for in another category, or further on."""
        fields = {"q": self.text, "category": self.category if category is None else category, "after": after}
        wanted = urlencode({name: value for name, value in fields.items() if value})
        return f"/catalogue?{wanted}" if wanted else "/catalogue"


def read(fields: Mapping[str, str]) -> Query:
    """Read the query of a request. Raises Malformed."""
    text, category, after = (fields.get(name, "") for name in ("q", "category", "after"))
    for name, value in (("q", text), ("category", category), ("after", after)):
        if len(value) > MOST_CHARACTERS:
            raise Malformed(f"{name} must have at most {MOST_CHARACTERS} characters")
        if not _is_text(value):
            raise Malformed(f"{name} must be text")
    words = words_of(text)
    if len(words) > MOST_WORDS:
        raise Malformed(f"q must have at most {MOST_WORDS} words")
    return Query(text, words, category, after)


def words_of(*texts: str) -> tuple[str, ...]:
    """Give the words of texts, each once: without capitals and accents, letters and digits only."""
    return tuple(dict.fromkeys(_WORD.findall(" ".join(map(_plain, texts)))))


def _plain(text: str) -> str:
    # Once more after the folding, which may bring accents of its own: https://www.unicode.org/reports/tr15/
    return _bare(_bare(text).casefold())


def _bare(text: str) -> str:
    if text.isascii():  # as nearly all are, and a long history has many
        return text
    apart = unicodedata.normalize("NFKD", text)
    return "".join(each for each in apart if not unicodedata.category(each).startswith("M"))


def _is_text(value: str) -> bool:
    """Whether it can be told as UTF-8: half a surrogate pair cannot."""
    return not any("\ud800" <= each <= "\udfff" for each in value)
