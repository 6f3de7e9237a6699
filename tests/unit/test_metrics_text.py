"""The text of /metrics, made from numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from strangler.control import Reloads
from strangler.exchange.sheet import FASTEST, GROWTH, SLOWEST
from strangler.observer.metrics import NAMES, Numbers, render
from strangler.observer.metrics.coverage import EXPECTED
from strangler.observer.metrics.traffic import BOUNDS
from strangler.routes import Table, parse

ROUTES = """
version: 1
upstreams:
  old: {url: "http://127.0.0.1:8001"}
  new: {url: ["http://127.0.0.1:8002", "http://127.0.0.1:8003"]}
legacy: old
routes:
  - {name: pay, match: "/pay/{id}", extracted: new, share: 12.5%, shadow: 100%}
  - {name: quiet, match: "/quiet", extracted: new, share: 1%}
  - {name: idle, match: "/idle", extracted: new}
"""

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def table() -> Table:
    return parse(ROUTES.encode(), file="routes.yaml", check_rule=lambda *rule: None)


def shown(**numbers: Any) -> Series:
    text = render(Numbers(table(), **numbers)).decode()
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def of(series: Series, name: str, **labels: str) -> dict[str, float]:
    """Values by the labels that are left."""
    return {
        ",".join(value for key, value in places if key not in labels): number
        for (each, places), number in series.items()
        if each == name and labels.items() <= dict(places).items()
    }


def test_every_name_is_there_from_the_beginning() -> None:
    families = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(render(Numbers(table())).decode())
    }
    waits = render(Numbers(table(), totals={("pay", "legacy_wait_0"): 1})).decode()
    families |= {"strangler_build_info"} - {"strangler_build"}
    assert families - {"strangler_build"} <= set(NAMES)
    assert set(NAMES) <= families | {"strangler_wait_seconds"}
    assert "# TYPE strangler_wait_seconds histogram" in waits


def test_what_may_be_rated_begins_at_nought() -> None:
    series = shown()
    assert of(series, "strangler_requests_total", route="pay") == dict.fromkeys(
        ("legacy,2xx", "legacy,5xx", "extracted,2xx", "extracted,5xx"), 0.0
    )
    assert of(series, "strangler_upstream_failures_total", route="pay") == {"legacy": 0.0, "extracted": 0.0}
    assert of(series, "strangler_fallbacks_total", route="pay") == dict.fromkeys(
        ("fallback", "rerouted", "refused"), 0.0
    )
    assert of(series, "strangler_exchanges_skipped_total", route="pay") == dict.fromkeys(EXPECTED, 0.0)
    assert of(series, "strangler_shadows_total", route="pay") == dict.fromkeys(
        ("match", "transient", "mismatch", "skipped"), 0.0
    )
    assert of(series, "strangler_exchanges_skipped_total", route="quiet") == {}, "nothing of it is copied"


def test_of_a_route_that_nothing_was_done_with_only_the_shares_are_told() -> None:
    outcomes = dict.fromkeys(("match", "noise", "accepted", "transient", "mismatch"), 0)
    said = {
        "route": "idle",
        "outcomes": outcomes,
        "verdict": "inconclusive",
        "match_rate": {"estimate": None},
    }
    of_idle = [key for key in shown(report={"routes": [said]}) if ("route", "idle") in key[1]]
    assert sorted(name for name, _ in of_idle) == [
        "strangler_route_shadow_ratio",
        "strangler_route_share_ratio",
    ]
    counted = shown(totals={("idle", "legacy_4xx"): 1}, report={"routes": [said]})
    assert of(counted, "strangler_requests_total", route="idle")["legacy,5xx"] == 0
    assert of(counted, "strangler_route_verdict", route="idle")["inconclusive"] == 1


def test_waits_are_a_histogram_in_seconds() -> None:
    series = shown(
        totals={
            ("pay", "extracted_wait_0"): 3,  # up to 1 ms, and more than 0.96
            ("pay", "extracted_wait_58"): 2,  # about 10 ms
            ("pay", f"extracted_wait_{SLOWEST}"): 1,
        }
    )
    buckets = of(series, "strangler_wait_seconds_bucket", route="pay", side="extracted")
    assert list(buckets) == [*(str(bound) for bound in BOUNDS), "+Inf"]
    assert [buckets[edge] for edge in ("0.0005", "0.001", "0.005", "0.01", "0.025", "60.0", "+Inf")] == [
        *(0, 3, 3, 5, 5, 5, 6)
    ]
    assert of(series, "strangler_wait_seconds_count", route="pay") == {"extracted": 6}
    assert of(series, "strangler_wait_seconds_sum", route="pay")["extracted"] == pytest.approx(
        3 * 0.00098 + 2 * 0.00998 + 60, rel=0.001
    )
    assert of(series, "strangler_wait_seconds_count", route="quiet") == {}


@given(st.lists(st.floats(0.1, 57_000.0), min_size=1, max_size=50))
def test_the_sum_is_within_two_percent_and_every_bound_too(milliseconds: list[float]) -> None:
    totals: dict[tuple[str, str], int] = {}
    for each in milliseconds:
        bucket = min(max(math.ceil(math.log(each) / math.log(GROWTH)), FASTEST), SLOWEST - 1)
        totals["pay", f"legacy_wait_{bucket}"] = totals.get(("pay", f"legacy_wait_{bucket}"), 0) + 1
    series = shown(totals=totals)
    seconds = [each / 1000 for each in milliseconds]
    assert of(series, "strangler_wait_seconds_sum")["pay,legacy"] == pytest.approx(sum(seconds), rel=0.0201)
    buckets = of(series, "strangler_wait_seconds_bucket", route="pay", side="legacy")
    assert buckets["+Inf"] == len(seconds)
    for bound in BOUNDS[:-1]:
        surely = sum(each <= bound * 0.979 for each in seconds)
        perhaps = sum(each <= bound * 1.021 for each in seconds)
        assert surely <= buckets[str(bound)] <= perhaps


def test_reasons_come_from_the_workers_and_from_the_evidence() -> None:
    series = shown(
        totals={("pay", "body_too_large"): 2, ("pay", "worker_lost"): 3, ("pay", "handed"): 9},
        booked={
            ("pay", "body_too_large"): 1,  # the shadow's answer, this time
            ("pay", "worker_lost"): 4,
            ("pay", "too_complex"): 1,
            ("pay", "skipped"): 2,
            ("pay", "mismatch"): 5,
        },
    )
    skipped = of(series, "strangler_exchanges_skipped_total", route="pay")
    assert {reason: count for reason, count in skipped.items() if count} == {
        "body_too_large": 3,
        "worker_lost": 7,
        "too_complex": 1,
    }
    assert of(series, "strangler_shadows_total", route="pay") == {
        "match": 0,
        "transient": 0,
        "mismatch": 5,
        "skipped": 2,
    }


def test_what_the_report_says() -> None:
    outcomes = {"match": 90, "noise": 3, "accepted": 2, "transient": 1, "mismatch": 4}
    ramp = {"held": {"by": "rollback", "why": "it was worse"}}
    report = {
        "routes": [
            {
                "route": "pay",
                "outcomes": outcomes,
                "verdict": "fail",
                "match_rate": {"estimate": 0.96, "low": 0.9},
                "ramp": ramp,
            },
            {
                "route": "quiet",
                "outcomes": dict.fromkeys(outcomes, 0),
                "verdict": "inconclusive",
                "match_rate": {"estimate": None, "low": 0.0},
            },
        ]
    }
    series = shown(report=report)
    assert of(series, "strangler_report_up") == {"": 1}
    assert of(series, "strangler_evidence_pairs", route="pay") == outcomes
    assert of(series, "strangler_match_rate_low_ratio") == {"pay": 0.9}, "no pairs are not a rate of nought"
    assert of(series, "strangler_route_verdict", route="pay") == {"pass": 0, "fail": 1, "inconclusive": 0}
    assert of(series, "strangler_ramp_held") == {"rollback,pay": 1, "hand,pay": 0}


def test_without_a_report_nothing_is_said_of_the_evidence() -> None:
    series = shown()
    assert of(series, "strangler_report_up") == {"": 0}
    for name in ("strangler_evidence_pairs", "strangler_route_verdict", "strangler_ramp_held"):
        assert of(series, name) == {}
    assert of(series, "strangler_route_share_ratio") == {"pay": 0.125, "quiet": 0.01, "idle": 0.0}


def test_endpoints_are_those_of_the_table_and_no_others() -> None:
    gone, here = "/new 10.0.0.1:80", "/new 127.0.0.1:8003"
    series = shown(
        totals={(gone, "opened"): 7, (here, "opened"): 2},
        now={(gone, "out"): 1, (here, "out"): 1, (here, "busy"): 3, (here, "idle"): 4, (here, "waiting"): 5},
    )
    assert of(series, "strangler_endpoint_out") == {
        "127.0.0.1:8001,old": 0,
        "127.0.0.1:8002,new": 0,
        "127.0.0.1:8003,new": 1,
    }
    place = {"upstream": "new", "endpoint": "127.0.0.1:8003"}
    assert of(series, "strangler_endpoint_ejections_total", **place) == {"": 2}
    assert of(series, "strangler_pool_connections", **place) == {"busy": 3, "idle": 4}
    assert of(series, "strangler_pool_waiting", **place) == {"": 5}


def test_workers_and_the_file() -> None:
    worker = {"callers": 5, "feed_bytes": 6, "copies_bytes": 7, "instead": 8, "memory_bytes": 9}
    series = shown(
        totals={("/", "turned_away"): 1, ("/", "lines_dropped"): 2, ("/", "cpu_ms"): 1500},
        now={("/", name): value for name, value in worker.items()},
        reloads=Reloads(3, 4, 1e9),
    )
    plain = {name: value for (name, labels), value in series.items() if not labels}
    assert plain["strangler_connections_open"] == 5
    assert plain["strangler_feed_waiting_bytes"] == 6
    assert plain["strangler_copies_bytes"] == 7
    assert plain["strangler_fallbacks_under_way"] == 8
    assert plain["strangler_workers_memory_bytes"] == 9
    assert plain["strangler_connections_turned_away_total"] == 1
    assert plain["strangler_access_log_dropped_lines_total"] == 2
    assert plain["strangler_workers_cpu_seconds_total"] == 1.5
    assert of(series, "strangler_reloads_total") == {"taken": 3, "refused": 4}
    assert plain["strangler_reload_last_success_timestamp_seconds"] == 1e9


def test_a_route_that_has_left_the_table_keeps_what_it_counted() -> None:
    series = shown(totals={("gone", "legacy_2xx"): 2, ("", "legacy_4xx"): 1})
    assert of(series, "strangler_requests_total", route="gone") == {"legacy,2xx": 2}
    assert of(series, "strangler_requests_total", route="") == {"legacy,4xx": 1}
