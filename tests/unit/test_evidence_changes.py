import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.evidence import ReportError, compare_reports, read_report
from tests.unit.test_evidence_report import report

A, B = "a" * 16, "b" * 16


def made(pairs: int, routes: tuple[str, ...] = ("payment-read",), **counts: int) -> Any:
    """A report with `pairs` pairs per route, in which each named fingerprint was seen so often."""
    whole = report()
    base = whole["routes"][0]
    whole["routes"] = []
    for name in routes:
        route = copy.deepcopy(base)
        mismatches = max(counts.values(), default=0)
        route |= {"route": name}
        route["outcomes"] = {
            "match": pairs - mismatches, "noise": 0, "accepted": 0, "transient": 0, "mismatch": mismatches
        }  # fmt: skip
        entry = route["fingerprints"][0]
        route["fingerprints"] = [
            entry | {"id": letter * 16, "count": count} for letter, count in counts.items()
        ]
        whole["routes"].append(route)
    return whole


def kinds(before: Any, after: Any) -> dict[str, list[str]]:
    changes = compare_reports(before, after)
    names = ("new", "fixed", "unseen", "worse", "better", "persisting")
    return {
        name: [c.entry["id"][0] for c in getattr(changes, name)] for name in names if getattr(changes, name)
    }


CHANGES = [
    (made(300, a=90), made(300, a=90), {"persisting": ["a"]}, False),
    (made(300, a=90), made(300), {"fixed": ["a"]}, False),
    (made(300, a=3), made(20), {"unseen": ["a"]}, False),
    (made(300), made(300, a=1), {"new": ["a"]}, True),
    (made(300, a=10), made(300, a=200), {"worse": ["a"]}, True),
    (made(300, a=200), made(300, a=10), {"better": ["a"]}, False),
    (made(300, a=100), made(300, a=110), {"persisting": ["a"]}, False),
    (made(300, a=90), made(300, b=90), {"fixed": ["a"], "new": ["b"]}, True),
]


@pytest.mark.parametrize(("before", "after", "expected", "got_worse"), CHANGES)
def test_changes(before: Any, after: Any, expected: dict[str, list[str]], got_worse: bool) -> None:
    assert kinds(before, after) == expected
    changes = compare_reports(before, after)
    assert changes.got_worse is got_worse
    assert changes.comparable
    assert changes.why_not == ()


def test_a_match_rate_that_fell_is_worse_even_without_a_fingerprint() -> None:
    after = made(300)
    after["routes"][0]["outcomes"] |= {"match": 100, "mismatch": 200}
    changes = compare_reports(made(300), after)
    assert [route.direction for route in changes.routes] == ["worse"]
    assert changes.got_worse


def test_the_same_report_has_no_news() -> None:
    changes = compare_reports(report(), report())
    assert not changes.got_worse
    assert len(changes.persisting) == 7


def test_reports_made_under_other_rules_cannot_be_compared() -> None:
    before, after = made(10), made(10)
    after["routes"][0]["rules"] = [{"rule": "ignore $.at", "count": 3}]
    why = "route payment-read: the report before was made without the rule ignore $.at"
    assert compare_reports(before, after).why_not == (why,)
    del before["routes"][0]["rules"]  # by an earlier build, which did not say
    assert compare_reports(before, after).comparable


def test_noise_and_what_is_accepted_is_no_news() -> None:
    after = made(300, a=200)
    after["routes"][0]["fingerprints"][0]["outcome"] = "noise"
    assert kinds(made(300, a=1), after) == {"persisting": ["a"]}


def test_other_routes_cannot_be_compared() -> None:
    changes = compare_reports(made(10, ("a", "b")), made(10, ("b", "c")))
    assert not changes.comparable
    assert changes.why_not == ("route a is only in the report before", "route c is only in the report after")
    assert [route.route for route in changes.routes] == ["b"]


def test_what_a_hostile_report_says_stays_on_its_line() -> None:
    changes = compare_reports(made(10, ("a\n\x1b[2Jb",)), made(10, ("b",)))
    assert all(line.isprintable() for line in changes.why_not)


def test_nothing_seen_on_one_side_cannot_be_compared() -> None:
    changes = compare_reports(made(10, a=3), made(0))
    assert "route payment-read: no pair in the report after" in changes.why_not
    assert [change.entry["id"] for change in changes.unseen] == [A]


def test_a_route_without_traffic_on_both_sides_does_not_spoil_the_others() -> None:
    before, after = made(10, ("a", "b")), made(10, ("a", "b"))
    for whole in (before, after):
        whole["routes"][1]["outcomes"] = dict.fromkeys(whole["routes"][1]["outcomes"], 0)
    assert compare_reports(before, after).comparable


def test_another_format_is_not_compared() -> None:
    changes = compare_reports(report(), {"schema": "strangler.report/2"})
    assert not changes.comparable
    assert "strangler.report/2" in changes.why_not[0]


def broken(change: Any) -> Any:
    whole = report()
    change(whole)
    return whole


BAD = [
    None,
    [],
    {},
    {"schema": 7},
    {"schema": "something/else"},
    broken(lambda whole: whole.pop("routes")),
    broken(lambda whole: whole["routes"].append(whole["routes"][0])),
    broken(lambda whole: whole["routes"][0]["outcomes"].update(match="many")),
    broken(lambda whole: whole["routes"][0]["outcomes"].update(match=-1)),
    broken(lambda whole: whole["routes"][0]["outcomes"].update(match=10**400)),
    broken(lambda whole: whole["routes"][0]["fingerprints"][0].update(severity="dire")),
    broken(lambda whole: whole["routes"][0]["match_rate"].update(confidence=1)),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_what_is_not_a_report_is_refused_in_one_line(bad: Any) -> None:
    for before, after, which in ((bad, report(), "before"), (report(), bad, "after")):
        with pytest.raises(ReportError, match=f"^{which}: not a report: [^\n]+$"):
            compare_reports(before, after)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[" * 100_000, b"{}", b'{"schema": "strangler.report/9"}']
)
def test_files_that_are_not_reports(data: bytes) -> None:
    with pytest.raises(ReportError, match=r"^old\.json: [^\n]+$"):
        read_report(data, "old.json")


def test_a_report_read_from_a_file() -> None:
    assert read_report(json.dumps(report()).encode(), "x") == report()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(report()["routes"][0])), json_values)
def test_any_value_in_any_field_is_read_or_refused(field: str, value: Any) -> None:
    whole = report()
    whole["routes"][0][field] = value
    with contextlib.suppress(ReportError):
        compare_reports(report(), whole)
