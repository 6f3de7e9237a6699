"""RFC 9110 sections 7.6.1 (Connection), 7.6.3 (Via)."""

from hypothesis import given
from hypothesis import strategies as st

from strangler.http import headers as fields


def test_hop_by_hop_fields_stay_behind() -> None:
    kept = fields.end_to_end(
        [
            (b"Host", b"shop"),
            (b"Connection", b"keep-alive, X-Private"),
            (b"Keep-Alive", b"timeout=5"),
            (b"TE", b"trailers"),
            (b"Upgrade", b"h2c"),
            (b"X-Private", b"1"),
            (b"transfer-encoding", b"chunked"),
            (b"Accept", b"*/*"),
        ]
    )
    assert kept == [(b"Host", b"shop"), (b"Accept", b"*/*")]


def test_a_caller_cannot_take_away_host_or_length_by_naming_them() -> None:
    given_fields = [(b"Host", b"shop"), (b"Content-Length", b"3"), (b"Connection", b"host, content-length")]
    assert fields.end_to_end(given_fields) == given_fields[:2]


names = st.sampled_from([b"Accept", b"Set-Cookie", b"x-a", b"X-A", b"Cookie"])


@given(st.lists(st.tuples(names, st.binary(max_size=5)), max_size=10))
def test_order_case_and_repetition_are_kept(sent: list[tuple[bytes, bytes]]) -> None:
    assert fields.end_to_end(sent) == sent


def forwarded(*sent: tuple[bytes, bytes], believed: bool) -> list[tuple[bytes, bytes]]:
    return fields.forwarded(list(sent), peer=b"192.0.2.7", host=b"shop", scheme=b"http", believed=believed)


def test_forwarding_fields_of_a_stranger_are_replaced() -> None:
    assert forwarded(
        (b"X-Forwarded-For", b"10.0.0.1"), (b"x-forwarded-proto", b"https"), (b"Accept", b"a"), believed=False
    ) == [
        (b"Accept", b"a"),
        (b"X-Forwarded-For", b"192.0.2.7"),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Host", b"shop"),
        (b"Via", b"1.1 strangler"),
    ]


def test_a_trusted_proxy_is_believed_and_the_chains_grow() -> None:
    assert forwarded(
        (b"X-Forwarded-For", b"10.0.0.1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"Via", b"1.1 edge"),
        believed=True,
    ) == [
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-For", b"10.0.0.1, 192.0.2.7"),
        (b"X-Forwarded-Host", b"shop"),
        (b"Via", b"1.1 edge, 1.1 strangler"),
    ]


def test_forwarded_of_a_stranger_goes_and_a_trusted_proxys_is_continued() -> None:
    given_fields = [(b"Forwarded", b"for=10.0.0.1"), (b"Forwarded", b"for=10.0.0.2")]
    assert all(name != b"Forwarded" for name, _ in forwarded(*given_fields, believed=False))
    assert forwarded(*given_fields, believed=True)[0] == (
        b"Forwarded",
        b'for=10.0.0.1, for=10.0.0.2, for=192.0.2.7;host="shop";proto=http',
    )
    six = fields.forwarded([(b"forwarded", b"a")], peer=b"::1", host=b"", scheme=b"https", believed=True)
    assert six[0] == (b"Forwarded", b'a, for="[::1]";proto=https')


def test_what_is_said_of_a_caller_who_said_nothing_is_the_same_both_ways() -> None:
    said = fields.origin(b"192.0.2.7", b"shop", b"http")
    assert list(said) == fields.forwarded([], peer=b"192.0.2.7", host=b"shop", scheme=b"http", believed=False)
    assert fields.origin_lines(b"192.0.2.7", b"shop", b"http") == fields.lines(said)


def test_trailers_that_frame_route_or_authenticate_stay_behind() -> None:
    bad = [(name, b"x") for name in fields.NOT_IN_TRAILERS]
    assert fields.trailer_section([*bad, (b"X-Sum", b"1"), (b"HOST", b"evil")]) == b"X-Sum: 1\r\n"


def test_sorting_out_finds_what_frames_the_body() -> None:
    found = fields.sort_out(
        [
            (b"content-length", b"1"),
            (b"A", b"b"),
            (b"Content-Length", b"2"),
            (b"TRANSFER-encoding", b"chunked"),
        ]
    )
    assert found.kept == [(b"content-length", b"1"), (b"A", b"b"), (b"Content-Length", b"2")]
    assert list(found.lengths) == [b"1", b"2"]
    assert list(found.codings) == [b"chunked"]
    assert fields.lines([]) == b""
