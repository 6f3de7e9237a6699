"""Trace context: what is a `traceparent` and what is not, and what a shadow's fields say (W3C Trace Context)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.http.trace import MEMBERS, SHADOW, begin, marked, trace_id

BITS = st.integers(min_value=0, max_value=2**192 - 1)
SHARE = st.integers(min_value=0, max_value=100_000)

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = b"00-" + TRACE + b"-00f067aa0ba902b7-01"

#: Section 3.2.2 in one expression, written apart from the one in the program.
VALID = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]")


@given(BITS, SHARE)
def test_a_trace_that_begins_here_is_always_valid(bits: int, share: int) -> None:
    begun = begin(bits, share)
    assert VALID.fullmatch(begun)
    assert trace_id(begun) == begun[3:35]


@pytest.mark.parametrize("bits", [0, 1, 2**64 - 1, 2**64, 2**192 - 1])
def test_bits_that_would_name_no_trace_name_one_all_the_same(bits: int) -> None:
    assert VALID.fullmatch(begin(bits, 50_000))


@given(BITS)
def test_all_are_sampled_at_a_hundred_percent_and_none_at_zero(bits: int) -> None:
    assert begin(bits, 100_000).endswith(b"-01")
    assert begin(bits, 0).endswith(b"-00")


@given(BITS, SHARE, SHARE)
def test_a_trace_that_is_sampled_stays_so_while_the_share_rises(bits: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert begin(bits, low) <= begin(bits, high)
    assert begin(bits, low)[:-2] == begin(bits, high)[:-2]


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), SHARE)
def test_whether_it_is_sampled_follows_from_the_trace_id_alone(
    trace: int, one: int, other: int, share: int
) -> None:
    assert begin(trace << 64 | one, share)[-2:] == begin(trace << 64 | other, share)[-2:]


def test_the_share_that_is_sampled_is_about_the_one_asked_for() -> None:
    spread = 0x9E3779B97F4A7C15F39CC0605CEDC835  # an odd number: its multiples are spread evenly
    for share in (1_000, 25_000, 50_000):
        sampled = sum(begin((spread * n % 2**128) << 64, share).endswith(b"01") for n in range(20_000))
        assert abs(sampled / 20_000 - share / 100_000) < 0.01


@pytest.mark.parametrize(
    "given_",
    [
        GOOD,
        b" \t" + GOOD + b" ",
        b"00-" + TRACE + b"-00f067aa0ba902b7-00",
        b"00-" + TRACE + b"-00f067aa0ba902b7-ff",  # flags that level 1 does not know
        b"01-"
        + TRACE
        + b"-00f067aa0ba902b7-01",  # a later version, section 3.2.3: what we know of it is there
        b"cc-" + TRACE + b"-00f067aa0ba902b7-01-what-the-future-will-be-like",
        b"fe-" + TRACE + b"-00f067aa0ba902b7-01-",
    ],
)
def test_a_trace_is_named_by_what_the_recommendation_allows(given_: bytes) -> None:
    assert trace_id(given_) == TRACE


@pytest.mark.parametrize(
    "given_",
    [
        b"",
        b"00",
        GOOD[:-1],
        GOOD + b"0",
        GOOD + b"-",  # version 00 ends here
        GOOD + b"-more",
        b"ff-" + GOOD[3:],  # section 3.2.2.1
        b"cc-" + GOOD[3:] + b"." + b"more",  # a later version goes on with a dash
        b"cc-" + GOOD[3:] + b"0",
        b"00-" + b"0" * 32 + GOOD[35:],  # section 3.2.2.3
        GOOD[:36] + b"0" * 16 + b"-01",  # section 3.2.2.4
        GOOD.upper(),
        GOOD.replace(b"-", b"_"),
        b"0x" + GOOD[2:],
        GOOD[:35] + b" " + GOOD[36:],
        GOOD + b"\n",
        b"00-" + b"g" * 32 + GOOD[35:],
    ],
)
def test_nothing_else_names_a_trace(given_: bytes) -> None:
    assert trace_id(given_) is None


@given(st.binary(max_size=80))
def test_any_bytes_can_be_asked_about(given_: bytes) -> None:
    found = trace_id(given_)
    assert found is None or VALID.fullmatch(b"00-" + found + b"-00f067aa0ba902b7-01")


# -- the shadow's fields -------------------------------------------------------------------------------------

NAMES = st.from_regex(rb"[A-Za-z][A-Za-z-]{0,10}", fullmatch=True).filter(
    lambda name: name.lower() not in {b"tracestate", b"traceparent"}
)
OTHERS = st.lists(st.tuples(NAMES, st.binary(max_size=10)), max_size=6)
MEMBER = st.from_regex(rb"[a-z][a-z0-9@]{0,8}=[!-+\--<>-~]{1,10}", fullmatch=True).filter(
    lambda member: not member.startswith(b"strangler=")
)
STATES = st.lists(st.lists(MEMBER, max_size=20), max_size=3)


def states(fields: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [member for name, value in fields if name.lower() == b"tracestate" for member in value.split(b",")]


@given(OTHERS, OTHERS, STATES)
def test_a_shadow_is_marked_in_front_and_everything_else_is_kept(
    before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]], given_: list[list[bytes]]
) -> None:
    lines = [(b"TraceState", b" , ".join(members)) for members in given_]
    fields = marked((*before, (b"traceparent", GOOD), *lines, *after))
    assert [field for field in fields if field[0] != b"tracestate"] == [
        *before,
        (b"traceparent", GOOD),
        *after,
    ]
    assert [name for name, _ in fields].count(b"tracestate") == 1
    everything = [member for members in given_ for member in members]
    assert states(fields) == [SHADOW, *everything][:MEMBERS]


def test_a_state_holds_no_more_than_thirty_two_members_and_the_last_ones_go() -> None:
    many = b",".join(b"k%d=v" % number for number in range(32))
    found = states(marked(((b"traceparent", GOOD), (b"tracestate", many))))
    assert len(found) == MEMBERS == 32
    assert found[:2] == [SHADOW, b"k0=v"]
    assert found[-1] == b"k30=v"


def test_an_older_mark_of_ours_is_replaced_and_a_namesake_is_not() -> None:
    state = b"a=1, strangler=older ,,b=2\t,strangler@other=3,stranglers=4"
    found = marked(((b"Traceparent", GOOD), (b"tracestate", state)))
    assert found[1] == (b"tracestate", b"strangler=shadow,a=1,b=2,strangler@other=3,stranglers=4")


def test_a_request_in_no_trace_has_no_state() -> None:
    assert marked(((b"A", b"1"), (b"tracestate", b"a=1"))) == [(b"A", b"1")]
    assert marked(()) == []
