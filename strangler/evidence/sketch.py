"""How many different ones there were, in bounded room: exact while they are few, an estimate beyond.

The k smallest of all hashes say how densely hashes lie (Bar-Yossef, Jayram, Kumar, Sivakumar, Trevisan 2002,
"Counting distinct elements in a data stream"; Beyer et al. 2007, "On synopses for distinct-value estimation under
multiset operations", for the unbiased estimate and for merging). The standard error is 1/sqrt(k - 2).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final, Self

#: Exact up to nearly this many, within 6 % (one standard error) beyond. Takes 8 bytes each.
KEPT: Final = 256
_SPAN: Final = 2.0**64


class Distinct:
    """A set of 64-bit hashes, of which the smallest are kept. 0 stands for nothing known and is not counted."""

    __slots__ = ("_most", "_smallest")

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._smallest: list[int] = []

    def add(self, value: int) -> None:
        """Count a hash."""
        kept = self._smallest
        if not value or (len(kept) >= self._most and value > kept[-1]):
            return
        place = bisect_left(kept, value)
        if place == len(kept) or kept[place] != value:
            kept.insert(place, value)
            del kept[self._most :]

    def merge(self, other: Distinct) -> None:
        """Count another's: what both have seen is one."""
        self._smallest = sorted({*self._smallest, *other._smallest})[: self._most]

    def count(self) -> int:
        """How many different ones."""
        kept = self._smallest
        most = self._most
        return len(kept) if len(kept) < most else round((most - 1) * _SPAN / kept[-1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Distinct) and self._smallest == other._smallest

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def data(self) -> bytes:
        """As it is kept in a file."""
        return array("Q", self._smallest).tobytes()

    @classmethod
    def of(cls, data: bytes | None, most: int = KEPT) -> Self:
        """What `data` was made from. Bytes that are none are taken for nothing seen."""
        sketch = cls(most)
        if data and len(data) % 8 == 0:
            sketch._smallest = sorted(set(array("Q", data)))[:most]
        return sketch
