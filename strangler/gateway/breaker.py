"""When an endpoint is asked no more, and when it is tried again. Pure: times are arguments, in seconds.

Closed, it is asked. It opens when too many of the latest requests failed. Once it has been open for a while one request
tries whether it is well again: that closes it, or opens it for twice as long.

A success costs one addition. What is older than the window is dropped when somebody asks, which is when a request
fails: until then nobody needs to know.
"""

from __future__ import annotations

from typing import Protocol

#: Whoever tries and is not heard of again within so many seconds has learned nothing: another may try.
TRIAL = 30.0
#: However often it fails again, it is tried after so many seconds.
LONGEST_OPEN = 60.0


class Rules(Protocol):
    """When to open (`routes.Breaking` is one). `failures` is in thousandths of a percent."""

    @property
    def failures(self) -> int:
        """The share of failures that opens it."""

    @property
    def least(self) -> int:
        """Fewer requests than this say nothing."""

    @property
    def window(self) -> float:
        """How long a request counts."""

    @property
    def open(self) -> float:
        """How long it is open at first."""


class Breaker:
    """One endpoint's breaker. `good` is counted up by whoever has had an answer."""

    __slots__ = (
        "_bad",
        "_earlier_bad",
        "_earlier_good",
        "_length",
        "_rules",
        "_since",
        "_trial",
        "_until",
        "good",
    )

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._until: float | None = None  # open until then; None: closed
        self._trial: float | None = None  # somebody has been trying since then
        self._length = rules.open
        self.good = self._bad = self._earlier_good = self._earlier_bad = 0
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<Breaker {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Nobody but a trial is to ask."""
        return self._until is not None

    @property
    def is_tried(self) -> bool:
        """Somebody is trying whether it is well again."""
        return self._trial is not None

    def failed(self, now: float) -> bool:
        """A request has failed. True when that has opened it, or kept it open."""
        if self._until is not None:
            if self._trial is not None:
                self._length = min(2 * self._length, LONGEST_OPEN)
                self._until = now + self._length
                self._trial = None
            return True
        self._turn(now)
        self._bad += 1
        bad = self._bad + self._earlier_bad
        count = bad + self.good + self._earlier_good
        if count < self._rules.least or bad * 100_000 < self._rules.failures * count:
            return False
        self._until = now + self._length
        return True

    def may_try(self, now: float, *, patient: float = 0.0) -> bool:
        """True once, when it has been open for long enough: whoever is told so asks, and says how it went.

        `patient` is how many seconds more the asker would rather wait.
        """
        if self._until is None or now < self._until + patient:
            return False
        if self._trial is not None and now < self._trial + TRIAL:
            return False
        self._trial = now
        return True

    def give_up(self) -> None:
        """Whoever tried has learned nothing. Another may try."""
        self._trial = None

    def close(self, now: float) -> None:
        """It is well again."""
        self._until = None
        self._trial = None
        self._length = self._rules.open
        self._forget(now)

    def _turn(self, now: float) -> None:
        """Let go of what is older than one window, or two halves of what was counted since."""
        age = now - self._since
        if age > 2 * self._rules.window:
            self._forget(now)
        elif age > self._rules.window:
            self._earlier_good, self._earlier_bad = self.good, self._bad
            self.good = self._bad = 0
            self._since = now

    def _forget(self, now: float) -> None:
        self.good = self._bad = self._earlier_good = self._earlier_bad = 0
        self._since = now
