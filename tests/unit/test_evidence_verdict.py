from collections import Counter

import pytest

from strangler.compare import Difference
from strangler.evidence import Gate, Sighting, Tally, judge
from strangler.evidence.verdict import number, percent


def tally(match: int = 0, mismatch: int = 0, transient: int = 0, **skipped: int) -> Tally:
    outcomes = Counter({"match": match, "mismatch": mismatch, "transient": transient})
    return Tally(outcomes=outcomes, skipped=Counter(skipped))


def sighting(kind: str, count: int = 1) -> Sighting:
    return Sighting("id", "GET", Difference("body", "$.a", kind, "number", "string"), count, 0, 0)  # type: ignore[arg-type]


def test_no_evidence_is_inconclusive() -> None:
    verdict = judge(Tally(), Gate())
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons == ("no exchange has been compared yet",)


def test_only_transients_are_inconclusive() -> None:
    assert judge(tally(transient=3), Gate()).reasons == ("no pair has settled yet: 3 transient",)


def test_too_few_pairs_say_how_many_are_missing() -> None:
    verdict = judge(tally(match=1000), Gate())
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons == (
        "match rate is at least 99.554 % (confidence 95 %), the gate asks 99.9 %",
        "3 773 more matching pairs needed",
    )


def test_enough_pairs_pass() -> None:
    verdict = judge(tally(match=4773), Gate())
    assert verdict.verdict == "pass"
    assert verdict.reasons == ("match rate is at least 99.9 % (confidence 95 %), the gate asks 99.9 %",)


def test_a_rate_that_is_ruled_out_fails() -> None:
    verdict = judge(tally(match=1140, mismatch=30), Gate())
    assert verdict.verdict == "fail"
    assert verdict.reasons[0] == "match rate is at most 98.738 % (confidence 95 %), the gate asks 99.9 %"


def test_what_was_not_seen_keeps_the_gate_shut() -> None:
    verdict = judge(tally(match=10_000, queue_full=900, body_too_large=100), Gate())
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons[1] == (
        "1 000 of 11 000 eligible exchanges were not compared (queue_full 900, body_too_large 100):"
        " coverage is 90.909 %, the gate asks 95 %"
    )


def test_a_few_skipped_are_told_but_do_not_matter() -> None:
    verdict = judge(tally(match=10_000, queue_full=1), Gate())
    assert verdict.verdict == "pass"
    assert verdict.reasons[1] == "1 of 10 001 eligible exchanges was not compared (queue_full)"


def test_something_breaking_is_said_first_and_never_passes() -> None:
    seen = [sighting("value", 9), sighting("type", 3)]
    verdict = judge(tally(match=100_000, mismatch=3), Gate(), seen)
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons[0] == "1 breaking difference: type at $.a, seen 3 times"


def test_a_status_has_no_place() -> None:
    seen = Sighting("id", "GET", Difference("status", "", "status", "200", "404"), 54, 0, 0)
    verdict = judge(tally(mismatch=54), Gate(), [seen])
    assert verdict.reasons[0] == "1 breaking difference: status, seen 54 times"


def test_a_difference_that_breaks_nothing_may_pass() -> None:
    assert judge(tally(match=100_000, mismatch=3), Gate(), [sighting("value", 3)]).verdict == "pass"


def test_unlisted_differences_are_told() -> None:
    assert "2 further differences" in judge(tally(match=1), Gate(), unlisted=2).reasons[-1]


def test_a_gate_that_nothing_can_pass_says_so() -> None:
    verdict = judge(tally(match=1000), Gate(match=1.0))
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons[1] == "no number of pairs proves a match rate of 100 %"


@pytest.mark.parametrize(
    ("share", "up", "text"),
    [(0.9996, False, "99.96 %"), (0.999999, False, "99.999 %"), (0.001, True, "0.1 %"), (1.0, True, "100 %"),
     (0.999, False, "99.9 %"), (0.0000001, True, "0.001 %"), (0.0, True, "0 %")],
)  # fmt: skip
def test_percentages_err_on_the_careful_side(share: float, up: bool, text: str) -> None:
    assert percent(share, up=up) == text


def test_numbers() -> None:
    assert [number(count) for count in (0, 999, 1000, 1234567)] == ["0", "999", "1 000", "1 234 567"]
