"""The benchmark of judgement: what it counts as found, and that a small run finds what it should."""

from benchmarks.comparison import PAIRS, page, targets
from benchmarks.judgement import Judged, Speed, by_deepdiff, judge
from benchmarks.mistakes import MUTATIONS, TRUTH, Answer

DOCUMENTS = {
    "payment": [
        {
            "order_id": 1, "status": "captured", "method": "card", "fee": {"amount": 0.5},
            "taken_at": "2018-01-03T18:13:45Z",
        }
    ],
    "account": [
        {
            "payments": [
                {"payment_id": number, "tax": {"amount": 1.0}, "refunded": {"amount": 0.0}} for number in (1, 2, 3)
            ]
        }
    ],
}  # fmt: skip


def answer(**body: object) -> Answer:
    return Answer(200, {"X-Total": "1"}, dict(body))


def test_what_deepdiff_finds_is_said_in_our_words() -> None:
    legacy, extracted = answer(a=[{"b": 1, "c": 1}], d=1), Answer(500, {}, {"a": [{"b": "1"}, 2], "d": 2})
    assert by_deepdiff("r", legacy, extracted, ignore_order=False) == {
        ("r", "status", "", "status"),
        ("r", "header", "x-total", "header"),
        ("r", "body", "$.a[*].b", "type"),
        ("r", "body", "$.a[*].c", "missing"),
        ("r", "body", "$.a", "length"),
        ("r", "body", "$.d", "value"),
    }


def test_a_small_run_tells_no_noise_and_finds_what_is_frequent() -> None:
    ours, *_ = judge(DOCUMENTS, 400)
    assert ours.false == frozenset()
    assert ("payment", "body", "$.fee.amount", "value") in ours.found


def test_recall_precision_and_targets() -> None:
    missing = frozenset(key for key in TRUTH if key[3] == "missing")
    judged = Judged("strangler", TRUTH - missing, frozenset({("payment", "body", "$.x", "missing")}), 10.0)
    assert (judged.recall("missing"), judged.precision("missing")) == (0.0, 0.0)
    assert (judged.recall("type"), judged.precision("type")) == (1.0, 1.0)
    measured = Speed(1000, parse=10.0, ours=29.0, deepdiff=2000.0, same_ours=5.0, same_deepdiff=1000.0)
    other = Judged("deepdiff", TRUTH, frozenset(), 900.0)
    assert [met for _, _, met in targets([judged, other], measured)] == [
        *(False, False, True, True, True, False, False)
    ]
    assert "**missed**" in page([judged, other], measured, 100)


def test_every_mutation_is_one_of_its_own() -> None:
    assert len(TRUTH) == len(MUTATIONS)
    assert all(each.rate >= 0.002 for each in MUTATIONS)
    assert PAIRS == 10_000
