"""The board: every route in a row, and the migration as a whole, out of what the JSON API tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from strangler.console.views import pairs
from strangler.cutover.definition import claims
from strangler.routes import Route, Table

#: Rows on one page. Who has more routes narrows them down.
MOST_ROWS: Final = 200
#: From so many routes on there is something to narrow down.
MANY: Final = 20
#: Minutes that a sparkline shows.
MINUTES: Final = 60

#: What the chart of the migration may be over.
RANGES: Final = (("hour", "last hour"), ("hours", "two days"), ("days", "all days"))


def board(
    table: Table,
    report: Mapping[str, Any],
    lately: Mapping[str, Any],
    progress: Mapping[str, Any],
    *,
    over: str = "hour",
    query: str = "",
) -> dict[str, Any]:
    """What the board shows. `query` is part of a route's name, path or upstream; an unknown `over` is the hour."""
    over = over if over in dict(RANGES) else "hour"
    found = {route["route"]: route for route in report["routes"]}
    wanted = [route for route in table.routes if route.name in found and _contains(route, query)]
    return {
        "at": report["generated_at"],
        "seconds": round(lately["seconds"]),
        "since": lately["since"],
        "over": over,
        "ranges": RANGES,
        "query": query,
        "many": len(table.routes) >= MANY,
        "hidden": max(0, len(wanted) - MOST_ROWS),
        "rows": [_row(route, found[route.name], lately) for route in wanted[:MOST_ROWS]],
        "whole": _whole(table, report, lately, progress),
        "moved": moved(over, lately, progress),
    }


def moved(over: str, lately: Mapping[str, Any], progress: Mapping[str, Any]) -> dict[str, Any]:
    """The share of requests that the extracted side answered, over time: Unix seconds and percent, None for a gap."""
    if over == "hour":
        points = [(each["at"], _share(each["legacy"], each["extracted"])) for each in lately["minutes"]]
        said, step = "by minute", 60
    elif over == "hours":
        points = [(each["hour"], each["moved"]) for each in progress["by_hour"]]
        said, step = "by hour", 3600
    else:
        points = [(f"{each['day']}T00:00:00Z", each["moved"]) for each in progress["over_time"]]
        said, step = "by day", 86_400
    times = [datetime.fromisoformat(at).timestamp() for at, _ in points]
    values = [None if value is None else round(100 * value, 3) for _, value in points]
    x, y = _with_gaps(times, values, step)
    return {
        "x": x,
        "y": y,
        "over": said,
        "empty": "The chart begins with the second "
        + {60: "minute", 3600: "hour"}.get(step, "day")
        + " of traffic.",
    }


def slots(minutes: Sequence[Mapping[str, Any]], now: str) -> list[int | None]:
    """Mismatches in each of the last `MINUTES` minutes, the newest last; None for one that was not watched."""
    last = datetime.fromisoformat(now).replace(second=0, microsecond=0)
    known = {
        datetime.fromisoformat(each["at"]).replace(second=0, microsecond=0): each["mismatches"]
        for each in minutes
    }
    return [known.get(last - timedelta(minutes=back)) for back in range(MINUTES - 1, -1, -1)]


def _row(route: Route, seen: Mapping[str, Any], lately: Mapping[str, Any]) -> dict[str, Any]:
    now = lately["routes"].get(route.name)
    ramp = seen.get("ramp")
    reasons = seen["reasons"]
    return {
        "key": route.line,
        "name": route.name,
        "match": claims(route),
        "stage": seen["stage"],
        "share": seen["share"],
        "shadow": seen["shadow"],
        "in_file": seen.get("file_share"),
        "steps": ramp["steps"] if ramp else [],
        "held": bool(ramp and ramp["held"]),
        "per_second": now["requests_per_second"] if now else None,
        "match_rate": seen["match_rate"],
        "pairs": pairs(dict(seen)),
        "errors": tuple(now[side]["error_rate"] if now else None for side in ("legacy", "extracted")),
        "p99": tuple(now[side]["p99_ms"] if now else None for side in ("legacy", "extracted")),
        "minutes": slots(now["minutes"] if now else (), lately["at"]),
        "verdict": ramp["verdict"] if ramp and ramp["verdict"] == "fail" else seen["verdict"],
        "reason": ramp["waits"] if ramp else reasons[0] if reasons else "",
    }


def _whole(
    table: Table, report: Mapping[str, Any], lately: Mapping[str, Any], progress: Mapping[str, Any]
) -> dict[str, Any]:
    everything = [*lately["routes"].values(), lately["unclaimed"]]
    return {
        "moved": progress["moved"],
        "requests": progress["requests"],
        "finished": len(progress["finished"]),
        "routes": len(table.routes),
        "per_second": sum(each["requests_per_second"] or 0.0 for each in everything),
        "fails": [route["route"] for route in report["routes"] if route["verdict"] == "fail"],
        "deletable": progress["can_be_deleted"],
    }


def _contains(route: Route, query: str) -> bool:
    sought = query.strip().casefold()
    return not sought or any(
        sought in text.casefold() for text in (route.name, claims(route), route.extracted)
    )


def _share(legacy: int, extracted: int) -> float | None:
    return extracted / (legacy + extracted) if legacy + extracted else None


def _with_gaps(
    times: Sequence[float], values: Sequence[float | None], step: int
) -> tuple[list[float], list[float | None]]:
    """A point without a value wherever one or more are missing, so that a chart draws no line over a gap."""
    x: list[float] = []
    y: list[float | None] = []
    for at, value in zip(times, values, strict=True):
        if x and at - x[-1] > 1.5 * step:
            x.append(x[-1] + step)
            y.append(None)
        x.append(at)
        y.append(value)
    return x, y
