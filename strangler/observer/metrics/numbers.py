"""What /metrics is made from: one moment's numbers, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from strangler.control import Reloads
from strangler.routes import Table

Totals = Mapping[tuple[str, str], int]
Sample = tuple[tuple[str, ...], float]

SIDES: Final = ("legacy", "extracted")
_NONE: Final[Mapping[str, int]] = {}


@dataclass(frozen=True)
class Numbers:
    """Everything that /metrics shows.

    `totals` are counts and `now` gauges by (row, column) of the workers' sheets; `booked` is what became of exchanges,
    by (route, outcome or reason). `report` is a report on all routes, None when it could not be had. `queued` entries
    wait to be written into the evidence, whose files take `evidence_bytes`.
    """

    table: Table
    totals: Totals = field(default_factory=dict)
    now: Totals = field(default_factory=dict)
    booked: Totals = field(default_factory=dict)
    workers: int = 0
    faults: int = 0
    reloads: Reloads = field(default_factory=Reloads)
    under_way: int = 0
    unrecorded: int = 0
    queued: int = 0
    write_faults: int = 0
    evidence_bytes: int = 0
    report: Mapping[str, Any] | None = None

    @cached_property
    def rows(self) -> Mapping[str, Mapping[str, int]]:
        """`totals` row by row."""
        rows: dict[str, dict[str, int]] = {}
        for (row, column), count in self.totals.items():
            rows.setdefault(row, {})[column] = count
        return rows

    @cached_property
    def active(self) -> frozenset[str]:
        """The routes of the running table that anything has been done with: counted, copied or given a share."""
        return frozenset(
            route.name
            for route in self.table.routes
            if route.share or route.shadow or self.rows.get(route.name)
        )

    @cached_property
    def shadowed(self) -> frozenset[str]:
        """Those of which copies are taken."""
        return frozenset(route.name for route in self.table.routes if route.shadow)

    @cached_property
    def routes(self) -> list[tuple[str, Mapping[str, int]]]:
        """Every route that is active or was counted, with its counts: names in order, first what no route claims."""
        counted = {row for row in self.rows if not row.startswith("/")}
        return [(route, self.rows.get(route, _NONE)) for route in sorted(counted | self.active)]


def counter(name: str, text: str, labels: Iterable[str], samples: Iterable[Sample]) -> CounterMetricFamily:
    """A counter, named without its `_total`."""
    family = CounterMetricFamily(name, text, labels=tuple(labels))
    for values, count in samples:
        family.add_metric(values, count)
    return family


def gauge(name: str, text: str, labels: Iterable[str], samples: Iterable[Sample]) -> GaugeMetricFamily:
    """A gauge."""
    family = GaugeMetricFamily(name, text, labels=tuple(labels))
    for values, value in samples:
        family.add_metric(values, value)
    return family


def plain(name: str, text: str, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)
