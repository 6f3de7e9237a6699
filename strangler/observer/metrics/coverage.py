"""What became of the exchanges that were to be compared, and what waits on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric

from strangler.exchange.sheet import GATEWAY_SKIPS, WORKER
from strangler.observer.metrics.numbers import Numbers, Sample, counter, plain

#: What becomes of a shadow, as it is booked. Whether a difference is noise is judged later, and anew each time.
OUTCOMES: Final = ("match", "transient", "mismatch", "skipped")
#: Reasons that come all at once and seldom: they are there at 0 wherever copies are taken.
EXPECTED: Final = (
    *GATEWAY_SKIPS,
    *("shadow_timeout", "shadow_unreachable", "shadow_broken", "shadow_busy"),
    *("store_full", "observer_restart", "worker_lost", "observer_failed"),
)
#: Reasons that are on the workers' sheets, or come from them.
_COUNTED: Final = (*GATEWAY_SKIPS, "worker_lost")


def coverage(numbers: Numbers) -> Iterator[Metric]:
    """The families."""
    yield counter(
        "strangler_exchanges_handed",
        "Exchanges handed to the observer",
        ["route"],
        (
            ((route,), columns.get("handed", 0))
            for route, columns in numbers.routes
            if route in numbers.shadowed or "handed" in columns
        ),
    )
    yield counter(
        "strangler_exchanges_skipped",
        "Exchanges that were not compared",
        ["route", "reason"],
        _skips(numbers),
    )
    yield counter(
        "strangler_shadows", "What became of exchanges handed over", ["route", "outcome"], _outcomes(numbers)
    )
    yield counter(
        "strangler_observations_unrecorded",
        "Observations that the evidence could not take",
        [],
        [((), numbers.unrecorded)],
    )
    yield counter(
        "strangler_evidence_write_faults",
        "Attempts to write evidence that failed",
        [],
        [((), numbers.write_faults)],
    )
    for name, text, value in (
        ("exchanges_under_way", "Exchanges whose shadow is being asked", numbers.under_way),
        ("copies_bytes", "Bytes of copies in the making", numbers.now.get((WORKER, "copies_bytes"), 0)),
        (
            "feed_waiting_bytes",
            "Bytes of copies that wait for the observer",
            numbers.now.get((WORKER, "feed_bytes"), 0),
        ),
        ("evidence_queue_entries", "Entries that wait to be written as evidence", numbers.queued),
        ("evidence_size_bytes", "Size of the files of the evidence", numbers.evidence_bytes),
    ):
        yield plain(f"strangler_{name}", text, value)


def _skips(numbers: Numbers) -> Iterator[Sample]:
    found = Counter({(route, reason): 0 for route in numbers.shadowed for reason in EXPECTED})
    for route, columns in numbers.routes:
        for reason in _COUNTED:
            if reason in columns:
                found[route, reason] += columns[reason]
    for (route, what), count in numbers.booked.items():
        if what not in OUTCOMES:
            found[route, what] += count
    yield from sorted(found.items())


def _outcomes(numbers: Numbers) -> Iterator[Sample]:
    found = Counter({(route, outcome): 0 for route in numbers.shadowed for outcome in OUTCOMES})
    for (route, what), count in numbers.booked.items():
        if what in OUTCOMES:
            found[route, what] += count
    yield from sorted(found.items())
