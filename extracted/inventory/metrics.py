"""What a monitor wants to know of the events, and of the catalogue, in the text format of Prometheus."""

import sqlite3
from collections.abc import Mapping

from extracted.inventory import projecting
from shop_events import metrics as events
from shop_events.metrics import age_of

CONTENT_TYPE = events.CONTENT_TYPE

#: Every metric, its kind and what it says.
METRICS: Mapping[str, tuple[str, str]] = {
    **events.METRICS,
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
    catalogue = projecting.standing(db)
    missing = catalogue.holes.missing
    values: events.Values = {
        **events.values(db, now),
        "shop_catalogue_events_total": [("", catalogue.state.events)],
        "shop_catalogue_behind": [("", catalogue.behind)],
        "shop_catalogue_lag_seconds": [("", age_of(catalogue.since, now))],
        "shop_catalogue_waited_seconds": [("", catalogue.state.waited)],
        "shop_catalogue_complete": [("", not catalogue.lacks)],
        "shop_catalogue_bodiless": [("", catalogue.holes.bodiless)],
        "shop_catalogue_missing": [] if missing is None else [("", missing)],
        "shop_catalogue_unreadable": [("", catalogue.state.unreadable)],
    }
    return events.render(METRICS, values)
