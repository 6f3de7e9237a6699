"""What a monitor wants to know of the events, in the text format of Prometheus."""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime

from shop_events import arrivals, deliveries, outbox

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Every metric, its kind and what it says.
METRICS: Mapping[str, tuple[str, str]] = {
    "shop_events_total": ("counter", "Events that were written to the outbox."),
    "shop_events_behind": ("gauge", "Events that a consumer should have and has not."),
    "shop_events_lag_seconds": ("gauge", "Age of the oldest event that a consumer should have and has not."),
    "shop_events_dead_letters": ("gauge", "Events that could not be delivered and wait for a person."),
}


#: By metric, every label and its value.
Values = Mapping[str, Iterable[tuple[str, float]]]


def text(db: sqlite3.Connection, now: float) -> str:
    """Give all metrics of the events; `now` is in seconds since the epoch."""
    return render(METRICS, values(db, now))


def values(db: sqlite3.Connection, now: float) -> Values:
    """Read what the metrics of the events are now."""
    lags = deliveries.lags(db)
    return {
        "shop_events_total": [("", outbox.last(db))],
        "shop_events_behind": [(_label(each.consumer), each.events) for each in lags],
        "shop_events_lag_seconds": [(_label(each.consumer), age_of(each.since, now)) for each in lags],
        "shop_events_dead_letters": [
            *((_label(each.consumer), each.dead) for each in lags),
            *((_label(consumer), number) for consumer, number in arrivals.counts(db).items()),
        ],
    }


def render(metrics: Mapping[str, tuple[str, str]], values: Values) -> str:
    """Write metrics, each with its kind and what it says, and their values."""
    lines = []
    for name, (kind, words) in metrics.items():
        lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{label} {value:.15g}" for label, value in values[name]]
    return "\n".join(lines) + "\n"


def _label(consumer: str) -> str:
    return f'{{consumer="{consumer}"}}'  # a name needs no escapes: `events_command` sees to that


def age_of(since: str | None, now: float) -> float:
    """Give the age of a time, in seconds; of none it is nothing."""
    return max(0.0, round(now - datetime.fromisoformat(since).timestamp(), 3)) if since else 0.0
