"""What callers met: answers, failures and waits, by route and side."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily, Metric

from strangler.exchange.sheet import FASTEST, GROWTH, INSTEAD, SLOWEST, TRAFFIC, WORKER
from strangler.observer.metrics.numbers import SIDES, Numbers, Sample, counter, plain

#: The upper bounds of the histogram of waits, in seconds.
BOUNDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
_EDGES: Final = (*(str(bound) for bound in BOUNDS), "+Inf")

#: Status classes that are there at 0 for every active route.
_EXPECTED: Final = frozenset({"2xx", "5xx"})


def _middle(bucket: int) -> float:
    """The seconds that a bucket of the sheet stands for, within 2 %."""
    return float(2 * GROWTH**bucket / (GROWTH + 1)) / 1000.0


def _places() -> Iterator[tuple[str, tuple[str, int, float]]]:
    for bucket in range(FASTEST, SLOWEST + 1):
        slowest = bucket == SLOWEST  # it holds whatever is slower, too
        seconds = BOUNDS[-1] if slowest else _middle(bucket)
        place = len(BOUNDS) if slowest else bisect_left(BOUNDS, seconds)
        for side in SIDES:
            yield f"{side}_wait_{bucket}", (side, place, seconds)


#: Column of a sheet -> side, which of the histogram's buckets, seconds.
_PLACES: Final = dict(_places())


def traffic(numbers: Numbers) -> Iterator[Metric]:
    """The families."""
    yield counter(
        "strangler_requests",
        "Requests answered by a side",
        ["route", "side", "status"],
        _requests(numbers),
    )
    yield counter(
        "strangler_upstream_failures",
        "Requests a side gave no whole answer to",
        ["route", "side"],
        (
            ((route, side), columns.get(f"{side}_failed", 0))
            for route, columns in numbers.routes
            for side in SIDES
            if route in numbers.active or f"{side}_failed" in columns
        ),
    )
    yield _waits(numbers)
    yield counter(
        "strangler_retries",
        "Requests sent again after a stale connection",
        ["route"],
        (((route,), columns.get("retried", 0)) for route, columns in numbers.routes),
    )
    yield counter(
        "strangler_fallbacks",
        "Requests that the legacy side was to answer in the extracted side's place",
        ["route", "how"],
        (
            ((route, how), columns.get(how, 0))
            for route, columns in numbers.routes
            for how in INSTEAD
            if route in numbers.active or how in columns
        ),
    )
    yield plain(
        "strangler_fallbacks_under_way",
        "Requests that the legacy side is answering in the extracted side's place",
        numbers.now.get((WORKER, "instead"), 0),
    )


def _requests(numbers: Numbers) -> Iterator[Sample]:
    for route, columns in numbers.routes:
        expected = _EXPECTED if route in numbers.active else ()
        for column in TRAFFIC:
            side, _, status = column.partition("_")
            if status != "failed" and (column in columns or status in expected):
                yield (route, side, status), columns.get(column, 0)


def _waits(numbers: Numbers) -> Metric:
    family = HistogramMetricFamily(
        "strangler_wait_seconds",
        "How long callers waited for the head of an answer",
        labels=["route", "side"],
    )
    for route, columns in numbers.routes:
        for side, (counts, total) in _sums(columns).items():
            buckets = list(zip(_EDGES, accumulate(counts), strict=True))
            family.add_metric([route, side], buckets, total)
    return family


def _sums(columns: Mapping[str, int]) -> dict[str, tuple[list[int], float]]:
    """Per side how many waits are in each of the histogram's buckets, and their sum in seconds."""
    counts: dict[str, list[int]] = {}
    sums: dict[str, float] = {}
    for column, count in columns.items():
        if (found := _PLACES.get(column)) is not None:
            side, place, seconds = found
            counts.setdefault(side, [0] * len(_EDGES))[place] += count
            sums[side] = sums.get(side, 0.0) + seconds * count
    return {side: (counts[side], sums[side]) for side in SIDES if side in counts}
