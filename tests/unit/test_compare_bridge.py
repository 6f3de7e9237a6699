"""Answers of two shapes, brought to one: what then differs, and what may never pass for equal."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from strangler.compare import (
    Answered,
    Bridge,
    Incomparable,
    Redactor,
    bridged,
    compare,
    compile_rules,
    compile_side,
    fault,
)

JSON = ("Content-Type", "application/json")
RULES = compile_rules([])
REDACTOR = Redactor(b"key", RULES)

OLD = {"order_id": "7", "sum": "12.50", "lines": {"line": [{"art": "a", "n": 1}, {"art": "b", "n": 2}]}}
NEW = {"id": 7, "total": 12.5, "items": [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]}
CLEAN = "{id: to_number(order_id), total: to_number(sum), items: lines.line[*].{sku: art, count: n}}"


def answer(value: Any, *headers: tuple[str, str], status: int = 200) -> Answered:
    return Answered(status, (JSON, *headers), json.dumps(value).encode())


def bridge(legacy: str | None = None, extracted: str | None = None, **headers: Any) -> Bridge:
    return Bridge(
        compile_side(headers.get("set_", ()), headers.get("remove", ()), legacy),
        compile_side((), (), extracted),
    )


def told(legacy: Answered, extracted: Answered, over: Bridge) -> list[tuple[str, str, str]]:
    def comparison(one: Answered, other: Answered) -> Any:
        return compare(one, other, RULES, REDACTOR)

    found = bridged(legacy, extracted, over, comparison).differences
    return [(difference.where, difference.path, difference.kind) for difference in found]


def skipped(legacy: Answered, extracted: Answered, over: Bridge) -> str:
    with pytest.raises(Incomparable) as caught:
        told(legacy, extracted, over)
    return caught.value.reason


def test_a_cleaned_up_api_is_proved_equal() -> None:
    assert told(answer(OLD), answer(NEW), bridge(CLEAN)) == []


def test_and_what_differs_is_found_under_the_names_it_was_brought_to() -> None:
    other = NEW | {"total": 12.6}
    assert told(answer(OLD), answer(other), bridge(CLEAN)) == [("body", "$.total", "value")]


def test_both_sides_may_be_brought_to_a_third_shape() -> None:
    over = bridge("{o: order_id}", "{o: to_string(id)}")
    assert told(answer(OLD), answer(NEW), over) == []


def test_headers_are_set_and_removed_before_they_are_compared() -> None:
    legacy = answer(NEW, ("X-Old", "1"), ("X-Total", "4"), ("x-total", "5"))
    extracted = answer(NEW, ("X-Total", "2"))
    over = bridge(set_=(("X-Total", "2"),), remove=("x-OLD",))
    assert told(legacy, extracted, over) == []
    assert told(legacy, extracted, bridge(set_=(("X-Total", "2"),))) == [("header", "x-old", "header")]


SQUEEZED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "deflate, gzip", "br", "zstd"])
def test_a_compressed_body_is_rewritten_and_its_coding_still_compared(coding: str) -> None:
    body = json.dumps(OLD).encode()
    for name in coding.split(", "):
        body = SQUEEZED[name](body)
    legacy = Answered(200, (JSON, ("Content-Encoding", coding)), body)
    assert told(legacy, answer(NEW), bridge(CLEAN)) == [("header", "content-encoding", "header")]
    assert told(legacy, legacy, bridge(CLEAN, CLEAN)) == []


@pytest.mark.parametrize(
    ("old", "new", "legacy", "extracted"),
    [
        ({"a": 1}, {"b": 1}, "nothing", "nothing"),
        ({"a": 1}, {"b": 1}, "{x: nothing, y: [nothing]}", "{x: nothing, y: [nothing]}"),
        ({"a": 1}, None, "nothing", None),
        (None, {"a": 1}, None, "nothing"),
        ([{"a": 1}], [{"a": 1}], "[*].[x] | [0]", "[*].[x] | [0]"),
    ],
)
def test_two_expressions_that_select_nothing_are_no_match(
    old: Any, new: Any, legacy: str | None, extracted: str | None
) -> None:
    assert skipped(answer(old), answer(new), bridge(legacy, extracted)) == "bridge_failed"


@pytest.mark.parametrize(
    ("old", "new", "legacy", "extracted"),
    [
        (None, None, "x", "x"),  # there was nothing to begin with
        ({"lines": []}, {"items": []}, "lines[*].art", "items[*].sku"),  # an empty list was selected
        ({"lines": [], "n": 0}, {"items": []}, "{i: lines}", "{i: items}"),
        ({"a": None}, {"b": None}, "{x: a}", "{x: b}"),
    ],
)
def test_what_is_truly_empty_on_both_sides_matches(
    old: Any, new: Any, legacy: str | None, extracted: str | None
) -> None:
    assert told(answer(old), answer(new), bridge(legacy, extracted)) == []


def test_nothing_on_one_side_alone_is_a_difference() -> None:
    assert told(answer({"a": 1}), answer({"b": 1}), bridge("x", "b")) == [("body", "$", "type")]


@pytest.mark.parametrize(
    ("legacy", "expression", "reason"),
    [
        (Answered(200, (("Content-Type", "text/html"),), b"<p>"), "a", "bridge_failed"),
        (Answered(200, (JSON,), b"{"), "a", "bridge_failed"),
        (answer({"a": 1}), "sum(a)", "bridge_failed"),
        (answer({"a": "1e999"}), "to_number(a)", "bridge_failed"),
        (answer({"a": "1e999"}), "ceil(to_number(a))", "bridge_failed"),
        (answer({"a": 1}), "&a", "bridge_failed"),
        (answer({"a": 1}), "`NaN`", "bridge_failed"),
        (Answered(200, (JSON,), b'{"a": 1, "a": 2}'), "a", "duplicate_key"),
        (Answered(200, (JSON, ("Content-Encoding", "compress")), b"{}"), "a", "content_encoding"),
        (answer([1] * 150_000), "[@, @]", "too_complex"),
        (answer(["x" * 1_000_000]), "[0] | " + " | ".join(["join('', [@, @])"] * 60), "too_complex"),
        (answer(["x" * 100_000, ["y"] * 50_000]), "join([0], [1])", "too_complex"),
        (answer([1]), " | ".join(["[@, @]"] * 60), "too_complex"),
        (answer([1]), " | ".join(["[@, @][]"] * 40), "too_complex"),
        (answer([1]), " | ".join(["[@, @]"] * 40) + " | length(to_string(@))", "too_complex"),
        (answer([[1] * 1_000] * 100), "[*].[" + ",".join(["@"] * 90) + "]", "too_complex"),
    ],
)
def test_what_cannot_be_bridged_is_skipped_under_its_reason(
    legacy: Answered, expression: str, reason: str
) -> None:
    extracted = Answered(200, legacy.headers, b'{"a": 1}')
    assert skipped(legacy, extracted, bridge(expression)) == reason


def test_a_difference_besides_the_body_is_never_hidden_behind_a_skip() -> None:
    page = Answered(200, (("Content-Type", "text/html"),), b"<p>")
    assert told(page, answer(NEW, status=201), bridge("a"))[0] == ("status", "", "status")
    assert told(page, answer(NEW, status=500), bridge("a")) == [("status", "", "status")]


def test_where_there_is_no_body_there_is_nothing_to_rewrite() -> None:
    nothing = Answered(204, (JSON,), b"")
    assert told(nothing, nothing, bridge("a", "b")) == []
    assert told(Answered(200, (JSON,), b""), answer({"a": 1}), bridge("a", "@"))[0][0] == "body"


def test_a_deep_body_ends_in_a_skip_and_not_in_a_crash() -> None:
    deep = Answered(200, (JSON,), b"[" * 5_000 + b"]" * 5_000)
    assert skipped(deep, deep, bridge("a", "a")) == "too_complex"
    nested = Answered(200, (JSON,), b"[" * 700 + b"1" + b"]" * 700)
    assert skipped(nested, nested, bridge("[" * 90 + "@" + "]" * 90, "nothing || @")) == "too_complex"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_a_bridge_that_changes_nothing_changes_nothing(value: Any) -> None:
    assert told(answer(value), answer(value), bridge("@", "@")) == []


@given(st.text(alphabet="ab.[]*?|&!@`'\"(){}:,<=>0-9 lengthsum", max_size=40), values)
def test_any_text_is_an_expression_or_a_fault_and_any_document_an_answer_or_a_skip(
    text: str, value: Any
) -> None:
    problem = fault("bridge", "body", text)
    if problem is not None:
        assert problem.isprintable()
        return
    with contextlib.suppress(Incomparable):
        told(answer(value), answer(value), bridge(text, text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a" * 2_001, "an expression is 2000 characters at most"),
        ("(" * 1_500, "an expression is nested 100 deep at most"),
        ("!" * 1_500 + "a", "an expression is nested 100 deep at most"),
        ("|".join("a" * 200), "an expression is nested 100 deep at most"),
        ("a[", "the expression ends too early"),
        ("a b", "unexpected 'b' at character 3"),
        ("contains(a)", "contains() takes 2 arguments, not 1"),
        ("merge()", "merge() takes at least 1 argument, not 0"),
        ("a[?shout(b)]", "there is no function shout()"),
        ("`words`", "between back quotes stands JSON; text stands in single quotes"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_in_one_line(text: str, says: str) -> None:
    assert fault("bridge", "body", text) == says
