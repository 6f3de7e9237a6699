"""Two kept answers side by side: as lines, with what differs marked."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import Answered, Line, Redactor, compare, compile_rules, marked
from strangler.compare.lines import DEEPEST

FREE = compile_rules()
LIMIT = 4096


def shown(lines: list[Line]) -> list[str]:
    """The lines, each that differs behind a star."""
    return [f"{'*' if line.differs else ' '}{line.text}" for line in lines]


def sides(legacy: Any, extracted: Any, limit: int = LIMIT, **rules: Any) -> tuple[list[str], list[str]]:
    bodies = [body if isinstance(body, str) else json.dumps(body) for body in (legacy, extracted)]
    found = marked(bodies[0], bodies[1], compile_rules(**rules), limit)
    return shown(found.legacy), shown(found.extracted)


def differing(legacy: Any, extracted: Any, **rules: Any) -> tuple[list[str], list[str]]:
    """Only the lines that are marked, without indent."""
    left, right = sides(legacy, extracted, **rules)
    return [line[1:].strip() for line in left if line[0] == "*"], [
        line[1:].strip() for line in right if line[0] == "*"
    ]


# --- JSON ------------------------------------------------------------------------------------------------


def test_json_is_laid_out_with_a_path_for_each_line() -> None:
    body = '{"items": [{"sku": "A", "unit price": 12.50}], "none": [], "more": {}}'
    assert [(line.text, line.path) for line in marked(body, body, FREE, LIMIT).legacy] == [
        ("{", "$"),
        ('  "items": [', "$.items"),
        ("    {", "$.items[*]"),
        ('      "sku": "A",', "$.items[*].sku"),
        ('      "unit price": 12.5', "$.items[*]['unit price']"),
        ("    }", "$.items[*]"),
        ("  ],", "$.items"),
        ('  "none": [],', "$.none"),
        ('  "more": {}', "$.more"),
        ("}", "$"),
    ]


def test_only_the_value_that_differs_is_marked() -> None:
    assert sides({"id": 7, "total": "12.50"}, {"total": 12.5, "id": 7}) == (
        [" {", '   "id": 7,', '*  "total": "12.50"', " }"],
        [" {", '*  "total": 12.5,', '   "id": 7', " }"],
    )


@pytest.mark.parametrize(
    ("legacy", "extracted", "left", "right"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, [], []),  # the order of members says nothing
        ({"a": 1}, {"a": 1.0}, [], []),
        ({"a": 1}, {"a": True}, ['"a": 1'], ['"a": true']),
        ({"a": None}, {}, ['"a": null'], []),
        ({}, {"a": {"b": [1]}}, [], ['"a": {', '"b": [', "1", "]", "}"]),
        ({"a": {"b": 1}}, {"a": [1]}, ['"a": {', '"b": 1', "}"], ['"a": [', "1", "]"]),
        ({"a": [1, 2, 3]}, {"a": [2, 3]}, ['"a": [', "1,"], ['"a": [']),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["2"], ["3"]),
        (
            [{"id": 1, "v": 1}, {"id": 2, "v": 1}],
            [{"id": 1, "v": 1}, {"id": 2, "v": 2}],
            ['"v": 1'],
            ['"v": 2'],
        ),
        ({"a": 10**30}, {"a": 10**30 + 1}, [f'"a": {10**30}'], [f'"a": {10**30 + 1}']),
    ],
)
def test_what_is_marked(legacy: Any, extracted: Any, left: list[str], right: list[str]) -> None:
    assert differing(legacy, extracted) == (left, right)


def test_of_another_order_as_little_is_marked_as_says_so() -> None:
    assert differing(["a", "b", "c", "d"], ["b", "c", "d", "a"]) == (["[", '"a",'], ["[", '"a"'])
    moved = [{"id": 1, "v": 1}, {"id": 2, "v": 1}, {"id": 3, "v": 1}]
    other = [{"id": 2, "v": 1}, {"id": 3, "v": 1}, {"id": 1, "v": 9}]
    assert differing(moved, other) == (["[", "{", '"v": 1'], ["[", "{", '"v": 9'])


@pytest.mark.parametrize(
    ("legacy", "extracted", "rules"),
    [
        ({"a": 1, "at": "x"}, {"a": 1, "at": "y"}, {"ignore": ["$.at"]}),
        ({"a": 1, "at": "x"}, {"a": 1}, {"ignore": ["$.at"]}),
        ({"a": [1, 2]}, {"a": [1]}, {"ignore": ["$.a[*]"]}),
        ({"a": 1.00}, {"a": 1.005}, {"tolerance": [("$.a", "0.01")]}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, {"unordered": ["$.a"]}),
        (
            {"a": [{"k": 1}, {"k": 2}]},
            {"a": [{"k": 2}, {"k": 1}]},
            {"unordered": ["$.a"], "keyed": [("$.a", "k")]},
        ),
        ({"a": {"b": 1}, "c": 1}, {"a": {"b": 1}, "c": 2}, {"only": ["$.a"]}),
        ({"a": [{"b": 1, "x": 1}]}, {"a": [{"b": 1, "x": 2}]}, {"only": ["$.a[*].b"]}),
        ({"a": 1}, {"a": 2}, {"only": ["$..b"]}),
        ({"a": 1, "x": {"y": 1}}, {"a": 1}, {"only": ["$.a", "$.x.z"]}),
        ({"a": 1}, {"a": 2}, {"only": ["header:etag"]}),
    ],
)
def test_what_a_rule_lets_pass_is_not_marked(legacy: Any, extracted: Any, rules: dict[str, Any]) -> None:
    assert differing(legacy, extracted, **rules) == ([], [])
    assert differing(legacy, extracted) != ([], [])


def test_what_an_allow_list_names_is_marked() -> None:
    assert differing({"a": [{"b": 1, "x": 1}]}, {"a": [{"b": 2, "x": 2}]}, only=["$.a[*].b"]) == (
        ['"b": 1,'],
        ['"b": 2,'],
    )
    assert differing({"x": {"y": 1}}, {}, only=["$.x.y"]) == (['"x": {', '"y": 1', "}"], [])


def test_elements_known_by_a_member_are_marked_where_they_stand() -> None:
    legacy = [{"k": "a", "v": 1}, {"k": "b", "v": 1}, 7]
    extracted = [{"k": "c", "v": 1}, {"k": "a", "v": 2}, 8]
    assert differing(legacy, extracted, keyed=[("$", "k")]) == (
        ['"v": 1', "{", '"k": "b",', '"v": 1', "},", "7"],
        ["{", '"k": "c",', '"v": 1', "},", '"v": 2', "8"],
    )


def test_numbers_without_an_order_are_told_apart_by_their_size() -> None:
    assert differing([1.0, 5.0, 9.0], [9.001, 1.001, 6.0], unordered=["$"], tolerance=[("$", "0.01")]) == (
        ["5.0,"],
        ["6.0"],
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
BODIES = st.lists(VALUES, max_size=4) | st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
JSON = (("content-type", "application/json"),)


@settings(deadline=None)
@given(BODIES, BODIES)
def test_something_is_marked_exactly_when_the_comparison_finds_a_difference(
    legacy: Any, extracted: Any
) -> None:
    bodies = [json.dumps(body) for body in (legacy, extracted)]
    answers = [Answered(200, JSON, body.encode()) for body in bodies]
    found = compare(answers[0], answers[1], FREE, Redactor(b"key", FREE))
    lines = marked(bodies[0], bodies[1], FREE, 10**6)
    marks = {line.path for side in lines for line in side if line.differs}
    assert bool(marks) == bool(found.differences)
    assert {difference.path for difference in found.differences} <= marks


@settings(deadline=None)
@given(BODIES, st.randoms(use_true_random=False))
def test_members_in_another_order_are_never_marked(body: Any, chance: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            chance.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    assert differing(body, shuffled(body)) == ([], [])


# --- what is not whole JSON ------------------------------------------------------------------------------


def test_text_is_compared_by_its_lines() -> None:
    assert sides("one\ntwo\nfour", "one\nthree\nfour") == (
        [" one", "*two", " four"],
        [" one", "*three", " four"],
    )
    assert sides("", "one") == ([], ["*one"])
    assert sides("", "") == ([], [])
    assert sides('{"a": 1}', "<html>") == (["*{", '*  "a": 1', "*}"], ["*<html>"])


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ('{"a": 1, "a": 2}', ["{", '  "a": 1,', '  "a": 2', "}"]),
        ('{"a": NaN, "b": -Infinity}', ["{", '  "a": NaN,', '  "b": -Infinity', "}"]),
        ('{"a": 1e999}', ["{", '  "a": 1e999', "}"]),
        (
            '{"card_number": [secret 3f9a41d0aa17], "b',
            ["{", '  "card_number": [secret 3f9a41d0aa17],', '  "b'],
        ),
        ('[{"a": {}, "b": [], "c": tru', ["[", "  {", '    "a": {},', '    "b": [],', '    "c": tru']),
        ("[2026-11-22 10:00] started", ["[2026-11-22 10:00] started"]),
        ("[a]\n[b]", ["[a]", "[b]"]),
        ("{]} {", ["{]} {"]),
        ("[1 2]", ["[1 2]"]),
        ("]", ["]"]),
    ],
)
def test_what_no_reader_takes_is_laid_out_where_it_can_be(body: str, lines: list[str]) -> None:
    assert [line.text for line in marked(body, "", FREE, LIMIT).legacy] == lines


def test_behind_a_cut_nothing_is_known() -> None:
    legacy = json.dumps([{"n": number, "price": "1.50"} for number in range(100)])
    extracted = json.dumps([{"n": number, "extra": 0, "price": 1.5} for number in range(100)])
    left, right = sides(legacy[:100], extracted[:100], limit=100)
    assert [line for line in left if '"n"' in line] == [f'     "n": {number},' for number in range(4)]
    assert [line for line in left if "price" in line] == ['*    "price": "1.50"'] * 3 + ['     "price": ']
    assert [line for line in right if "extra" in line] == ['*    "extra": 0,'] * 3
    assert [line for line in right if "price" in line] == ['*    "price": 1.5'] * 2 + ['     "price']
    assert left[-1] == right[-1] == " … only the first 100 characters are kept"


def test_a_comma_is_no_difference_where_members_stand_in_another_order() -> None:
    left, right = sides('{"a": 1, "b": 2, "c": "x', '{"b": 2, "c": 0, "a": 1}', limit=24)
    assert [line for line in (*left, *right) if line.strip("*, ") in ('"a": 1', '"b": 2')] == [
        *('   "a": 1,', '   "b": 2,', '   "b": 2,', '   "a": 1'),
    ]


@pytest.mark.parametrize(
    ("legacy", "extracted", "differ"),
    [
        ("<p>" + "x" * 17, "<p>" + "y" * 17, True),
        ("<p>" + "x" * 17, "<p>" + "x" * 17, False),
        ("<p>" + "x" * 17, "<p>" + "x" * 16, True),  # which ends, before the other is cut
        ("<p>" + "x" * 17, "<p>" + "x" * 17 + "…", False),
        ("<p>" + "x" * 17, "none", True),
        ("a\n" + "x" * 18, "a\nyy", False),  # the y may stand behind the cut
        ("a\n" + "x" * 18, "a\ny\nz\n", False),
        ("a\nb\n" + "x" * 16, "a\nc\nd", True),
    ],
)
def test_a_line_that_was_cut_differs_only_where_that_is_certain(
    legacy: str, extracted: str, differ: bool
) -> None:
    found = marked(legacy, extracted, FREE, 20)
    assert any(line.differs for side in found for line in side) == differ


# --- hostile bodies --------------------------------------------------------------------------------------


def test_what_a_terminal_or_a_page_would_obey_is_made_visible() -> None:
    hostile = "\x1b[2J\u202e\u2028\x00<script>"
    for body in (f"{hostile}\nx", json.dumps({hostile: hostile}, ensure_ascii=False), f'{{"a": "{hostile}'):
        for line in marked(body, "", FREE, LIMIT).legacy:
            assert line.text.isprintable()
    text = marked(json.dumps({"a": "\u202e<b>"}, ensure_ascii=False), "{}", FREE, LIMIT).legacy[1].text
    assert text == '  "a": "\\u202e<b>"'


def test_bytes_that_were_no_text_are_compared_as_they_were_kept() -> None:
    assert sides("a\ufffd", "a\ufffdb") == (["*a\ufffd"], ["*a\ufffdb"])
    assert sides("5 bytes that are not text", "5 bytes that are not text") == (
        [" 5 bytes that are not text"],
        [" 5 bytes that are not text"],
    )


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_is_too_odd_for_it(legacy: str, extracted: str) -> None:
    for body in (legacy, f"[{legacy}", f'{{"{legacy}'):
        found = marked(body, extracted, FREE, 200)
        assert all(line.text.isprintable() for side in found for line in side)


def test_deep_nesting_is_shown_as_text_and_not_indented_for_ever() -> None:
    deep = "[" * (DEEPEST + 1) + "1" + "]" * (DEEPEST + 1)
    lines = marked(deep, deep, FREE, LIMIT).legacy
    assert {line.path for line in lines} == {""}
    assert max(len(line.text) for line in lines) <= 2 * DEEPEST + 1
    just = "[" * DEEPEST + "1" + "]" * DEEPEST
    assert marked(just, just, FREE, LIMIT).legacy[0].path == "$"


@pytest.mark.parametrize(
    ("legacy", "extracted"),
    [
        ("[" * 4096, '{"a":' * 819),
        ("\n" * 4096, "x\n" * 2048),
        ("[" + "1," * 2040 + "1]", "[" + "2," * 2040 + "3]"),
        (
            "[" + ",".join(f'{{"a":{n}}}' for n in range(400)) + "]",
            "[" + ",".join(f'{{"a":{400 - n}}}' for n in range(400)) + "]",
        ),
        ("\u202e" * 4096, "\x00" * 4096),
        (f'{{"{"x" * 500}":[{"1," * 1790}1]}}', f'{{"{"x" * 500}":[{"2," * 1790}2]}}'),
        ('"\\' * 2048, '{"' + "\\" * 4094),
    ],
)
def test_the_work_and_the_answer_are_bounded(legacy: str, extracted: str) -> None:
    begin = time.thread_time()
    found = marked(legacy, extracted, FREE, LIMIT)
    assert time.thread_time() - begin < 0.5  # some 0.05 here
    assert sum(len(line.text) + len(line.path) for side in found for line in side) < 1_000_000
