"""The one reading of a request's head. RFC 9112 section 3.2, RFC 9110 sections 7.2, 7.6.1 and 10.1.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.gateway.inbound import Inbound, Refused

Field = tuple[bytes, bytes]
HOST = (b"Host", b"shop")


def read(
    *fields: Field, target: bytes = b"/", method: str = "GET", version: str = "1.1", upgrade: bool = False
) -> Inbound:
    inbound = Inbound("192.0.2.7")
    inbound.url = target
    inbound.fields = list(fields)
    inbound.understand(method, version, keep_alive=True, upgrade=upgrade)
    return inbound


@pytest.mark.parametrize(
    ("given_target", "target", "host"),
    [
        (b"/a/(b)|%41?x=%0A", "/a/(b)|%41?x=%0A", b"shop"),
        (b"http://other.example/a?b", "/a?b", b"other.example"),
        (b"HTTP://other.example:81?b", "/?b", b"other.example:81"),
        (b"https://[::1]:443", "/", b"[::1]:443"),
    ],
)
def test_targets_in_every_form_come_out_as_paths(given_target: bytes, target: str, host: bytes) -> None:
    inbound = read(HOST, target=given_target)
    assert (inbound.target, inbound.host) == (target, host)
    assert [value for name, value in inbound.kept if name == b"Host"] == [host]
    assert inbound.header("host") == host.decode()


def test_the_whole_server_may_be_asked_for_its_options() -> None:
    assert read(HOST, target=b"*", method="OPTIONS").target == "*"


REFUSED = {
    "another scheme": (400, {"target": b"ftp://a/b"}),
    "no path": (400, {"target": b"a/b"}),
    "nothing": (400, {"target": b""}),
    "an authority": (405, {"target": b"shop:443", "method": "CONNECT"}),
    "an asterisk": (400, {"target": b"*"}),
    "a fragment": (400, {"target": b"/a#b"}),
    "a user": (400, {"target": b"http://u@shop/"}),
    "another version": (505, {"version": "2.0"}),
}


@pytest.mark.parametrize(("status", "options"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_reading_is_refused(status: int, options: dict[str, str]) -> None:
    with pytest.raises(Refused) as raised:
        read(HOST, **options)
    assert raised.value.status == status


@pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b"a", b"b"], [b"a/b"], [b"a b"], [b"u@a"], [b"a:b"]])
def test_a_request_has_one_good_host(hosts: list[bytes]) -> None:
    with pytest.raises(Refused) as raised:
        read(*((b"Host", host) for host in hosts))
    assert raised.value.status == 400


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"#" not in raw))
def test_a_path_keeps_its_bytes(raw: bytes) -> None:
    assert read(HOST, target=b"/" + raw).target.encode("latin-1") == b"/" + raw


def test_what_connection_names_stays_behind() -> None:
    inbound = read(
        HOST, (b"X-Mine", b"1"), (b"Keep-Alive", b"5"), (b"Connection", b"x-mine, host"), (b"A", b"b")
    )
    assert inbound.kept == [HOST, (b"A", b"b")]


def test_trailers_are_wanted_only_by_who_says_so() -> None:
    assert read(HOST, (b"TE", b"gzip, trailers")).wants_trailers
    assert not read(HOST, (b"TE", b"gzip")).wants_trailers
    assert not read(HOST, (b"TE", b"trailers"), version="1.0").wants_trailers


def test_only_a_chunked_body_has_a_coding() -> None:
    inbound = read(HOST, (b"Transfer-Encoding", b"Chunked"))
    assert inbound.chunked
    assert inbound.has_body
    assert inbound.kept == [HOST]
    for value, version, status in ((b"gzip, chunked", "1.1", 501), (b"chunked", "1.0", 400)):
        with pytest.raises(Refused) as raised:
            read(HOST, (b"Transfer-Encoding", value), version=version)
        assert raised.value.status == status


def test_a_length_of_nothing_is_no_body() -> None:
    assert read(HOST, (b"Content-Length", b"3")).has_body
    assert not read(HOST, (b"Content-Length", b"0")).has_body


def test_an_upgrade_has_no_body() -> None:
    asks = ((b"Connection", b"upgrade"), (b"Upgrade", b"a"), (b"Upgrade", b"b"))
    assert read(HOST, *asks, upgrade=True).upgrade == b"a, b"
    assert read(HOST, *asks, (b"Content-Length", b"3"), upgrade=True).upgrade is None
    assert read(HOST, *asks, version="1.0", upgrade=True).upgrade is None


def test_an_old_caller_expects_nothing() -> None:
    expect = (b"Expect", b"100-continue")
    assert read(HOST, expect).kept == [HOST, expect]
    assert read(HOST, expect, version="1.0").kept == [HOST]


def test_the_router_is_told_the_first_value_and_the_whole_of_a_list() -> None:
    inbound = read(
        HOST,
        (b"X-User-Id", b" 7 "),
        (b"x-user-id", b"8"),
        (b"X-Forwarded-For", b"a"),
        (b"x-forwarded-for", b"b"),
        (b"X-Name", "é".encode() + b"\xff"),
    )
    assert inbound.header("x-user-id") == "7"
    assert inbound.header("x-forwarded-for") == "a,b"
    assert inbound.header("x-name") == "é\udcff"
    assert inbound.header("x-none") is None


def test_sizes_are_bounded() -> None:
    inbound = read(HOST, (b"A", b"x" * 100), (b"Content-Length", b"11"))
    inbound.check_size(1000)
    inbound.check_length(11)
    with pytest.raises(Refused, match="longer than 100"):
        inbound.check_size(100)
    with pytest.raises(Refused, match="longer than 10"):
        inbound.check_length(10)
    with pytest.raises(Refused, match="256"):
        read(HOST, *((b"A", b"b") for _ in range(256)))


def test_a_body_is_kept_until_it_is_taken() -> None:
    inbound = read(HOST)
    assert (inbound.take(), inbound.waiting) == (b"", 0)
    inbound.keep(b"ab")
    inbound.keep(b"c")
    assert (inbound.waiting, inbound.take(), inbound.size, inbound.waiting) == (3, b"abc", 3, 0)
