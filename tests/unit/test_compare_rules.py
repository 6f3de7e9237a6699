import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import Difference, compile_rules, fault, fingerprint
from strangler.compare.machine import FREE, State
from strangler.compare.path import render

VECTORS = json.loads((Path(__file__).parent.parent / "cases/fingerprints.json").read_text("utf-8"))


def state_at(rules: list[str], *steps: str | None) -> State:
    state = compile_rules(rules).body
    for step in steps:
        if state.ignored_by:
            return state
        state = state.index if step is None else state.member(step)
    return state


GOOD = ["$", "$.a.b", "$.items[*].price", "$..updated_at", "$['odd name']", '$["x"]', "$.a[*]", "$.a.*", "$..['x y'].z",
        "header:ETag", "status", "$.created-at", "$.größe"]  # fmt: skip
BAD = {
    "": "neither a JSON path",
    "items": "neither a JSON path",
    "header:": "not a header name",
    "header:a b": "not a header name",
    "$.": "ends where a name should follow",
    "$.a..": "ends where a name should follow",
    "$.items[0]": "write [*]",
    "$.items[?@.a]": "filters",
    "$..*": "everything below",
    "$.a b": "cannot read",
    "$['a": "cannot read",
    "$a": "cannot read",
}


@pytest.mark.parametrize("text", GOOD)
def test_good_rules(text: str) -> None:
    assert fault("ignore", text) is None


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_bad_rules_say_what_is_wrong_in_one_line(text: str, says: str) -> None:
    message = fault("ignore", text)
    assert message is not None
    assert says in message
    assert "\n" not in message
    with pytest.raises(ValueError, match=re.escape(says)):
        compile_rules([text])


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("$.a.b", ["a", "b"], ["a", "c"]),
        ("$.a[*].b", ["a", None, "b"], ["a", "b"]),
        ("$.a.*", ["a", "whatever"], ["b"]),
        ("$.a[*]", ["a", "any child, as RFC 9535 has it"], ["a"]),
        ("$..t", ["x", None, "y", "t"], ["x", None, "y"]),
        ("$..a.b", ["a", "a", "b"], ["a", "c", "b"]),
        ("$['a.b']", ["a.b"], ["a", "b"]),
        (r"$['it\'s']", ["it's"], ["its"]),
        (r"$['\u00e9']", ["é"], ["e"]),
        (r"$['\ud83d\ude00']", ["\U0001f600"], ["x"]),
    ],
)
def test_what_a_rule_covers(rule: str, inside: list[str | None], outside: list[str | None]) -> None:
    assert state_at([rule], *inside).ignored_by
    assert not state_at([rule], *outside).ignored_by


def test_places_that_no_rule_can_reach_cost_nothing() -> None:
    assert state_at([], "a") is FREE
    assert state_at(["$.a.b"], "x") is FREE


def test_header_names_are_lower_case() -> None:
    assert set(compile_rules(["header:ETag", "status", "$.a"]).headers.ignored) == {"etag"}


def test_many_rules_make_a_small_machine() -> None:
    rules = [f"$.items[*].field{number}.x" for number in range(300)] + ["$..updated_at", "$..etag"]
    assert state_at(rules, "items", None, "field299", "x").ignored_by
    assert not state_at(rules, "items", None, "field299", "y").ignored_by


def test_rules_that_explode_are_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        compile_rules([f"$..{first}..{second}..{first}.x" for first in "abcdef" for second in "ghijkl"])


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_answered(text: str) -> None:
    message = fault("ignore", text)
    assert message is None or len(message.splitlines()) == 1


@settings(deadline=None)
@given(st.lists(st.none() | st.text(max_size=8), min_size=1, max_size=5))
def test_every_path_in_a_report_is_a_rule(steps: list[str | None]) -> None:
    trail = None
    for step in steps:
        trail = (trail, step)
    path = render(trail)
    assert path.isprintable()
    assert fault("ignore", path) is None
    assert state_at([path], *steps).ignored_by


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["fingerprint"])
def test_fingerprints(vector: dict[str, str]) -> None:
    difference = Difference(
        where=vector["where"],  # type: ignore[arg-type]
        path=vector["path"],
        kind=vector["kind"],  # type: ignore[arg-type]
        legacy=vector["legacy"],
        extracted=vector["extracted"],
        legacy_value="not part of it",
    )
    assert fingerprint(vector["route"], vector["method"], difference) == vector["fingerprint"]


def test_fingerprints_do_not_run_together() -> None:
    one = Difference("body", "$.a", "type", "string", "number")
    assert fingerprint("ab", "c", one) != fingerprint("a", "bc", one)
