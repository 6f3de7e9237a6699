"""So many a second, and a few more at once after a pause: a token bucket per route."""

from __future__ import annotations


class Allowance:
    """`rate` a second of each name; what was not taken is saved for four seconds."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = 4 * rate
        self._left: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, name: str, now: float) -> bool:
        """Take one, when there is one. `now` is in seconds and never goes back."""
        left, since = self._left.get(name, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        taken = left >= 1.0
        self._left[name] = (left - taken, now)
        return taken
