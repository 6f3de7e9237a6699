from __future__ import annotations

import time

import interegular
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.routes.regex import compile_regex, disjoint


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("[0-9]+", "[a-z]+", True),
        (r"\d+", r"\D+", True),
        (r"\w+", r"\W+", True),
        ("[0-9]+", "[0-9a-f]+", False),
        ("[0-9]{4}", "[0-9]{5}", True),
        ("[0-9]{4,}", "[0-9]{0,3}", True),
        ("[0-9]{4,}", "[0-9]{0,4}", False),
        ("latest", "[0-9]+|newest", True),
        ("latest", "[0-9]+|latest", False),
        ("(?:ab)+", "(ab)*a", True),
        ("(?:a|b)*c", "[ab]*d", True),
        (".", r"\n", False),  # an escape this proof does not read
        ("[^0-9]", "[0-9]", True),
        ("é", "[a-z]", False),
        ("(?i)a", "b", False),
        ("a?", "b?", False),
        ("[[:alpha:]]+", "[0-9]+", False),
        (r"\pN", "a", False),
        (r"a{,2}", "b", False),
        ("a*?", "b", False),
        ("a{51}", "b", False),
        ("a" * 101, "b", False),
        (r"[\d.-]+", r"[a-z]+", True),
        (r"[+--]", "[.]", True),
        ("[]a]", "b", False),
        ("x{2}{3}", "y", False),
    ],
)
def test_proofs(one: str, other: str, expected: bool) -> None:
    assert disjoint(one, other) is expected
    assert disjoint(other, one) is expected


@pytest.mark.parametrize(
    "regex",
    [
        "((((((|){50}){50}){50}){50}){50}){50}",
        "(a|b)*a" + "(a|b)" * 15,
        "(((a{50}){50}){50}){50}",
        "(((a?)*)*)*",
    ],
)
def test_hostile_expressions_take_no_time(regex: str) -> None:
    start = time.process_time()
    disjoint(regex, regex + "c")
    assert time.process_time() - start < 2.0


ATOMS = st.sampled_from(["a", "b", "c", "[ab]", "[^a]", ".", r"\d", "1", r"\.", "[a-c1]", "(?:ab)"])
REGEXES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda options: f"({'|'.join(options)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "{0,2}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(REGEXES, REGEXES)
def test_the_proof_agrees_with_deterministic_automata(one: str, other: str) -> None:
    # Not `fsm.isdisjoint`: without a common alphabet it finds that `a` and `.` have nothing in common.
    oracle = interegular.Comparator.from_regexes({"one": one, "other": other})
    assert disjoint(one, other) == oracle.isdisjoint("one", "other")


@settings(deadline=None)
@given(
    st.text("ab01[]()|*+?{}^-,.\\dDwWsSn:", max_size=12),
    st.text("ab01[]()|*+?{}^-,.\\dD", max_size=12),
    st.text("ab01.\n-", max_size=3),
)
def test_no_text_fits_two_expressions_that_are_said_to_be_disjoint(one: str, other: str, text: str) -> None:
    try:
        fits = compile_regex(one), compile_regex(other)
    except ValueError:
        return
    if disjoint(one, other):
        assert not (fits[0](text) and fits[1](text))


@pytest.mark.parametrize(
    "regex", ["(", "a**", "[b-a]", "(?=a)", r"\1", "(?<!a)b", "a{1001}", r"(\pL{100}){9}", "\ud800"]
)
def test_what_does_not_compile_is_a_value_error(regex: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_regex(regex)


@settings(deadline=None)
@given(st.sampled_from(["[0-9]+", "(?i)abc|d", "a.c", r"\w{2,3}", "[[:alpha:]]*", "é+"]), st.text(max_size=4))
def test_the_fast_answer_is_re2s_answer(regex: str, text: str) -> None:
    assert bool(compile_regex(regex)(text)) == bool(re2.fullmatch(regex, text))


def test_an_expression_that_would_stall_a_backtracking_engine_is_answered_at_once() -> None:
    fits = compile_regex("(a|a)*b|(a+)+b")
    start = time.process_time()
    assert not fits("a" * 50_000)
    assert time.process_time() - start < 1.0
