"""The reader of PromQL that the tests of dashboards and alerts rest on: what is wrong is found."""

from __future__ import annotations

import pytest

from tests.support.promql import read, wrong

RENDERED = {
    "requests_total": [{"route": "a", "side": "legacy"}, {"route": "a", "side": "extracted"}],
    "wait_seconds_bucket": [{"route": "a", "le": "1.0"}],
    "workers": [{}],
}


@pytest.mark.parametrize(
    "text",
    [
        "workers",
        "workers > 0.5",
        'sum(rate(requests_total{side="legacy"}[5m])) / sum(rate(requests_total[$__rate_interval]))',
        'sum by (job, route) (rate(requests_total{side=~"legacy|extracted", route=~"$route"}[5m]))',
        "histogram_quantile(0.99, sum by (le, route) (rate(wait_seconds_bucket[5m])))",
        "requests_total == 1 and on (instance, route) wait_seconds_bucket > 0",
        'count(requests_total{job="x"} > 0) or vector(0)',
    ],
)
def test_what_is_there_is_right(text: str) -> None:
    assert list(wrong(text, RENDERED)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate(request_total[5m])", "no metric request_total"),
        ("wait_seconds", "no metric wait_seconds"),
        ('requests_total{rout="a"}', "requests_total has no label rout"),
        ('requests_total{side="new"}', "no series requests_total{side='new'}"),
        ('requests_total{side=~"legacy|new"}', "no series requests_total{side=~'legacy|new'}"),
        ("sum by (le) (rate(requests_total[5m]))", "requests_total cannot be grouped by le"),
        (
            "histogram_quantile(0.9, sum by (le, side) (rate(wait_seconds_bucket[5m])))",
            "wait_seconds_bucket cannot be grouped by side",
        ),
        ("requests_total and on (side) wait_seconds_bucket", "wait_seconds_bucket cannot be grouped by side"),
        (
            "sum by (route) (requests_total) / sum by (route) (workers)",
            "workers cannot be grouped by route",
        ),
    ],
)
def test_what_is_not_there_is_found(text: str, said: str) -> None:
    assert list(wrong(text, RENDERED)) == [said]


@pytest.mark.parametrize(
    "text",
    ["rates(requests_total[5m])", "sum without (le) (workers)", "sum(workers", "a{b}", "workers @ 5", "rate"],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)
