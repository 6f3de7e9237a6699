"""What the table says of each route, and what the report says of it by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import Metric

from strangler.observer.metrics.numbers import Numbers, Sample, gauge, plain

_VERDICTS: Final = ("pass", "fail", "inconclusive")
_HOLDERS: Final = ("rollback", "hand")
_OUTCOMES: Final = ("match", "noise", "accepted", "transient", "mismatch")


def judgement(numbers: Numbers) -> Iterator[Metric]:
    """The families."""
    table = numbers.table
    yield gauge(
        "strangler_route_share_ratio",
        "Share of callers, 0 to 1",
        ["route"],
        (((route.name,), route.share / 100_000) for route in table.routes),
    )
    yield gauge(
        "strangler_route_shadow_ratio",
        "Share of requests copied, 0 to 1",
        ["route"],
        (((route.name,), route.shadow / 100_000) for route in table.routes),
    )
    yield plain("strangler_report_up", "Whether the report could be had in time", numbers.report is not None)
    routes = _judged(numbers)
    yield gauge(
        "strangler_evidence_pairs",
        "Compared pairs at the current releases, as judged by now",
        ["route", "outcome"],
        (((each["route"], name), each["outcomes"][name]) for each in routes for name in _OUTCOMES),
    )
    yield gauge(
        "strangler_match_rate_low_ratio",
        "The lowest match rate that the evidence leaves possible",
        ["route"],
        (
            ((each["route"],), each["match_rate"]["low"])
            for each in routes
            if each["match_rate"]["estimate"] is not None
        ),
    )
    yield gauge(
        "strangler_route_verdict",
        "1 for the verdict on a route, 0 for the others",
        ["route", "verdict"],
        (((each["route"], name), each["verdict"] == name) for each in routes for name in _VERDICTS),
    )
    yield gauge(
        "strangler_ramp_held", "1 for whoever holds a ramp where it is", ["route", "by"], _held(routes)
    )


def _judged(numbers: Numbers) -> list[Mapping[str, Any]]:
    """What the report says of each route, without those of which there is nothing to be said."""
    if numbers.report is None:
        return []
    return [
        each
        for each in numbers.report["routes"]
        if each["route"] in numbers.active or any(each["outcomes"].values())
    ]


def _held(routes: list[Mapping[str, Any]]) -> Iterator[Sample]:
    for each in routes:
        if "ramp" in each:
            held = each["ramp"]["held"]
            for holder in _HOLDERS:
                yield (each["route"], holder), held is not None and held["by"] == holder
