import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.exchange.frames import (
    MAX_FRAME,
    BadFrame,
    Hello,
    Splitter,
    decode_exchange,
    decode_hello,
    encode,
)
from strangler.exchange.model import Answer, Exchange

header_lists = st.lists(st.tuples(st.binary(max_size=10), st.binary(max_size=10)), max_size=3).map(tuple)
answers = st.builds(
    Answer,
    status=st.integers(100, 599),
    headers=header_lists,
    body=st.binary(max_size=200),
    milliseconds=st.floats(0, 1e6),
)
exchanges = st.builds(
    Exchange,
    route=st.text(max_size=20),
    side=st.sampled_from(["legacy", "extracted"]),
    method=st.sampled_from(["GET", "HEAD"]),
    target=st.text(max_size=30),
    headers=header_lists,
    body=st.binary(max_size=50),
    caller=st.integers(0, 2**64 - 1),
    at=st.floats(0, 2e9),
    answer=answers,
)


@given(st.lists(exchanges, max_size=4), st.integers(1, 50))
def test_exchanges_arrive_whole_however_the_stream_is_cut(sent: list[Exchange], step: int) -> None:
    stream = b"".join(encode(exchange) for exchange in sent)
    splitter = Splitter()
    got = [
        decode_exchange(frame)
        for start in range(0, len(stream), step)
        for frame in splitter.feed(stream[start : start + step])
    ]
    assert got == sent


def test_a_hello_arrives() -> None:
    hello = Hello("0-1-a", {"payment-read": 7})
    [frame] = Splitter().feed(encode(hello))
    assert decode_hello(frame) == hello


@given(st.binary(max_size=100))
def test_bytes_that_are_no_frame_are_refused_and_nothing_else_happens(junk: bytes) -> None:
    for decode in (decode_hello, decode_exchange):
        with contextlib.suppress(BadFrame):
            decode(junk)


def test_an_impossible_length_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(BadFrame, match="longer than"):
        list(Splitter().feed(struct.pack("!I", MAX_FRAME + 1)))
