"""The numbers on /metrics, read from the sheets and the running table whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from strangler.exchange.sheet import GATEWAY_SKIPS, INSTEAD, TRAFFIC
from strangler.routes import Table

#: Every metric there is; docs/operations.md describes each, or a test fails.
NAMES: Final = (
    "strangler_requests_total",
    "strangler_upstream_failures_total",
    "strangler_retries_total",
    "strangler_fallbacks_total",
    "strangler_endpoint_ejections_total",
    "strangler_endpoint_out",
    "strangler_exchanges_handed_total",
    "strangler_exchanges_skipped_total",
    "strangler_exchanges_under_way",
    "strangler_observations_unrecorded_total",
    "strangler_evidence_write_faults_total",
    "strangler_route_share_percent",
    "strangler_route_shadow_percent",
    "strangler_routes_file_faults",
    "strangler_workers",
)

Totals = Mapping[tuple[str, str], int]


def render(
    *,
    totals: Totals,
    out: Mapping[str, int],
    table: Table,
    faults: int,
    under_way: int,
    unrecorded: int,
    store_faults: int,
    workers: int,
) -> bytes:
    """The Prometheus text of the present numbers. Route "" is what no route claims.

    `out` says of endpoints for how many of the living workers they are out of order.
    """
    registry = CollectorRegistry(auto_describe=False)
    gauges = {
        "strangler_exchanges_under_way": ("Exchanges whose shadow is being asked", float(under_way)),
        "strangler_routes_file_faults": ("Faults in the last save of routes.yaml", float(faults)),
        "strangler_workers": ("Gateway workers that are alive", float(workers)),
    }
    registry.register(
        _Numbers(
            [
                *_traffic(totals),
                *_instead(totals),
                *_endpoints(totals, out),
                *_coverage(totals, unrecorded, store_faults),
                *_shares(table),
                *_plain(gauges),
            ]
        )
    )
    return generate_latest(registry)


class _Numbers(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _traffic(totals: Totals) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "strangler_requests", "Requests answered by a side", labels=["route", "side", "status"]
    )
    failures = CounterMetricFamily(
        "strangler_upstream_failures", "Requests a side gave no whole answer to", labels=["route", "side"]
    )
    retries = CounterMetricFamily(
        "strangler_retries", "Requests sent again after a stale connection", labels=["route"]
    )
    for (route, column), count in sorted(totals.items()):
        side, _, what = column.partition("_")
        if column == "retried":
            retries.add_metric([route], count)
        elif column in TRAFFIC:
            if what == "failed":
                failures.add_metric([route, side], count)
            else:
                requests.add_metric([route, side, what], count)
    yield from (requests, failures, retries)


def _instead(totals: Totals) -> Iterator[Metric]:
    found = CounterMetricFamily(
        "strangler_fallbacks",
        "Requests that the legacy side was to answer in the extracted side's place",
        labels=["route", "how"],
    )
    for (route, column), count in sorted(totals.items()):
        if column in INSTEAD:
            found.add_metric([route, column], count)
    yield found


def _endpoints(totals: Totals, out: Mapping[str, int]) -> Iterator[Metric]:
    """An endpoint's row is named by a slash, its upstream and its address."""
    labels = ["upstream", "endpoint"]
    ejected = CounterMetricFamily(
        "strangler_endpoint_ejections", "How often workers stopped asking an endpoint", labels=labels
    )
    for (row, column), count in sorted(totals.items()):
        if column == "opened":
            ejected.add_metric(row.removeprefix("/").split(" "), count)
    now = GaugeMetricFamily(
        "strangler_endpoint_out", "Workers that do not ask an endpoint now", labels=labels
    )
    for row, workers in sorted(out.items()):
        now.add_metric(row.removeprefix("/").split(" "), workers)
    yield from (ejected, now)


def _coverage(totals: Totals, unrecorded: int, store_faults: int) -> Iterator[Metric]:
    handed = CounterMetricFamily(
        "strangler_exchanges_handed", "Exchanges handed to the observer", labels=["route"]
    )
    skipped = CounterMetricFamily(
        "strangler_exchanges_skipped", "Eligible exchanges a gateway let go", labels=["route", "reason"]
    )
    for (route, column), count in sorted(totals.items()):
        if column == "handed":
            handed.add_metric([route], count)
        elif column in GATEWAY_SKIPS:
            skipped.add_metric([route, column], count)
    lost = CounterMetricFamily(
        "strangler_observations_unrecorded", "Observations that the evidence could not take"
    )
    lost.add_metric([], unrecorded)
    failed = CounterMetricFamily("strangler_evidence_write_faults", "Attempts to write evidence that failed")
    failed.add_metric([], store_faults)
    yield from (handed, skipped, lost, failed)


def _shares(table: Table) -> Iterator[Metric]:
    share = GaugeMetricFamily("strangler_route_share_percent", "Share of callers", labels=["route"])
    shadow = GaugeMetricFamily("strangler_route_shadow_percent", "Share of requests copied", labels=["route"])
    for route in table.routes:
        share.add_metric([route.name], route.share / 1000)
        shadow.add_metric([route.name], route.shadow / 1000)
    yield from (share, shadow)


def _plain(gauges: Mapping[str, tuple[str, float]]) -> Iterator[Metric]:
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(name, text, value=value)
