"""Bytes in, requests out: the same requests, however the bytes were cut on the way (RFC 9112 section 2.2)."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from strangler.gateway.requests import Requests
from strangler.routes import Limits


class Handler:
    limits = Limits()


def got(parts: list[bytes]) -> list[tuple[str, str, bytes, bool, int | None]]:
    requests = Requests(Handler(), "192.0.2.7")
    for part in parts:
        requests.feed(part)
    return [
        (each.method, each.target, each.take(), each.complete, each.refused.status if each.refused else None)
        for each in requests.queue
    ]


bodies = st.binary(max_size=50)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, tuple[str, str, bytes, bool, int | None]]:
    """A valid request, and how it must come out."""
    number = draw(st.integers(0, 999))
    kind = draw(st.sampled_from(["GET", "sized", "chunked"]))
    if kind == "GET":
        return b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number, ("GET", f"/{number}", b"", True, None)
    body = draw(bodies)
    head = b"POST /%d HTTP/1.1\r\nHost: a\r\n" % number
    wanted = ("POST", f"/{number}", body, True, None)
    if kind == "sized":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body, wanted
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Sum: 1\r\n\r\n", wanted


@given(st.lists(requests(), max_size=5), st.lists(st.integers(0, 600), max_size=12))
def test_however_the_bytes_are_cut_the_same_requests_come_out(
    asked: list[tuple[bytes, tuple[str, str, bytes, bool, int | None]]], cuts: list[int]
) -> None:
    data = b"".join(each for each, _ in asked)
    at = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    parts = [data[start:end] for start, end in itertools.pairwise(at)]
    assert got(parts) == [wanted for _, wanted in asked]


@given(st.lists(requests(), max_size=3), st.integers(1, 20))
def test_what_stands_before_nonsense_is_kept_and_the_nonsense_refused(
    asked: list[tuple[bytes, tuple[str, str, bytes, bool, int | None]]], size: int
) -> None:
    data = b"".join(each for each, _ in asked) + b"GET /x HTTP/1.1\r\nHost : a\r\n\r\nGET /y HTTP/1.1\r\n\r\n"
    found = got([data[at : at + size] for at in range(0, len(data), size)])
    assert found[:-1] == [wanted for _, wanted in asked]
    assert found[-1][4] == 400


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_at_all_are_an_error_of_ours(data: bytes, size: int) -> None:
    for each in got([data[at : at + size] for at in range(0, len(data), size)]):
        assert each[4] is None or 400 <= each[4] < 600
