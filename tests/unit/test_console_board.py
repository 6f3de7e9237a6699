"""The board as a value: rows, the migration's line, sparklines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from strangler.compare import fault as rule_fault
from strangler.console.board import MINUTES, MOST_ROWS, board, moved, slots
from strangler.console.route_page import distribution, matrix
from strangler.console.words import milliseconds, moment, per_second, share
from strangler.evidence import RouteFacts, build
from strangler.routes import parse
from tests.support.console import TEXT

NOW = datetime(2026, 11, 26, 14, 5, 30, tzinfo=UTC)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def at_minute(back: int, **counts: int) -> dict[str, Any]:
    return {"at": iso((NOW - timedelta(minutes=back)).replace(second=0)), **counts}


def a_side(requests: int = 100, errors: int = 1, p99: float | None = 4.5) -> dict[str, Any]:
    return {"requests": requests, "errors": errors, "error_rate": errors / requests, "p99_ms": p99}


def lately(**routes: Any) -> dict[str, Any]:
    return {
        "at": iso(NOW),
        "seconds": 59.6,
        "since": iso(NOW - timedelta(minutes=10)),
        "minutes": [],
        "routes": routes,
        "unclaimed": {"requests_per_second": 1.5, "legacy": a_side()},
    }


PROGRESS = {
    "moved": 0.25,
    "requests": 4,
    "finished": ["done"],
    "can_be_deleted": [],
    "by_hour": [],
    "over_time": [],
}


def table(text: str = TEXT) -> Any:
    return parse(text.encode(), file="routes.yaml", check_rule=rule_fault)


def report(running: Any) -> dict[str, Any]:
    facts = [
        RouteFacts(route.name, route.stage, route.share / 1000, route.shadow / 1000, route.extracted)
        for route in running.routes
    ]
    return dict(build(facts, {}, NOW.timestamp()))


def test_a_row_says_where_a_route_stands() -> None:
    running = table()
    now = {
        "requests_per_second": 2.0,
        "legacy": a_side(),
        "extracted": a_side(errors=5, p99=None),
        "minutes": [at_minute(0, requests=1, pairs=1, mismatches=7)],
    }
    shown = board(running, report(running), lately(read=now), PROGRESS)
    row, quiet = shown["rows"]
    assert (row["name"], row["match"], row["stage"], row["share"]) == (
        "read",
        "GET /payments/{id}",
        "shadow",
        0.0,
    )
    assert (row["errors"], row["p99"], row["per_second"]) == ((0.01, 0.05), (4.5, None), 2.0)
    assert row["minutes"][-1] == 7
    assert (row["verdict"], row["reason"]) == ("inconclusive", "no exchange has been compared yet")
    assert (quiet["per_second"], quiet["errors"], set(quiet["minutes"])) == (None, (None, None), {None})
    assert shown["whole"]["per_second"] == 3.5
    assert (shown["whole"]["finished"], shown["whole"]["routes"], shown["whole"]["fails"]) == (1, 2, [])


def test_a_ramp_that_fails_or_is_held_shows() -> None:
    running = table()
    found = report(running)
    ramp = {"steps": [1.0, 5.0], "verdict": "fail", "waits": "goes to 0%: errors", "held": None}
    found["routes"][0]["ramp"] = ramp
    (row, _) = board(running, found, lately(), PROGRESS)["rows"]
    assert (row["verdict"], row["reason"], row["steps"], row["held"]) == (
        "fail",
        "goes to 0%: errors",
        [1.0, 5.0],
        False,
    )
    found["routes"][0]["ramp"] = ramp | {"held": {"by": "hand", "why": "no"}}
    assert board(running, found, lately(), PROGRESS)["rows"][0]["held"] is True


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["read", "<b>&pay"]),
        ("PAY", ["read", "<b>&pay"]),
        ("get /pay", ["read"]),
        ("<B>", ["<b>&pay"]),
        ("x", []),
    ],
)
def test_rows_can_be_narrowed_down(query: str, names: list[str]) -> None:
    running = table()
    shown = board(running, report(running), lately(), PROGRESS, query=query)
    assert [row["name"] for row in shown["rows"]] == names


def test_of_ten_thousand_routes_the_first_are_shown_and_the_rest_are_counted() -> None:
    lines = "".join(
        f"  - {{name: r{n}, match: GET /r{n}, extracted: payments, share: 0%, shadow: 0%}}\n"
        for n in range(300)
    )
    running = table(TEXT[: TEXT.index("  - name")] + lines)
    shown = board(running, report(running), lately(), PROGRESS)
    assert (len(shown["rows"]), shown["hidden"], shown["many"]) == (MOST_ROWS, 300 - MOST_ROWS, True)


def test_a_minute_that_was_not_watched_is_not_a_minute_without_mismatches() -> None:
    found = slots(
        [at_minute(0, mismatches=3), at_minute(2, mismatches=0), at_minute(500, mismatches=9)], iso(NOW)
    )
    assert len(found) == MINUTES
    assert found[-4:] == [None, 0, None, 3]
    assert set(found[:-4]) == {None}


def test_the_line_of_the_migration_has_a_hole_where_nothing_is_known() -> None:
    told = lately()
    told["minutes"] = [
        at_minute(9, legacy=3, extracted=1),
        at_minute(8, legacy=0, extracted=0),
        at_minute(3, legacy=1, extracted=1),
    ]
    found = moved("hour", told, PROGRESS)
    assert found["y"] == [25.0, None, None, 50.0]
    assert found["x"] == sorted(found["x"])


def test_the_line_over_days_and_hours() -> None:
    told = PROGRESS | {
        "by_hour": [{"hour": "2026-11-26T13:00:00.000Z", "moved": 0.5, "requests": 2}],
        "over_time": [{"day": "2026-11-26", "moved": None, "requests": 0}],
    }
    assert moved("hours", lately(), told)["y"] == [50.0]
    assert moved("days", lately(), told)["y"] == [None]
    assert moved("days", lately(), told)["empty"].endswith("second day of traffic.")


def test_statuses_as_a_matrix() -> None:
    found = matrix(
        [{"legacy": 200, "extracted": 500, "count": 3}, {"legacy": 404, "extracted": 200, "count": 1}]
    )
    assert found == {
        "columns": [200, 500],
        "rows": [(200, [(200, 0), (500, 3)]), (404, [(200, 1), (500, 0)])],
    }


def test_latencies_are_drawn_as_percent_of_each_side() -> None:
    found = distribution({"legacy": [(1.0, 1), (1.04, 2), (10.0, 1)], "extracted": []})
    assert sum(value for value in found["legacy"] if value) == pytest.approx(100.0)
    assert set(found["extracted"]) == {None}
    assert found["x"][-1] >= 10.0
    assert dict(found["quantiles"])["legacy"] == {"times": [1.04, 10.0, 10.0], "requests": 4}
    assert distribution({"legacy": [], "extracted": []})["x"] == []


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.4213, "0.421 ms"), (12.34, "12.3 ms"), (123.4, "123 ms"), (1250.0, "1.25 s")],
)
def test_milliseconds(value: float | None, said: str) -> None:
    assert milliseconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (0, "0/s"), (0.25, "0.25/s"), (12.34, "12.3/s"), (12345.6, "12 346/s")]
)
def test_requests_a_second(value: float | None, said: str) -> None:
    assert per_second(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (1e-9, "under 0.01 %"),
        (0.0021, "0.21 %"),
        (0.66617, "66.62 %"),
        (0.99999, "over 99.99 %"),
        (1.0, "100 %"),
    ],
)
def test_shares(value: float | None, said: str) -> None:
    assert share(value) == said


def test_moments() -> None:
    assert moment("2026-11-24T14:02:11.120Z") == "2026-11-24 14:02:11 UTC"
    assert (moment("2026-11-24"), moment(None), moment("")) == ("2026-11-24", "–", "–")
