"""What a monitor wants to know of the events, and of the catalogue, in the text format of Prometheus."""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime

from extracted.inventory import arrivals, deliveries, outbox, projecting

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Every metric, its kind and what it says.
METRICS: Mapping[str, tuple[str, str]] = {
    "shop_events_total": ("counter", "Events that were written to the outbox."),
    "shop_events_behind": ("gauge", "Events that a consumer should have and has not."),
    "shop_events_lag_seconds": ("gauge", "Age of the oldest event that a consumer should have and has not."),
    "shop_events_dead_letters": ("gauge", "Events that could not be delivered and wait for a person."),
    "shop_catalogue_events_total": ("counter", "Events that the catalogue was projected from."),
    "shop_catalogue_behind": ("gauge", "Events that the catalogue does not show yet."),
    "shop_catalogue_lag_seconds": ("gauge", "For how long the oldest of these has been here."),
    "shop_catalogue_waited_seconds": ("gauge", "How long the oldest event of the last batch had been here."),
    "shop_catalogue_complete": ("gauge", "1 where the history lacks nothing, as far as can be known."),
    "shop_catalogue_bodiless": ("gauge", "Events of the history of which only the id was kept."),
    "shop_catalogue_missing": (
        "gauge",
        "Events from before the import that have not come; absent where nobody has counted them.",
    ),
    "shop_catalogue_unreadable": ("gauge", "Events of the history that this release does not understand."),
}


def text(db: sqlite3.Connection, now: float) -> str:
    """Give all metrics; `now` is in seconds since the epoch."""
    lags, catalogue = deliveries.lags(db), projecting.standing(db)
    missing = catalogue.holes.missing
    values: dict[str, Iterable[tuple[str, float]]] = {
        "shop_events_total": [("", outbox.last(db))],
        "shop_events_behind": [(_label(each.consumer), each.events) for each in lags],
        "shop_events_lag_seconds": [(_label(each.consumer), _age(each.since, now)) for each in lags],
        "shop_events_dead_letters": [
            *((_label(each.consumer), each.dead) for each in lags),
            *((_label(consumer), number) for consumer, number in arrivals.counts(db).items()),
        ],
        "shop_catalogue_events_total": [("", catalogue.state.events)],
        "shop_catalogue_behind": [("", catalogue.behind)],
        "shop_catalogue_lag_seconds": [("", _age(catalogue.since, now))],
        "shop_catalogue_waited_seconds": [("", catalogue.state.waited)],
        "shop_catalogue_complete": [("", not catalogue.lacks)],
        "shop_catalogue_bodiless": [("", catalogue.holes.bodiless)],
        "shop_catalogue_missing": [] if missing is None else [("", missing)],
        "shop_catalogue_unreadable": [("", catalogue.state.unreadable)],
    }
    lines = []
    for name, (kind, words) in METRICS.items():
        lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{label} {value:g}" for label, value in values[name]]
    return "\n".join(lines) + "\n"


def _label(consumer: str) -> str:
    return f'{{consumer="{consumer}"}}'  # a name needs no escapes: `events_command` sees to that


def _age(since: str | None, now: float) -> float:
    return max(0.0, round(now - datetime.fromisoformat(since).timestamp(), 3)) if since else 0.0
