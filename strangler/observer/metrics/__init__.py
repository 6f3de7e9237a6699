"""The numbers on /metrics: read from the sheets, the table and the evidence whenever somebody asks.

Whatever a dashboard may rate or an alert may wait for is there at 0 before it happens first: a counter that appears
with its first event hides it from PromQL's `rate` and `increase`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from strangler.observer.metrics.coverage import coverage
from strangler.observer.metrics.judgement import judgement
from strangler.observer.metrics.numbers import Numbers
from strangler.observer.metrics.processes import processes
from strangler.observer.metrics.traffic import traffic

__all__ = ["NAMES", "Numbers", "render"]

#: Every metric there is, beside the observer's `process_…`; docs/operations.md describes each, or a test fails.
NAMES: Final = (
    "strangler_requests_total",
    "strangler_upstream_failures_total",
    "strangler_wait_seconds",
    "strangler_retries_total",
    "strangler_fallbacks_total",
    "strangler_fallbacks_under_way",
    "strangler_exchanges_handed_total",
    "strangler_exchanges_skipped_total",
    "strangler_exchanges_under_way",
    "strangler_shadows_total",
    "strangler_observations_unrecorded_total",
    "strangler_copies_bytes",
    "strangler_feed_waiting_bytes",
    "strangler_evidence_queue_entries",
    "strangler_evidence_size_bytes",
    "strangler_evidence_write_faults_total",
    "strangler_report_up",
    "strangler_evidence_pairs",
    "strangler_match_rate_low_ratio",
    "strangler_route_verdict",
    "strangler_ramp_held",
    "strangler_route_share_ratio",
    "strangler_route_shadow_ratio",
    "strangler_endpoint_out",
    "strangler_endpoint_ejections_total",
    "strangler_pool_connections",
    "strangler_pool_waiting",
    "strangler_connections_open",
    "strangler_connections_turned_away_total",
    "strangler_access_log_dropped_lines_total",
    "strangler_workers",
    "strangler_workers_cpu_seconds_total",
    "strangler_workers_memory_bytes",
    "strangler_routes_file_faults",
    "strangler_reloads_total",
    "strangler_reload_last_success_timestamp_seconds",
    "strangler_build_info",
)


def render(numbers: Numbers, others: Iterable[Collector] = ()) -> bytes:
    """The Prometheus text of these numbers, and of what other collectors give."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(
        _Families([*traffic(numbers), *coverage(numbers), *judgement(numbers), *processes(numbers)])
    )
    for other in others:
        registry.register(other)
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
