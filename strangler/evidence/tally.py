"""Counts that add up: over batches, files and machines. Nothing here stores an average."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from strangler.evidence.observation import COMPARED, Observation
from strangler.evidence.sketch import Distinct

#: The relative error of a quantile is at most this (Masson, Rim, Lee: DDSketch, 2019, section 2).
RELATIVE_ERROR: Final = 0.02
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH: Final = math.log(_GROWTH)
#: Milliseconds. Anything shorter counts as this, anything longer as a day.
_SHORTEST: Final = 0.001
_LONGEST: Final = 86_400_000.0


@dataclass(slots=True)
class Histogram:
    """Milliseconds in buckets that grow by 4 %: counts per bucket index, sparse."""

    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, milliseconds: float) -> None:
        """Count one value. NaN counts as the longest."""
        bounded = min(max(milliseconds, _SHORTEST), _LONGEST) if not math.isnan(milliseconds) else _LONGEST
        self.buckets[math.ceil(math.log(bounded) / _LOG_GROWTH)] += 1

    def merge(self, other: Histogram) -> None:
        """Add another histogram's counts."""
        self.buckets.update(other.buckets)

    def quantile(self, share: float) -> float | None:
        """The value below which `share` (0 … 1) of the values lie, within 2 %; None when there are none."""
        total = self.buckets.total()
        if not total:
            return None
        rank = max(1, math.ceil(share * total))
        for index in sorted(self.buckets):
            rank -= self.buckets[index]
            if rank <= 0:
                break
        return _middle(index)

    def ascending(self) -> list[tuple[float, int]]:
        """The upper end of every bucket that holds something, in milliseconds, with its count."""
        return [(round(_GROWTH**index, 6), count) for index, count in sorted(self.buckets.items()) if count]

    def at_rank(self, rank: int) -> float | None:
        """The value at this rank (from 1), within 2 %; None where there is no such rank."""
        ascending = ((_middle(index), self.buckets[index]) for index in sorted(self.buckets))
        return _at_rank(ascending, rank)


def ranked(faster: Histogram, slower: Histogram, ranks: Iterable[int]) -> list[float | None]:
    """The signed values at these ranks (from 1, ascending) of the values that `faster` has with a minus; None where
    there is no such rank."""
    ascending = [(-_middle(index), faster.buckets[index]) for index in sorted(faster.buckets, reverse=True)]
    ascending += [(_middle(index), slower.buckets[index]) for index in sorted(slower.buckets)]
    return [_at_rank(ascending, rank) for rank in ranks]


def _at_rank(ascending: Iterable[tuple[float, int]], rank: int) -> float | None:
    if rank < 1:
        return None
    for value, count in ascending:
        rank -= count
        if rank <= 0:
            return value
    return None


def _middle(index: int) -> float:
    return float(2 * _GROWTH**index / (_GROWTH + 1))


@dataclass(slots=True)
class Tally:
    """Everything counted about one route at one pair of releases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[int, int]] = field(default_factory=Counter)
    legacy_ms: Histogram = field(default_factory=Histogram)
    extracted_ms: Histogram = field(default_factory=Histogram)
    slower_ms: Histogram = field(default_factory=Histogram)  # by how much extracted took longer, where it did
    faster_ms: Histogram = field(default_factory=Histogram)  # by how much it took less, or the same
    settled_ms: Histogram = field(default_factory=Histogram)  # how long transient differences lasted at most
    requests: Distinct = field(default_factory=Distinct)
    callers: Distinct = field(default_factory=Distinct)
    rules: Counter[str] = field(default_factory=Counter)  # how many pairs each rule had work with
    probes: int = 0  # pairs of which the side that answered was asked twice
    traffic: Counter[str] = field(
        default_factory=Counter
    )  # answers and failures, of callers' requests and shadows
    legacy_wait_ms: Histogram = field(
        default_factory=Histogram
    )  # what callers waited for the head of an answer
    extracted_wait_ms: Histogram = field(default_factory=Histogram)
    recent_requests: Distinct = field(
        default_factory=Distinct
    )  # as `requests`, since the route was last marked
    recent_callers: Distinct = field(default_factory=Distinct)
    since: float | None = None
    until: float | None = None

    def add(self, observation: Observation) -> None:
        """Count one observation."""
        self._see(observation.at, observation.at)
        if observation.shadow:
            self.traffic[observation.shadow] += 1
        if observation.outcome == "skipped":
            self.skipped[observation.reason or "unknown"] += 1
            return
        self.outcomes[observation.outcome] += 1
        if observation.statuses is not None:
            self.statuses[observation.statuses] += 1
        if observation.latency_ms is not None:
            self._time(*observation.latency_ms)
        if observation.settled_ms is not None:
            self.settled_ms.add(observation.settled_ms)
        self.requests.add(observation.request)
        self.callers.add(observation.caller)
        self.rules.update(observation.rules)
        self.probes += observation.probe is not None

    def _time(self, legacy: float, extracted: float) -> None:
        self.legacy_ms.add(legacy)
        self.extracted_ms.add(extracted)
        (self.slower_ms if extracted > legacy else self.faster_ms).add(abs(extracted - legacy))

    def merge(self, other: Tally) -> None:
        """Add another tally: associative and commutative."""
        self.outcomes.update(other.outcomes)
        self.skipped.update(other.skipped)
        self.statuses.update(other.statuses)
        self.legacy_ms.merge(other.legacy_ms)
        self.extracted_ms.merge(other.extracted_ms)
        self.slower_ms.merge(other.slower_ms)
        self.faster_ms.merge(other.faster_ms)
        self.settled_ms.merge(other.settled_ms)
        self.requests.merge(other.requests)
        self.callers.merge(other.callers)
        self.rules.update(other.rules)
        self.probes += other.probes
        self.traffic.update(other.traffic)
        self.legacy_wait_ms.merge(other.legacy_wait_ms)
        self.extracted_wait_ms.merge(other.extracted_wait_ms)
        self.recent_requests.merge(other.recent_requests)
        self.recent_callers.merge(other.recent_callers)
        if other.since is not None and other.until is not None:
            self._see(other.since, other.until)

    def _see(self, since: float, until: float) -> None:
        self.since = since if self.since is None else min(self.since, since)
        self.until = until if self.until is None else max(self.until, until)

    @property
    def compared(self) -> int:
        """Exchanges that were compared, whatever came out."""
        return sum(self.outcomes[outcome] for outcome in COMPARED)

    @property
    def eligible(self) -> int:
        """Exchanges that should have been compared: those that were, and those skipped under a reason."""
        return self.compared + self.skipped.total()

    @property
    def pairs(self) -> int:
        """What the match rate is counted over. A transient is evidence neither for nor against."""
        return self.compared - self.outcomes["transient"]

    @property
    def matches(self) -> int:
        """Pairs that count as agreeing: match, noise and accepted."""
        return self.pairs - self.outcomes["mismatch"]


def total(tallies: Iterable[Tally]) -> Tally:
    """One tally that holds all of them."""
    everything = Tally()
    for tally in tallies:
        everything.merge(tally)
    return everything


def plain(counter: Mapping[str, int]) -> dict[str, int]:
    """The counts above zero, by name."""
    return {name: counter[name] for name in sorted(counter) if counter[name] > 0}
