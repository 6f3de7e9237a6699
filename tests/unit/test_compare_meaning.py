"""Rules that say what counts as the same: only, unordered, keyed, tolerance; and which rules had work to do."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import Answered, Comparison, Redactor, compare, compile_rules, fault
from strangler.compare.drift import drift

JSON = ("Content-Type", "application/json")
REDACTOR = Redactor(b"key", compile_rules())


def answer(value: Any, *headers: tuple[str, str], status: int = 200, indent: int | None = None) -> Answered:
    return Answered(status, (JSON, *headers), json.dumps(value, indent=indent).encode())


def compared(legacy: Any, extracted: Any, **rules: Any) -> Comparison:
    return compare(answer(legacy), answer(extracted, indent=1), compile_rules(**rules), REDACTOR)


def places(found: Comparison) -> list[tuple[str, str]]:
    return [(one.path, one.kind) for one in found.differences]


def test_an_allow_list_compares_nothing_else() -> None:
    legacy = {"id": 1, "noise": 1, "items": [{"price": 1, "at": 1}, {"price": 2, "at": 2}]}
    extracted = {"id": 1, "items": [{"price": 1, "at": 3}, {"price": 3}], "more": 1}
    found = compared(legacy, extracted, only=["$.items[*].price", "$.id"])
    assert places(found) == [("$.items[*].price", "value")]
    assert found.used == {"only $.items[*].price", "only $.id"}


@pytest.mark.parametrize(
    ("extracted", "wanted"),
    [
        ({"items": [{"price": 1}]}, []),
        ({"items": []}, [("$", "missing")]),
        ({"items": [{"price": 1}, {"price": 2}]}, [("$.items", "length")]),
        ({}, [("$", "missing")]),
        ({"items": "none"}, [("$", "missing")]),
    ],
)
def test_what_an_allow_list_names_and_one_side_lacks(extracted: Any, wanted: list[tuple[str, str]]) -> None:
    assert places(compared({"items": [{"price": 1}]}, extracted, only=["$.items[*].price"])) == wanted


def test_an_allow_list_of_headers_leaves_the_body_out() -> None:
    rules = compile_rules(only=["header:x-total"])
    legacy = answer({"a": 1}, ("X-Total", "1"), ("X-Other", "1"))
    extracted = answer({"a": 2}, ("X-Total", "2"), ("X-Other", "2"))
    assert [one.path for one in compare(legacy, extracted, rules, REDACTOR).differences] == ["x-total"]


def test_the_status_is_compared_beside_an_allow_list_unless_it_is_ignored() -> None:
    legacy, extracted = answer({"a": 1}), answer({"a": 1}, status=201)
    assert len(compare(legacy, extracted, compile_rules(only=["$.a"]), REDACTOR).differences) == 1
    found = compare(legacy, extracted, compile_rules(ignore=["status"]), REDACTOR)
    assert found == Comparison((), frozenset({"ignore status"}))


def test_an_ignored_status_of_another_class_lets_the_rest_be_compared() -> None:
    found = compare(
        answer({"a": 1}), answer({"a": 2}, status=500), compile_rules(ignore=["status"]), REDACTOR
    )
    assert places(found) == [("$.a", "value")]


def test_an_unordered_array_is_a_bag() -> None:
    found = compared({"tags": ["a", "b", "b"]}, {"tags": ["b", "a", "b"]}, unordered=["$.tags"])
    assert (places(found), found.used) == ([], {"unordered $.tags"})
    assert places(compared([1, 2, 2], [1, 1, 2], unordered=["$"])) == [("$[*]", "value")]
    assert places(compared({"tags": [1, 2]}, {"tags": [2, 1]}, unordered=["$.other"])) == [
        ("$.tags", "order")
    ]


def test_numbers_without_an_order_are_near_each_other() -> None:
    found = compared([1.0, 2.0, 3.0], [3.01, 1.01, 2.01], unordered=["$"], tolerance=[("$[*]", "0.1")])
    assert places(found) == []


def test_a_keyed_array_says_which_element_is_missing() -> None:
    legacy = [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}, {"sku": "c", "n": 3}]
    extracted = [{"sku": "a", "n": 9}, {"sku": "c", "n": 3}, {"sku": "d", "n": 2}]
    found = compared({"items": legacy}, {"items": extracted}, keyed=[("$.items", "sku")])
    assert sorted(places(found)) == [
        ("$.items[*]", "added"),
        ("$.items[*]", "missing"),
        ("$.items[*].n", "value"),
    ]
    assert found.used == {"keyed $.items: sku"}


def test_the_order_of_a_keyed_array_counts_unless_it_is_unordered() -> None:
    legacy, extracted = [{"id": 1, "n": 1}, {"id": 2}], [{"id": 2}, {"id": 1, "n": 2}]
    assert places(compared(legacy, extracted, keyed=[("$", "id")])) == [("$[*].n", "value"), ("$", "order")]
    both = compared(legacy, extracted, keyed=[("$", "id")], unordered=["$"])
    assert places(both) == [("$[*].n", "value")]


def test_elements_without_the_key_and_twins() -> None:
    legacy = [{"id": 1, "n": 1}, {"id": 1, "n": 2}, {"n": 3}, "x"]
    assert places(compared(legacy, legacy[::-1][2:] + legacy[2:], keyed=[("$", "id")], unordered=["$"])) == [
        ("$[*].n", "value")  # of twins nobody can say which is which: they stand in their order
    ]


TOLERATED = [
    (1.0, 1.009, "0.01", True),
    (1.0, 1.02, "0.01", False),
    (0.1, 0.3, "0.2", True),  # decimal arithmetic: 0.3 - 0.1 is not a little less than 0.2
    ("10.00", "10.01", "0.01", True),
    (10**30, 10**30 + 1, "1", True),
    (100, 101, "1%", True),
    (100, 102, "1%", False),
    ("2026-11-24T10:00:00Z", "2026-11-24T11:00:01+01:00", "2s", True),
    ("2026-11-24T10:00:00Z", "2026-11-24T10:00:03Z", "2s", False),
    (1_700_000_000, 1_700_000_001, "2s", True),
    (1_700_000_000_000, 1_700_000_001_500, "2s", True),
    (1_700_000_000_000, 1_700_000_005_000, "2s", False),
    (True, 2, "5", False),
    ("soon", "later", "2s", False),
    ("1e999999999", "2", "1", False),
]


@pytest.mark.parametrize(("legacy", "extracted", "amount", "near"), TOLERATED)
def test_tolerance(legacy: Any, extracted: Any, amount: str, near: bool) -> None:
    found = compared({"v": legacy}, {"v": extracted}, tolerance=[("$.v", amount)])
    assert (not found.differences) == near
    assert found.used == ({f"tolerance $.v: {amount}"} if near else set())


def test_the_longer_path_has_the_last_word() -> None:
    rules = {"tolerance": [("$", "10%"), ("$.prices", "0.01")]}
    found = compared({"a": 100, "prices": [100]}, {"a": 105, "prices": [105]}, **rules)
    assert places(found) == [("$.prices[*]", "value")]


def test_tolerance_and_order_of_headers() -> None:
    legacy = answer(
        {}, ("Last-Modified", "Tue, 24 Nov 2026 10:00:00 GMT"), ("X-Tags", "a, b"), ("X-Took", "1.0")
    )
    near = answer(
        {}, ("Last-Modified", "Tue, 24 Nov 2026 10:00:01 GMT"), ("X-Tags", "b,a"), ("X-Took", "1.1")
    )
    late = answer(
        {}, ("Last-Modified", "Tue, 24 Nov 2026 10:00:09 GMT"), ("X-Tags", "b,c"), ("X-Took", "9.1")
    )
    rules = compile_rules(
        unordered=["header:x-tags"], tolerance=[("header:last-modified", "2s"), ("header:x-took", "0.5")]
    )
    assert compare(legacy, near, rules, REDACTOR).differences == ()
    found = compare(legacy, late, rules, REDACTOR).differences
    assert [one.path for one in found] == ["last-modified", "x-tags", "x-took"]


def test_only_rules_that_hid_something_were_used() -> None:
    rules = {"ignore": ["$.a", "$.b", "header:etag", "$..deep"]}
    found = compared({"a": 1, "b": 1, "c": {"deep": 1}}, {"a": 1, "b": 2, "c": {}, "d": 1}, **rules)
    assert (places(found), found.used) == ([("$.d", "added")], {"ignore $.b", "ignore $..deep"})


FAULTS = [
    ("tolerance", "$.a", "much", "write an amount"),
    ("tolerance", "$.a", "0", "no tolerance"),
    ("tolerance", "$.a", "101%", "every two numbers"),
    ("tolerance", "status", "1", "the status cannot"),
    ("keyed", "header:x", "id", "no members"),
    ("keyed", "status", "id", "the status cannot"),
    ("unordered", "status", "", "the status cannot"),
    ("only", "items", "", "neither a JSON path"),
]


@pytest.mark.parametrize(("kind", "place", "how", "says"), FAULTS)
def test_a_bad_rule_says_why_in_one_line(kind: str, place: str, how: str, says: str) -> None:
    problem = fault(kind, place, how)
    assert problem is not None
    assert says in problem
    assert "\n" not in problem


DRIFTS = [
    ("2026-11-24T10:00:00Z", "2026-11-24T10:00:03Z", ("timestamp", 3)),
    ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00", None),  # lost its offset: another format
    ("2026-11-24T10:00:00Z", "yesterday", None),
    ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b811-9dad-11d1-80b4-00c04fd430c8", ("uuid", -1074)),
    ("a8f5f167f44f4964e6c998de", "b9a5f167f44f4964e6c998df", ("token", -1074)),
    ("a8f5f167f44f4964e6c998de", "a8f5", None),
    ("Ada", "Bob", None),
    (1000, 1003, ("number", 3)),
    (1000, 1008, ("number", 6)),
    (0.25, 0.5, ("number", 0)),
    ("2026-11-24T10:00:00.001Z", "2026-11-24T10:00:00.002Z", ("timestamp", 3)),
    ("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z", ("timestamp", 12)),
    ("1000", "1003", ("number", 3)),
    (True, False, None),
    (None, 1, None),
    (10**400, 1, None),
]


@pytest.mark.parametrize(("legacy", "extracted", "wanted"), DRIFTS)
def test_drift(legacy: Any, extracted: Any, wanted: tuple[str, int] | None) -> None:
    assert drift(legacy, extracted) == wanted


def test_the_drift_of_a_field_is_that_of_all_its_places() -> None:
    (same,) = compared(
        [{"n": 1, "k": "a"}, {"n": 1, "k": "b"}], [{"n": 2, "k": "a"}, {"n": 9, "k": "b"}]
    ).differences
    assert same.drift == ("number", 6)
    at = "2026-11-24T10:00:0"
    (mixed,) = compared(
        [{"k": "a", "t": at + "1Z"}, {"k": "b", "t": "x"}], [{"k": "a", "t": at + "2Z"}, {"k": "b", "t": "y"}]
    ).differences
    assert mixed.drift is None


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(trees, trees)
def test_an_allow_list_never_shows_what_a_comparison_of_everything_would_not(one: Any, other: Any) -> None:
    if not compared(one, other).differences:
        assert not compared(one, other, only=["$.a", "$..b"]).differences


@settings(deadline=None)
@given(st.lists(trees, max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_an_unordered_array_is_the_same(elements: list[Any], random: Any) -> None:
    turned = list(elements)
    random.shuffle(turned)
    assert not compared(elements, turned, unordered=["$"]).differences


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_a_tolerance(one: str, other: str) -> None:
    for amount in ("1", "1%", "1s"):
        compared([one], [other], tolerance=[("$[*]", amount)])


def test_members_of_one_name_are_found_whatever_else_is_in_the_body() -> None:
    for body in (
        b'{"a": 1, "a": 2}',
        b'{"a" : 1, "a"\n: 2}',
        b'{"\\u0022:": 1, "a": 1, "a": 2}',
        b'[{"a":1,"a":1}]',
    ):
        with pytest.raises(Exception, match="duplicate_key"):
            compare(Answered(200, (JSON,), body), answer([]), compile_rules(), REDACTOR)


def test_integers_beyond_any_double_differ() -> None:
    assert places(compared([10**40], [10**40 + 1])) == [("$[*]", "value")]
