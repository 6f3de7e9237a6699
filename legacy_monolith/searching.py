"""What somebody looks for in the catalogue, and whether a product is that. Pure.

Every word that is asked for has to begin a word of the product: of its name, its category or its sku. Capitals and
accents make no difference. inventory has the same in its own words, with an index instead of a scan.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from legacy_monolith.errors import Malformed

LONGEST: Final = 200  # characters of a field
MOST_WORDS: Final = 10

_WORDS = re.compile(r"[^\W_]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Search:
    """`q` as it was written, and its words; a category; the sku after which to go on. All of it may be empty."""

    q: str
    words: tuple[str, ...]
    category: str
    after: str

    def matches(self, sku: str, *texts: str) -> bool:
        """Say whether a product with this sku, and these texts to be found by, is looked for."""
        if sku <= self.after:
            return False
        there = words(" ".join((*texts, sku)))
        return all(any(each.startswith(word) for each in there) for word in self.words)

    def link(self, **change: str) -> str:
        """Give the address of this search, with some of its fields changed, and from its beginning."""
        fields = {"q": self.q, "category": self.category, "after": ""} | change
        query = urlencode([field for field in fields.items() if field[1]])
        return "/catalogue" + ("?" + query if query else "")


def parse(query: Mapping[str, str]) -> Search:
    """Read what somebody looks for. Raises Malformed."""
    given = [query.get(name, "") for name in ("q", "category", "after")]
    for name, text in zip(("q", "category", "after"), given, strict=True):
        if len(text) > LONGEST:
            raise Malformed(f"{name} must have at most {LONGEST} characters")
        if _SURROGATE.search(text):
            raise Malformed(f"{name} must be text")
    q, category, after = given
    wanted = tuple(words(q))
    if len(wanted) > MOST_WORDS:
        raise Malformed(f"q must have at most {MOST_WORDS} words")
    return Search(q, wanted, category, after)


def words(text: str) -> list[str]:
    """Split a text into its words, each of them once, as far as it makes a difference."""
    # Folding a letter may part it from an accent, which then goes too.
    folded = _without_accents(_without_accents(text).casefold())
    return list(dict.fromkeys(_WORDS.findall(folded)))


def _without_accents(text: str) -> str:
    """Drop all marks (M of the Unicode categories), after taking letters and their marks apart."""
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text) if unicodedata.category(letter)[0] != "M"
    )
