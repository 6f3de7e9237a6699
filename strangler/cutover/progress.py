"""How far the whole migration is: what the monolith no longer answers, what is finished, what can be deleted. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, TypedDict

from strangler.evidence import Served, timestamp
from strangler.routes import WHOLE, Table

HOUR: Final = 3600.0
DAY: Final = 24
#: Hours that are told one by one.
TOLD_HOURS: Final = 48
#: Days without a question to the legacy side after which a finished route can be deleted there.
IDLE_DAYS: Final = 7.0


class Sides(TypedDict):
    """Callers that each side answered."""

    legacy: int
    extracted: int


class DayMoved(TypedDict):
    """A day in UTC, such as `2026-11-24`; `moved` is None when no caller came."""

    day: str
    moved: float | None
    requests: int


class HourMoved(TypedDict):
    """An hour in which callers came; `hour` is when it began (ISO 8601, UTC)."""

    hour: str
    moved: float
    requests: int


class Deletable(TypedDict):
    """A finished route whose legacy side nobody asks. `last_asked` (ISO 8601) is None when nobody ever did."""

    route: str
    days: float
    last_asked: str | None


class Progress(TypedDict):
    """The migration as a whole; shares from 0 to 1."""

    moved: float | None
    requests: int
    over_time: list[DayMoved]
    by_hour: list[HourMoved]
    routes: dict[str, Sides]
    unclaimed: int
    finished: list[str]
    can_be_deleted: list[Deletable]
    idle_days: float


def progress(table: Table, served: Iterable[Served], now: float, idle_days: float = IDLE_DAYS) -> Progress:
    """The migration at `now` (Unix seconds), out of who was asked in which hour.

    `moved` is the share of the last 24 hours' requests that the legacy side did not answer (0 … 1, None without
    any), `over_time` the same by day, `by_hour` the same for each of the last 48 hours in which anybody asked.
    `finished` routes are at 100 %; `can_be_deleted` those of them whose legacy side
    was not asked for `idle_days`, by callers or for shadows. What happened before the evidence began is not known.
    """
    rows = list(served)
    recent = int(now // HOUR) - DAY + 1
    lately = [row for row in rows if row.hour >= recent]
    finished = [route.name for route in table.routes if route.share == WHOLE]
    return {
        "moved": _moved(lately),
        "requests": sum(row.count for row in lately if row.name in ("legacy", "extracted")),
        "over_time": [
            {"day": timestamp(day * DAY * HOUR)[:10], "moved": _moved(of_day), "requests": _callers(of_day)}
            for day, of_day in sorted(_by_day(rows).items())
        ],
        "by_hour": list(_by_hour(rows, int(now // HOUR) - TOLD_HOURS + 1)),
        "routes": {name: _sides(of_route) for name, of_route in _by_route(lately).items() if name},
        "unclaimed": _callers([row for row in lately if not row.route]),
        "finished": finished,
        "can_be_deleted": list(_idle(finished, rows, now, idle_days)),
        "idle_days": idle_days,
    }


def _by_hour(rows: Iterable[Served], first: int) -> Iterator[HourMoved]:
    """The hours from `first` on in which callers came, the oldest first."""
    hours: defaultdict[int, list[Served]] = defaultdict(list)
    for row in rows:
        if row.hour >= first:
            hours[row.hour].append(row)
    for hour, of_hour in sorted(hours.items()):
        moved = _moved(of_hour)
        if moved is not None:
            yield {"hour": timestamp(hour * HOUR), "moved": moved, "requests": _callers(of_hour)}


def _idle(finished: Iterable[str], rows: list[Served], now: float, idle_days: float) -> Iterator[Deletable]:
    begin = min((row.hour for row in rows), default=int(now // HOUR))
    asked: dict[str, int] = {}
    for row in rows:
        if row.name in ("legacy", "shadow_legacy") and row.count:
            asked[row.route] = max(row.hour, asked.get(row.route, 0))
    for name in finished:
        last = asked.get(name)
        days = (now - ((last + 1) if last is not None else begin) * HOUR) / (DAY * HOUR)
        if days >= idle_days:
            since = None if last is None else timestamp((last + 1) * HOUR)
            yield {"route": name, "days": round(days, 1), "last_asked": since}


def _moved(rows: Iterable[Served]) -> float | None:
    sides = _sides(rows)
    total = sides["legacy"] + sides["extracted"]
    return sides["extracted"] / total if total else None


def _sides(rows: Iterable[Served]) -> Sides:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.name] += row.count
    return {"legacy": counts["legacy"], "extracted": counts["extracted"]}


def _callers(rows: Iterable[Served]) -> int:
    sides = _sides(rows)
    return sides["legacy"] + sides["extracted"]


def _by_day(rows: Iterable[Served]) -> dict[int, list[Served]]:
    days: defaultdict[int, list[Served]] = defaultdict(list)
    for row in rows:
        days[row.hour // DAY].append(row)
    return days


def _by_route(rows: Iterable[Served]) -> dict[str, list[Served]]:
    routes: defaultdict[str, list[Served]] = defaultdict(list)
    for row in rows:
        routes[row.route].append(row)
    return routes
