"""What the evidence of a while says of a step: the answers, their words, and what was seen in the while."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from strangler.compare import Difference
from strangler.evidence import PairEvidence, Rate, Releases, RouteEvidence, Sighting, Standing, Tally
from strangler.evidence.step import Seen, StepGate, alarm, duration, judge_step
from strangler.evidence.tally import Histogram
from strangler.evidence.window import extracted_rate, legacy_rate, seen_since, snapshot

GATE = StepGate(hold=60.0)
TODAY = date(2026, 11, 24)


def histogram(value: float, count: int = 10_000) -> Histogram:
    made = Histogram()
    made.add(value)
    made.buckets = type(made.buckets)(dict.fromkeys(made.buckets, count))
    return made


def seen(pairs: int = 10_000, mismatches: int = 0, errors: int = 0, **more: object) -> Seen:
    tally = Tally()
    tally.outcomes["match"], tally.outcomes["mismatch"] = pairs - mismatches, mismatches
    made = Seen(
        tally=tally,
        legacy=Rate(0, pairs),
        extracted=Rate(errors, pairs),
        legacy_wait=histogram(50.0),
        extracted_wait=histogram(50.0),
        requests=100,
        callers=100,
        since=600.0,
        moved=True,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_all_pass() -> None:
    found = judge_step(seen(), GATE)
    assert found.verdict == "pass"
    assert (found.open, found.wait) == ((), 0.0)
    assert {check.name for check in found.checks} == {
        *("hold", "match", "errors", "p99", "coverage", "requests", "callers"),
    }


BREAKING = Sighting("f", "GET", Difference("body", "$.total", "missing", "number", ""), 3, 0.0, 0.0)
SKIPPED = Tally()
SKIPPED.outcomes["match"], SKIPPED.skipped["queue_full"] = 9_000, 1_000


@pytest.mark.parametrize(
    ("given", "name", "answer", "says"),
    [
        (seen(since=20.0), "hold", "inconclusive", "the step is held for 40 s more"),
        (
            seen(pairs=1_000),
            "match",
            "inconclusive",
            "3 773 more pairs at the present rate: about 38 minutes",
        ),
        (
            seen(pairs=0),
            "match",
            "inconclusive",
            "nothing has been compared yet, 4 773 matching pairs needed",
        ),
        (seen(mismatches=200), "match", "fail", "200 of 10 000 pairs differ"),
        (seen(pairs=1_000), "errors", "inconclusive", "more requests at the present rate"),
        (
            seen(errors=200),
            "errors",
            "fail",
            "errors: 200 of 10 000 on the extracted side, 0 of 10 000 on the legacy",
        ),
        (
            seen(errors=10, pairs=9_000),
            "errors",
            "inconclusive",
            "not shown to be fewer, and not likely to be",
        ),
        (
            seen(lost=30),
            "errors",
            "inconclusive",
            "0 of 10 000 and 30 copies without an answer on the extracted side",
        ),
        (seen(extracted=Rate()), "errors", "inconclusive", "the extracted side has not been asked yet"),
        (seen(extracted_wait=histogram(80.0)), "p99", "fail", "more than 1.2 times as slow"),
        (seen(extracted_wait=histogram(50.0, 50)), "p99", "inconclusive", "more requests needed than the 50"),
        (
            seen(moved=False, extracted_wait=histogram(500.0)),
            "p99",
            "pass",
            "not asked before the first callers",
        ),
        (
            seen(tally=SKIPPED),
            "coverage",
            "inconclusive",
            "90 % of the eligible exchanges were compared, 95 % asked",
        ),
        (seen(requests=3), "requests", "inconclusive", "3 different requests were compared, 20 asked"),
        (seen(callers=19), "callers", "inconclusive", "19 different callers were compared, 20 asked"),
        (
            seen(breaking=[BREAKING]),
            "differences",
            "inconclusive",
            "1 breaking difference: missing at $.total, seen",
        ),
        (seen(unlisted=7), "unlisted", "inconclusive", "7 differences of kinds that are not listed"),
    ],
)
def test_one_question_does_not_pass(given: Seen, name: str, answer: str, says: str) -> None:
    found = judge_step(given, GATE)
    check = next(check for check in found.checks if check.name == name)
    assert (check.answer, says in check.said) == (answer, True), check.said
    if answer != "pass":
        assert found.verdict == answer or name in ("match", "errors")
        assert check in found.open


def test_what_failed_comes_first_and_nobody_can_tell_how_long_it_takes() -> None:
    found = judge_step(seen(errors=200, since=20.0), GATE)
    assert [check.answer for check in found.checks[:2]] == ["fail", "inconclusive"]
    assert (found.verdict, found.wait) == ("fail", None)


def test_the_longest_wait_is_the_steps() -> None:
    found = judge_step(seen(pairs=1_000, since=30.0), GATE)
    assert found.wait == max(check.wait or 0.0 for check in found.open)
    assert found.wait is not None
    assert found.wait > 30.0


def test_what_is_not_asked_is_not_asked() -> None:
    nothing = StepGate(match=None, errors=None, p99=None, hold=1.0)
    found = judge_step(seen(mismatches=9_999, errors=9_999, extracted_wait=histogram(9e9)), nothing)
    assert [check.name for check in found.checks] == ["hold"]
    assert found.verdict == "pass"
    assert alarm(seen(mismatches=9_999, errors=9_999, extracted_wait=histogram(9e9)), nothing, 1) == []
    assert judge_step(Seen(since=9.0), nothing, [Seen(since=9.0)]).verdict == "pass", (
        "as where nothing is copied"
    )


def test_an_alarm_says_all_that_is_worse() -> None:
    said = alarm(seen(mismatches=200, errors=200, extracted_wait=histogram(80.0)), GATE, 1)
    assert [sentence.partition(":")[0].split(" ")[0] for sentence in said] == ["match", "errors", "p99"]
    assert alarm(seen(), GATE, 1) == []
    assert alarm(seen(lost=5_000), GATE, 1) == [], "an observer that has no time loses copies, too"


def test_later_whiles_are_asked_more_sharply() -> None:
    shown = [bool(alarm(seen(pairs=1_000, mismatches=12), GATE, number)) for number in (1, 10, 1_000, 10**6)]
    assert shown == sorted(shown, reverse=True)
    assert shown[0]
    assert not shown[-1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (40, "40 s"),
        (119, "119 s"),
        (720, "12 minutes"),
        (7_300, "2 hours"),
        (432_000, "5 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# -- whiles --------------------------------------------------------------------------------------------------


def route(*tallies: Tally, sightings: tuple[Sighting, ...] = ()) -> RouteEvidence:
    pairs = [PairEvidence(Releases("1", str(number)), tally) for number, tally in enumerate(tallies)]
    pairs[-1] = replace(pairs[-1], sightings=sightings)
    return RouteEvidence("r", tuple(pairs))


def tally(**traffic: int) -> Tally:
    made = Tally()
    made.outcomes["match"] = traffic.pop("match", 0)
    made.traffic.update(traffic)
    return made


def since(evidence: RouteEvidence | None, before: object) -> Seen:
    return seen_since(evidence, before, Standing(), TODAY, since=10.0, moved=True, errors_apart=True)  # type: ignore[arg-type]


def test_a_while_is_what_came_after_it_began() -> None:
    before = snapshot(route(tally(match=10, legacy_2xx=100, extracted_2xx=50, fallback=2)))
    found = since(route(tally(match=25, legacy_2xx=160, extracted_2xx=90, fallback=5, rerouted=1)), before)
    assert found.tally.outcomes["match"] == 15
    assert (found.legacy, found.extracted) == (Rate(0, 60), Rate(4, 44))
    assert since(None, None) == Seen(since=10.0, moved=True)


def test_what_was_forgotten_meanwhile_is_not_less_than_nothing() -> None:
    before = snapshot(route(tally(legacy_2xx=1_000), tally(match=10, legacy_2xx=100)))
    found = since(RouteEvidence("r", route(tally(), tally(match=11, legacy_2xx=130)).pairs[1:]), before)
    assert (found.legacy, found.tally.outcomes["match"]) == (Rate(0, 30), 1)


def test_traffic_is_counted_over_releases_and_pairs_are_not() -> None:
    before = snapshot(route(tally(match=100, extracted_2xx=100, legacy_2xx=100)))
    now = route(
        tally(match=150, extracted_2xx=150, legacy_2xx=150), tally(match=7, extracted_5xx=3, legacy_2xx=10)
    )
    found = since(now, before)
    assert found.tally.outcomes["match"] == 7
    assert (found.legacy, found.extracted) == (Rate(0, 60), Rate(3, 53))


def test_where_the_legacy_side_was_hardly_asked_all_of_it_counts() -> None:
    first = tally(legacy_2xx=5_000, extracted_2xx=1)
    before = snapshot(route(first))
    found = since(route(tally(legacy_2xx=5_001, extracted_2xx=1_001)), before)
    assert found.legacy == Rate(0, 5_001)


def test_errors_are_what_callers_and_copies_met() -> None:
    traffic = {"extracted_2xx": 5, "extracted_5xx": 1, "extracted_failed": 2, "fallback": 4, "rerouted": 8}
    copies = {
        "shadow_extracted_ok": 100,
        "shadow_extracted_5xx": 16,
        "shadow_extracted_failed": 32,
        "refused": 99,
    }
    assert extracted_rate({**traffic, **copies}) == Rate(31, 136)
    assert legacy_rate({"legacy_4xx": 3, "legacy_failed": 1, "shadow_legacy_ok": 6}) == Rate(1, 10)


def test_a_5xx_is_an_error_and_no_breaking_difference_of_its_own() -> None:
    status = replace(BREAKING, id="s", difference=Difference("status", "", "status", "200", "500"))
    evidence = route(tally(match=5), sightings=(status, BREAKING))
    assert [each.id for each in since(evidence, None).breaking] == ["f"]
