"""The table as the ledger tells it, at any moment since it began; and what has changed behind its back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from strangler.compare import printable
from strangler.cutover.definition import definition
from strangler.cutover.errors import BadValue
from strangler.cutover.ledger import Entry, History
from strangler.routes import Table, format_percent, parse_percent


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says of a route; None: it does not say."""

    definition: str | None = None
    share: str | None = None
    shadow: str | None = None


class Difference(NamedTuple):
    """What the file says otherwise than the ledger. "" is nothing."""

    route: str
    key: str
    before: str
    after: str


def standing_at(entries: Iterable[Entry], at: str | None = None) -> dict[str, Known]:
    """Every route as the entries leave it, up to and including the moment `at` (ISO 8601, UTC, as in the ledger)."""
    routes: dict[str, Known] = {}
    for entry in entries:
        if at is not None and entry.at > at:
            break
        known = routes.get(entry.route, Known())
        if entry.key == "route":
            if entry.to:
                routes[entry.route] = replace(known, definition=entry.to)
            else:
                routes.pop(entry.route, None)
        elif entry.key == "share":
            routes[entry.route] = replace(known, share=entry.to)
        elif entry.key == "shadow":
            routes[entry.route] = replace(known, shadow=entry.to)
    return routes


def table_at(history: History, moment: datetime, now: datetime) -> tuple[dict[str, Known], int]:
    """The routes as they stood at a moment, and the number of the last entry until then. Raises BadValue."""
    at = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if moment > now:
        raise BadValue(f"{at} is still to come")
    if not history.entries:
        raise BadValue("the ledger is empty: nothing is known of the past")
    if at < history.entries[0].at:
        raise BadValue(f"the ledger begins at {history.entries[0].at}: nothing is known of {at}")
    number = sum(1 for entry in history.entries if entry.at <= at)
    return standing_at(history.entries, at), number


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """`2026-11-22`, `2026-11-22T14:05` or `2026-11-22T13:05:00Z`; `zone` is that of a time without one. BadValue.

    A day is meant as it stood in the end, and today as it stands now.
    """
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == len("2026-11-22"):
            begin = moment.replace(tzinfo=zone).astimezone(zone)
            end = moment.replace(hour=23, minute=59, second=59, microsecond=999_000, tzinfo=zone).astimezone(
                zone
            )
            return now if begin <= now < end else end
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        said = printable(text, 60)
        raise BadValue(f"{said!r} is no time: write 2026-11-22T14:05, perhaps with Z or +01:00") from None


def differences(known: dict[str, Known], table: Table, *, all_routes: bool) -> list[Difference]:
    """What the table says otherwise. Without `all_routes`, only of values that the ledger has already told."""
    found = []
    for route in table.routes:
        told = known.get(route.name, Known())
        said = Known(definition(route), format_percent(route.share), format_percent(route.shadow))
        for key, before, after, first in (
            ("route", told.definition, said.definition, ""),
            ("share", told.share, said.share, "0%"),
            ("shadow", told.shadow, said.shadow, "0%"),
        ):
            assert after is not None
            new = before is None and all_routes and after != first
            if new or (before and before != after):
                found.append(Difference(route.name, key, before or "", after))
    if all_routes:
        names = {route.name for route in table.routes}
        found += [
            Difference(name, "route", told.definition, "")
            for name, told in known.items()
            if name not in names and told.definition is not None
        ]
    return found


def share_after(history: History, route: str, number: int) -> str:
    """The share of a route right after an entry, counted from 1. Raises BadValue."""
    if not 1 <= number <= len(history.entries):
        raise BadValue(f"the ledger has no entry {number}; it has {len(history.entries)}")
    known = standing_at(history.entries[:number]).get(route)
    if known is None or (known.share is None and known.definition is None):
        raise BadValue(f"entry {number} and those before it do not tell the share of {route}")
    return known.share or "0%"


def is_lower(share: str, than: str) -> bool:
    """Whether a share is lower than another, both as they are written."""
    return parse_percent(share) < parse_percent(than)
