"""The machinery: endpoints and the connections to them, workers, the file, the build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import InfoMetricFamily, Metric

from strangler import __version__
from strangler.exchange.sheet import WORKER, row_of
from strangler.observer.metrics.numbers import Numbers, counter, gauge, plain

_NONE: Final[dict[str, int]] = {}


def processes(numbers: Numbers) -> Iterator[Metric]:
    """The families."""
    yield from _endpoints(numbers)
    yield from _workers(numbers)
    yield plain("strangler_routes_file_faults", "Faults in the last save of routes.yaml", numbers.faults)
    yield counter(
        "strangler_reloads",
        "Saves of routes.yaml that were taken into force or refused",
        ["result"],
        [(("taken",), numbers.reloads.taken), (("refused",), numbers.reloads.refused)],
    )
    yield plain(
        "strangler_reload_last_success_timestamp_seconds",
        "When routes.yaml was last read without a fault",
        numbers.reloads.at,
    )
    yield InfoMetricFamily("strangler_build", "The version that runs", value={"version": __version__})


def _endpoints(numbers: Numbers) -> Iterator[Metric]:
    """Those of the running table only: a sheet still has the rows of others."""
    places = {
        row_of(name): (upstream.name, name.removeprefix(f"{upstream.name} "))
        for upstream in numbers.table.upstreams.values()
        for name in upstream.apart()
    }
    labels = ["upstream", "endpoint"]
    now = numbers.now
    yield counter(
        "strangler_endpoint_ejections",
        "How often workers stopped asking an endpoint",
        labels,
        ((place, numbers.rows.get(row, _NONE).get("opened", 0)) for row, place in places.items()),
    )
    yield gauge(
        "strangler_endpoint_out",
        "Workers that do not ask an endpoint now",
        labels,
        ((place, now.get((row, "out"), 0)) for row, place in places.items()),
    )
    yield gauge(
        "strangler_pool_connections",
        "Connections to an endpoint",
        [*labels, "state"],
        (
            ((*place, state), now.get((row, state), 0))
            for row, place in places.items()
            for state in ("busy", "idle")
        ),
    )
    yield gauge(
        "strangler_pool_waiting",
        "Requests that wait for a connection to an endpoint",
        labels,
        ((place, now.get((row, "waiting"), 0)) for row, place in places.items()),
    )


def _workers(numbers: Numbers) -> Iterator[Metric]:
    now, counted = numbers.now, numbers.rows.get(WORKER, _NONE)
    yield plain("strangler_workers", "Gateway workers that are alive", numbers.workers)
    yield plain(
        "strangler_connections_open", "Connections of callers that are open", now.get((WORKER, "callers"), 0)
    )
    yield counter(
        "strangler_connections_turned_away",
        "Connections of callers that were one too many",
        [],
        [((), counted.get("turned_away", 0))],
    )
    yield counter(
        "strangler_access_log_dropped_lines",
        "Lines of the access log that were let go",
        [],
        [((), counted.get("lines_dropped", 0))],
    )
    yield counter(
        "strangler_workers_cpu_seconds",
        "CPU time that the workers have taken",
        [],
        [((), counted.get("cpu_ms", 0) / 1000.0)],
    )
    yield plain(
        "strangler_workers_memory_bytes",
        "Resident memory of the workers",
        now.get((WORKER, "memory_bytes"), 0),
    )
