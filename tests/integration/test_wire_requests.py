"""What has no single good reading goes no further. RFC 9112 sections 2, 3, 5, 6, 7; RFC 9110 sections 7.2, 9.1."""

from pathlib import Path

import pytest

from tests.support.gateway import gateway
from tests.support.wire import CHUNKED, GET, POST, Arrived, hear, recording

LONG = b"x" * 70_000  # beyond limits.head

REFUSED = {
    # RFC 9112 section 2.2: lines end in CRLF, and nothing else does.
    "a bare CR": (400, GET + b"A: b\rc\r\n\r\n"),
    "a bare LF": (400, GET + b"A: b\nC: d\r\n\r\n"),
    "lines that end in LF": (400, b"GET / HTTP/1.1\nHost: shop\n\n"),
    "NUL in a value": (400, GET + b"A: b\0c\r\n\r\n"),
    # Section 5.1 and 5.2.
    "a folded line": (400, GET + b"A: b\r\n c\r\n\r\n"),
    "white space before the colon": (400, GET + b"A : b\r\n\r\n"),
    "a name that is no token": (400, GET + b"A(: b\r\n\r\n"),
    "no name": (400, GET + b": b\r\n\r\n"),
    "no colon": (400, GET + b"AAA\r\n\r\n"),
    "white space before the first field": (400, b"GET / HTTP/1.1\r\n Host: shop\r\n\r\n"),
    # Section 6.3.
    "two lengths": (400, POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    "two different lengths": (400, POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "a list of lengths": (400, POST + b"Content-Length: 1, 1\r\n\r\nx"),
    "a signed length": (400, POST + b"Content-Length: +1\r\n\r\nx"),
    "a negative length": (400, POST + b"Content-Length: -1\r\n\r\nx"),
    "a length in hex": (400, POST + b"Content-Length: 0x1\r\n\r\nx"),
    "an empty length": (400, POST + b"Content-Length: \r\n\r\n"),
    "a length and a coding": (400, POST + b"Content-Length: 1\r\n" + CHUNKED + b"0\r\n\r\n"),
    "a coding and a length": (
        400,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    ),
    # Section 6.1.
    "a coding of its own": (501, POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "a coding below chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "chunked in two lines": (
        400,
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "a coding in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nHost: shop\r\n" + CHUNKED + b"0\r\n\r\n"),
    # Section 7.1.
    "a chunk without a size": (400, POST + CHUNKED + b"\r\n\r\n"),
    "a chunk of a negative size": (400, POST + CHUNKED + b"-1\r\nx\r\n0\r\n\r\n"),
    "a chunk of 0x1": (400, POST + CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n"),
    "a chunk beyond 64 bits": (400, POST + CHUNKED + b"fffffffffffffffff\r\n\r\n"),
    "a chunk longer than it says": (400, POST + CHUNKED + b"1\r\nab\r\n0\r\n\r\n"),
    "a chunk size that ends in LF": (400, POST + CHUNKED + b"1\na\r\n0\r\n\r\n"),
    # RFC 9112 section 3.2, RFC 9110 section 7.2.
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, GET + b"Host: shop\r\n\r\n"),
    "two Hosts of one letter": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "a Host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a Host with a user": (400, b"GET / HTTP/1.1\r\nHost: u@shop\r\n\r\n"),
    "a Host with a space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "an absolute target with a user": (400, b"GET http://u:p@x/ HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "an absolute target without a host": (400, b"GET http:/// HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a target of another scheme": (400, b"GET ftp://x/ HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a target in authority form": (400, b"GET shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "an asterisk with GET": (400, b"GET * HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a control character in the target": (400, b"GET /a\x01 HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "CONNECT": (405, b"CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n"),
    # RFC 9110 sections 2.5 and 9.1.
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\nHost: shop\r\n\r\n"),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\nHost: shop\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /\r\n\r\n"),
    "a method nobody knows": (501, b"BREW / HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a method in lower case": (400, b"get / HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    # Too much.
    "a request line too long": (414, b"GET /" + LONG + b" HTTP/1.1\r\nHost: shop\r\n\r\n"),
    "a request line without an end": (414, b"GET /" + LONG * 10),
    "a field too long": (431, GET + b"A: " + LONG + b"\r\n\r\n"),
    "a field without an end": (431, GET + b"A: " + LONG * 10),
    "fields too many": (431, GET + b"A: b\r\n" * 300 + b"\r\n"),
    "trailers without an end": (431, POST + CHUNKED + b"1\r\na\r\n0\r\nA: " + LONG * 10),
    "a chunk extension without an end": (431, POST + CHUNKED + b"1;" + LONG * 10),
}


@pytest.mark.parametrize(("status", "request_bytes"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("split", [None, 7], ids=["whole", "in pieces"])
async def test_what_has_two_readings_is_refused(
    tmp_path: Path, status: int, request_bytes: bytes, split: int | None
) -> None:
    arrived = Arrived()
    parts = [request_bytes]
    if split is not None:
        size = max(len(request_bytes) // split, 1)
        parts = [request_bytes[at : at + size] for at in range(0, len(request_bytes), size)]
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, *parts)
    assert (heard.statuses, heard.end) == ([status], "closed")
    assert b"Connection: close\r\n" in heard.data
    assert heard.problem["status"] == status
    assert arrived.heads == []


async def test_what_was_whole_before_it_is_answered_first(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, (GET + b"\r\n") * 3 + GET + b"A : b\r\n\r\n" + GET + b"\r\n")
    assert heard.statuses == [200, 200, 200, 400]
    assert len(arrived.heads) == 3


async def test_a_refusal_to_head_has_no_body(tmp_path: Path) -> None:
    async with gateway(tmp_path, recording(Arrived()), observer=False) as made:
        heard = await hear(made.port, b"HEAD /a#b HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert heard.statuses == [400]
    assert heard.data.endswith(b"\r\n\r\n")


GOOD = {
    "obs-text in a value": (GET + b"A: \xe9\xff\r\n\r\n", b"A: \xe9\xff"),
    "an empty value": (GET + b"A:\r\n\r\n", b"A: "),
    # RFC 9112 section 2.2: a server ignores empty lines before a request line.
    "empty lines in front": (b"\r\n\r\n" + GET + b"A: b\r\n\r\n", b"A: b"),
    "a tab in a value": (GET + b"A: b\tc\r\n\r\n", b"A: b\tc"),
    "a Host with a port": (b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", b"Host: [::1]:8080"),
    "an empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"Host: "),
}


@pytest.mark.parametrize(("request_bytes", "line"), GOOD.values(), ids=GOOD)
async def test_what_is_unusual_and_clear_goes_on(tmp_path: Path, request_bytes: bytes, line: bytes) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, request_bytes, quiet=0.3)
    assert (heard.statuses, heard.end) == ([200], "open")
    assert line in arrived.fields()


@pytest.mark.parametrize(
    ("target", "sent", "host"),
    [
        (b"/a/(b)|%41%7e//?x=%0A&y", b"/a/(b)|%41%7e//?x=%0A&y", b"shop"),
        (b"/caf\xc3\xa9?\xff", b"/caf\xc3\xa9?\xff", b"shop"),  # bytes as old callers send them
        (b"/a/../b/./c", b"/a/../b/./c", b"shop"),
        (b"http://other:81/y?z", b"/y?z", b"other:81"),  # RFC 9112 section 3.2.2: overrules the Host
        (b"HTTP://other?z", b"/?z", b"other"),
        (b"http://other", b"/", b"other"),
    ],
)
async def test_a_target_goes_on_byte_for_byte(
    tmp_path: Path, target: bytes, sent: bytes, host: bytes
) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, b"GET %b HTTP/1.1\r\nHost: shop\r\n\r\n" % target, quiet=0.3)
    assert arrived.heads[0].split(b"\r\n")[0] == b"GET %b HTTP/1.1" % sent
    assert [line for line in arrived.fields() if line.startswith(b"Host")] == [b"Host: " + host]


async def test_options_may_be_asked_of_the_server_as_a_whole(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, b"OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n", quiet=0.3)
    assert arrived.heads[0].startswith(b"OPTIONS * HTTP/1.1\r\n")


async def test_an_old_caller_without_a_host_means_the_address_it_came_to(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, b"GET / HTTP/1.0\r\n\r\n")
    assert heard.end == "closed"
    assert arrived.fields()[0] == b"Host: 127.0.0.1:%d" % made.port


async def test_a_chunked_body_may_have_extensions_and_capitals(tmp_path: Path) -> None:
    arrived = Arrived()
    body = b'A;name="value"\r\n0123456789\r\n0;last\r\n\r\n'
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, POST + CHUNKED + body, quiet=0.3)
    assert arrived.bodies == [b"0123456789"]
