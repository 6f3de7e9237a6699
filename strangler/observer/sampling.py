"""A look at all counts every few seconds: what the evidence has explained by now, and what has passed lately."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from strangler.cutover.standing import explained, judged_now
from strangler.evidence import Lately, Ring, Sample, lately, outcomes_of, sampled
from strangler.evidence.lately import RATES, Counts
from strangler.routes import Table

#: Seconds between two looks, if a look takes less than the fiftieth part of a core in that time. Otherwise it is done
#: less often, but never so seldom that a minute has none.
EVERY: Final = 5.0
SELDOM: Final = 45.0
_RESTS: Final = 49


class Sampling:
    """Takes samples of `totals`, the gateways' counts by route and column. Looks are taken by one thread at a time."""

    def __init__(self, state: Path, totals: Callable[[], Counts]) -> None:
        self._state = state
        self._totals = totals
        self._ring = Ring()
        self._told: tuple[Ring, Lately] | None = None
        self.took = 0.0
        """How much of a core's time the last look was, in seconds."""

    @property
    def rest(self) -> float:
        """Seconds to wait before the next look."""
        return min(max(EVERY, _RESTS * self.took), SELDOM)

    def look(self, table: Table, now: float) -> Mapping[str, frozenset[str]]:
        """Take a sample at `now` (Unix seconds); per route the fingerprints that are noise, or accepted, by now.

        Raises evidence.StoreError; then there is no sample.
        """
        began = time.thread_time()
        try:
            known = judged_now(table, self._state, now)
            self._ring = sampled(self._ring, Sample(now, self._totals(), outcomes_of(known)))
            return explained(known)
        finally:
            self.took = time.thread_time() - began

    def lately(self, now: float) -> Lately:
        """What has passed lately, at `now` (Unix seconds). Made once for each sample."""
        ring, told = self._ring, self._told
        if told is None or told[0] is not ring or ring.last is None or now - ring.last.at > RATES:
            told = self._told = (ring, lately(ring, now))
        return told[1]
